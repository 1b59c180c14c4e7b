"""Join record batches into one that is mapped into memory, whatever its size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa


def mapped(batches: Iterable[pa.RecordBatch], schema: pa.Schema, work: Path) -> pa.RecordBatch:
    """Return the rows of all batches as one batch over files in `work`; memory holds one of the batches at a time.

    Columns are numbers or large strings, and nothing in them is null.
    """
    paths = [[work / f"{number}.{part}" for part in _parts(field.type)] for number, field in enumerate(schema)]
    rows, ends = 0, np.zeros(len(schema), np.int64)
    with ExitStack() as stack:
        files = [[stack.enter_context(path.open("wb")) for path in own] for own in paths]
        for own, field in zip(files, schema, strict=True):
            if pa.types.is_large_string(field.type):
                np.zeros(1, np.int64).tofile(own[0])
        for batch in batches:
            rows += batch.num_rows
            for number, column in enumerate(batch.columns):
                ends[number] += _append(column, files[number], int(ends[number]))
    columns = [
        pa.Array.from_buffers(field.type, rows, [None, *map(_buffer, own)])
        for field, own in zip(schema, paths, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _parts(kind: pa.DataType) -> tuple[str, ...]:
    return ("offsets", "data") if pa.types.is_large_string(kind) else ("data",)


def _append(column: pa.Array, files: Sequence[BinaryIO], end: int) -> int:
    """Append a column to its files, whose strings end at `end`; return the number of bytes of the new strings."""
    if not pa.types.is_large_string(column.type):
        column.to_numpy().tofile(files[0])
        return 0
    _, offsets, data = column.buffers()
    own = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    (own[1:] - own[0] + end).tofile(files[0])
    size = int(own[-1] - own[0])
    if size:
        files[1].write(memoryview(data)[int(own[0]) : int(own[-1])])
    return size


def _buffer(path: Path) -> pa.Buffer:
    """Return the bytes of a file, mapped; an empty one cannot be."""
    if not path.stat().st_size:
        return pa.py_buffer(b"")
    with pa.memory_map(str(path)) as file:
        return file.read_buffer()
