"""Send random bytes through `runtime.shuffle` and print what came: `python large_exchange.py MB PARTITIONS`."""

import json
import sys
from collections.abc import Iterator
from functools import partial

import numpy as np

from runtime.blocks import Block
from runtime.session import session
from runtime.shuffle import exchange
from runtime.tallies import Tallies
from tests.support.exchanges import receive_sizes


def send(item: int, tallies: Tallies, size: int, partitions: int) -> Iterator[Block]:
    """Send a block to each partition, `size` bytes in all."""
    data = np.random.default_rng(item).bytes(size // partitions)
    for bucket in range(partitions):
        tallies.add("sent", len(data))
        yield Block(bucket, partitions, data)


def main(megabytes: int, partitions: int) -> None:
    """Send so much from as many items as there are cores."""
    spark = session("exchange")
    items = spark.sparkContext.defaultParallelism
    sender = partial(send, size=(megabytes << 20) // items, partitions=partitions)
    tallies = exchange(spark, list(range(items)), sender, receive_sizes, partitions)
    print(json.dumps({name: tallies[name] for name in ("sent", "bytes", "blocks", "called")}))
    spark.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
