"""Split rows by key into parts on disk, so that tables larger than memory can be sorted or joined part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa

from runtime.storage.arrays import open_arrow
from runtime.storage.own_files import as_written

MOST_PARTS = 256  # files that are open at a time


def key_part(high: np.ndarray, parts: int) -> np.ndarray:
    """Return the part of each first half of a key of `exact_numbers`: parts are equal ranges, in order.

    >>> key_part(np.array([-(2**63), -1, 0, 2**63 - 1]), 3).tolist()
    [0, 1, 1, 2]
    """
    leading = (high >> 32) + (1 << 31)  # its first 32 bits, from 0
    return (leading * parts) >> 32


def in_parts(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    parts: int,
    work: Path,
    part_of: Callable[[np.ndarray, int], np.ndarray] = key_part,
) -> Iterator[pa.Table]:
    """Yield all rows in so many parts, by what `part_of` says of their first column; `work` is an empty folder."""
    work.mkdir(exist_ok=True)
    paths = [work / f"{part}.arrow" for part in range(parts)]
    with ExitStack() as stack:
        files = [stack.enter_context(pa.ipc.new_file(str(path), schema)) for path in paths]
        for batch in batches:
            part = part_of(batch[schema.names[0]].to_numpy(), parts).astype(np.uint8)  # which is sorted in linear time
            order = np.argsort(part, kind="stable")
            ends = np.searchsorted(part[order], np.arange(parts + 1))
            batch = batch.take(pa.array(order))
            for number in np.flatnonzero(np.diff(ends)):
                files[number].write_batch(batch.slice(ends[number], ends[number + 1] - ends[number]))
    for file in [as_written(path) for path in paths]:
        yield open_arrow(file).read_all()
        file.path.unlink()
