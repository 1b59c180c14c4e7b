"""Measure what it costs to deal rows out to buckets and to pack them, for more and more buckets.

    python tests/bench/bench_packing.py [--rows 8000000] [--buckets 8 128 1024 8192]

Rows are those of a join by uid (45 bytes), and such with a URL (130 bytes). Prints processor time a row, rows a block,
and how many MB the process grew by, each in a process of its own.
"""

import argparse
import resource
import time
from multiprocessing import get_context

import numpy as np
import pyarrow as pa

from runtime.buckets import Packer

BATCH_ROWS = 1 << 16


def batch(chance: np.random.Generator, has_url: bool) -> pa.RecordBatch:
    """Return rows of a join."""
    keys = chance.integers(-(2**62), 2**62, (2, BATCH_ROWS))
    columns = {"key": keys[0], "key_low": keys[1], "file": np.zeros(BATCH_ROWS, np.int32), "row": np.arange(BATCH_ROWS)}
    columns |= {"side": np.zeros(BATCH_ROWS, np.int8), "coarse": chance.integers(0, 4, BATCH_ROWS).astype(np.int32)}
    if has_url:
        numbers = chance.integers(0, 10**9, BATCH_ROWS).tolist()
        columns["url"] = [
            f"https://images.example/{number}/a-name-of-a-file-as-long-as-many-are.jpg" for number in numbers
        ]
    return pa.RecordBatch.from_pydict(columns)


def measure(rows: int, buckets: int, has_url: bool) -> None:
    """Print the figures of one number of buckets."""
    chance = np.random.default_rng(buckets)
    dealt = batch(chance, has_url)
    keys = [chance.integers(0, 2**64, BATCH_ROWS, np.uint64) for _ in range(8)]
    packer, blocks, number = Packer(buckets), 0, rows // BATCH_ROWS
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for each in range(number):
        blocks += sum(1 for _ in packer.deal(dealt, keys[each % len(keys)]))
    blocks += sum(1 for _ in packer.finish())
    cost = (time.process_time() - begin) / (number * BATCH_ROWS) * 1e6
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    title = f"{buckets:,} buckets, {'with a URL' if has_url else 'numbers'}"
    print(f"| {title} | {cost:.2f} | {number * BATCH_ROWS // blocks:,} | {grown:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8_000_000)
    parser.add_argument("--buckets", type=int, nargs="+", default=[8, 128, 1024, 8192])
    args = parser.parse_args()
    print("| | µs a row | rows a block | MB |\n| --- | ---: | ---: | ---: |")
    for has_url in (False, True):
        for buckets in args.buckets:
            process = get_context("spawn").Process(target=measure, args=(args.rows, buckets, has_url))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
