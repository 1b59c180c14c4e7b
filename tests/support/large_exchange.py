"""Send random bytes through Spark's shuffle and print what came: `python large_exchange.py MB PARTITIONS`."""

import json
import sys
from functools import partial

from runtime.engine import Stage
from runtime.engine.spark import Spark
from runtime.session import session
from tests.support.exchanges import receive_sizes, send_to_each


def main(megabytes: int, partitions: int) -> None:
    """Send so much from as many items as there are cores."""
    spark = session("exchange")
    items = spark.sparkContext.defaultParallelism
    send = partial(send_to_each, size=(megabytes << 20) // items, partitions=partitions)
    tallies = Spark(spark).exchange(list(range(items)), send, [Stage(receive_sizes, partitions)])
    print(json.dumps({name: tallies[name] for name in ("sent", "bytes", "blocks", "called")}))
    spark.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
