"""What opening costs a process: captions, and the file of a tar in the index, compared with checksums and validated."""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from curation.joins.mapped_rows import save_rows
from curation.leaves.annotations.captions import Captions
from curation.leaves.online.building import ROWS
from runtime.storage import own_files
from runtime.storage.arrays import MappedBatches, write_batches

TURNS = 7
IMAGES = 2_000_000
TEXT = "a photo of a black dog on a meadow in the sun, taken from afar with a long lens"


def seconds(step) -> float:
    """Return the median processor time of a step whose results this process has forgotten."""
    times = []
    for _ in range(TURNS):
        own_files._compare.cache_clear()
        begin = time.process_time()
        step()
        times.append(time.process_time() - begin)
    return statistics.median(times)


def captions(folder: Path) -> Path:
    chance, path = np.random.default_rng(0), folder / "captions.arrow"
    keys = [np.sort(chance.integers(-(2**63), 2**63 - 1, IMAGES)), chance.integers(-(2**63), 2**63 - 1, IMAGES)]
    texts = [pa.array([text] * IMAGES, pa.large_string()) for text in (TEXT, "m")]
    save_rows(path, pa.RecordBatch.from_arrays([*keys, texts[0], np.zeros(IMAGES), texts[1]], schema=Captions.schema))
    return path


def index(folder: Path) -> own_files.OwnFile:
    text = {"text": TEXT, "kind": "alt", "language": "en", "lid_score": 0.5, "entries": [1, 2, 3, 4]}
    row = {"uid": "0" * 32, "key": "0" * 9, "image": "jpg", "offset": 0, "size": 1, "candidates": [text] * 3}
    path, rows = folder / "00000.arrow", pa.Table.from_pylist([row] * 10_000, ROWS)
    checksum = write_batches(path, ROWS, rows.combine_chunks().to_batches(max_chunksize=1024))
    return own_files.OwnFile(path, checksum, "run again")


with tempfile.TemporaryDirectory() as work:
    path, file = captions(Path(work)), index(Path(work))
    for name, at, opened in (
        ("captions", path, lambda: Captions.open(path)),
        ("a tar", file.path, lambda: [*MappedBatches(file)]),
    ):
        size, whole, compared = os.stat(at).st_size, seconds(opened), seconds(lambda at=at: own_files.checksum_of(at))
        opened()
        begin = time.process_time()
        opened()
        again = time.process_time() - begin
        print(
            f"{name}: {size / 1e6:.1f} MB; compared at {size / compared / 1e9:.1f} GB/s, compared and validated at "
            f"{size / whole / 1e9:.1f} GB/s, {1e3 * whole:.1f} ms; again {1e6 * again:.0f} µs"
        )
