"""Measure how long one core reads inputs: `python -m tests.bench.bench_reading [PATH ...]`, by default real data."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from curation.inputs.files import find, read
from curation.inputs.tables.columns import TableOptions

DATA = Path(__file__).parents[3] / "shared" / "data"
COLUMNS = TableOptions(["cc3m*=1"], ["cc3m*=0", "wit/*=caption_reference_description"])
TURNS = 5


def main(paths: list[str]) -> None:
    """Print pairs, bytes and processor time of each input, the best of some turns."""
    found = find(paths, COLUMNS)
    for file in found:
        best, pairs = float("inf"), 0
        for _ in range(TURNS):
            begin = time.process_time()
            pairs = sum(batch["url"].is_valid().true_count for batch in read(file, COLUMNS))
            best = min(best, time.process_time() - begin)
        each, per_gb = 1e6 * best / max(1, pairs), 1e9 * best / file.size
        print(f"{Path(file.path).name:30} {pairs:9,} pairs {file.size:13,} bytes {each:7.2f} µs {per_gb:6.1f} s a GB")


if __name__ == "__main__":
    main(sys.argv[1:] or [str(DATA / part) for part in ("wat", "warc", "pairs")])
