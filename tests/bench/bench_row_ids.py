"""Ids of rows, nanoseconds a row on one core, beside a loop over hashlib; with --spark beside Spark's own functions.

python tests/bench/bench_row_ids.py [FILE.parquet] [--spark]     # its columns url and text, or made-up ones
"""

import random
import statistics
import sys
import time
from hashlib import md5

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.image_ids import hashes, uid_hashes, uids

ROWS, REPEATS = 200_000, 7


def made_up() -> pa.Table:
    chance = random.Random(0)
    letters = "etaoinshrdlu/-0123456789"
    words = ["".join(chance.choices(letters, k=k)) for k in range(30, 110) for _ in range(20)]
    urls = [f"https://example.org/{word}.jpg" for word in words]
    return pa.table({"url": urls, "text": [word.replace("/", " ") for word in words]})


def columns(path: str | None) -> list[pa.Array]:
    """Return ROWS rows of url and text, drawn with repetition."""
    table = pq.read_table(path) if path else made_up()
    table = table.rename_columns([name.lower() for name in table.schema.names])
    rows = np.random.default_rng(0).integers(0, len(table), ROWS)
    return [table[name].combine_chunks().take(pa.array(rows)) for name in ("url", "text")]


def seconds(run, clock=time.thread_time) -> float:
    begin = clock()
    run()
    return clock() - begin


def compare(urls: pa.Array, texts: pa.Array) -> None:
    strings, ids = urls.to_pylist(), uids(urls)
    runs = {
        "uids": lambda: uids(urls),
        "uid_hashes": lambda: uid_hashes(ids),
        "hashes": lambda: hashes(ids, texts),
        "hashlib's md5": lambda: [md5(url.encode()).hexdigest() for url in strings],
    }
    took = {name: [] for name in runs}
    for _ in range(REPEATS):  # in turns, so that a busy moment of the machine meets all
        for name, run in runs.items():
            took[name].append(seconds(run))
    for name, times in took.items():
        print(f"{name:16}{statistics.median(times) / ROWS * 1e9:8.1f} ns/row")


def compare_with_spark(urls: pa.Array, texts: pa.Array) -> None:
    """Print the wall time that Spark's columns add to a run that only writes its rows nowhere."""
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    repeated = F.explode(F.sequence(F.lit(1), F.lit(10)))
    frame = spark.createDataFrame(pa.table({"url": urls, "text": texts})).cache()
    frame.count()
    rows = frame.withColumn("copy", repeated).withColumn("url", F.concat("url", F.col("copy").cast("string")))
    ways = {"nothing": rows, "md5": rows.withColumn("uid", F.md5("url"))}
    ways["md5, xxhash64"] = ways["md5"].withColumn("hash", F.xxhash64("uid", "text"))
    took = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, way in ways.items():
            took[name].append(seconds(way.write.format("noop").mode("overwrite").save, time.perf_counter))
    nothing = statistics.median(took.pop("nothing"))
    for name, times in took.items():
        print(f"Spark's {name:16}{(statistics.median(times) - nothing) / ROWS / 10 * 1e9:8.1f} ns/row more")
    spark.stop()


if __name__ == "__main__":
    paths = [argument for argument in sys.argv[1:] if argument != "--spark"]
    urls, texts = columns(paths[0] if paths else None)
    compiled = seconds(lambda: hashes(uids(urls[:1]), texts[:1]))
    print(
        f"{ROWS:,} URLs of {np.mean([len(url) for url in urls.to_pylist()]):.0f} characters; ready in {compiled:.2f} s"
    )
    compare(urls, texts)
    if "--spark" in sys.argv:
        compare_with_spark(urls, texts)
