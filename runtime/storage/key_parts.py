"""Cut rows by their keys into parts on disk, so that a table of any size is sorted part by part.

Keys are those of `uid_keys.exact_numbers`; the first half is the first column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa

from runtime.storage.arrays import open_arrow
from runtime.storage.own_files import as_written

MOST_PARTS = 256  # files that are open at a time


def in_parts(batches: Iterable[pa.RecordBatch], schema: pa.Schema, parts: int, work: Path) -> Iterator[pa.Table]:
    """Yield all rows in so many parts, which are equal ranges of keys in order; `work` is an empty folder."""
    work.mkdir(exist_ok=True)
    paths = [work / f"{part}.arrow" for part in range(parts)]
    with ExitStack() as stack:
        files = [stack.enter_context(pa.ipc.new_file(str(path), schema)) for path in paths]
        for batch in batches:
            part = part_of(batch[schema.names[0]].to_numpy(), parts)
            order = np.argsort(part, kind="stable")
            ends = np.searchsorted(part[order], np.arange(parts + 1))
            batch = batch.take(pa.array(order))
            for number in np.flatnonzero(np.diff(ends)):
                files[number].write_batch(batch.slice(ends[number], ends[number + 1] - ends[number]))
    for file in [as_written(path) for path in paths]:
        yield open_arrow(file).read_all()
        file.path.unlink()


def part_of(high: np.ndarray, parts: int) -> np.ndarray:
    """Return the part of each first half of a key: parts are equal ranges, in order.

    >>> part_of(np.array([-(2**63), -1, 0, 2**63 - 1]), 3).tolist()
    [0, 1, 1, 2]
    """
    leading = (high >> 32) + (1 << 31)  # its first 32 bits, from 0
    return (leading * parts) >> 32
