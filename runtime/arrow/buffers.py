"""Read Arrow strings and lists as NumPy arrays, make lists from NumPy arrays, and check a table's columns."""

from collections.abc import Iterable
from typing import TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runtime.errors import InputError, require_several

Strings: TypeAlias = Iterable[str | None] | pa.Array | pa.ChunkedArray
Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)


# Memory that is given back to the system must be paid for page by page when it is needed again, a moment later: a fifth
# of a worker's time. The first is for Arrow's allocator, the others for NumPy's.
ALLOCATORS = {
    "MIMALLOC_PURGE_DELAY": "-1",
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}


def string_array(values: Strings, what: str) -> pa.Array:
    """Return strings, given as a sequence or an Arrow array, as one array of type large_string.

    `what` names them in the sentence that refuses anything else; nulls pass.
    """
    require_several(what, values)
    if hasattr(values, "columns"):
        raise InputError(f"{what} must be strings; got a {type(values).__name__}: give one of its columns")
    try:
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        if not isinstance(values, pa.Array):
            values = pa.array(values, pa.large_string())
    except (pa.ArrowInvalid, TypeError, UnicodeEncodeError) as error:
        raise InputError(f"{what} must be strings of valid Unicode; {error}") from None
    if not (pa.types.is_large_string(values.type) or pa.types.is_null(values.type)):
        if not (pa.types.is_string(values.type) or pa.types.is_string_view(values.type)):
            raise InputError(f"{what} must be strings; got an array of {values.type}: cast it first")
    return _large(values)


def string_buffers(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets (int64) and UTF-8 bytes (uint8) of a string array; a null reads as an empty string."""
    array = _large(array)
    if array.null_count:
        array = array.fill_null("")
    _, offsets, data = array.buffers()
    if offsets is None or len(array) == 0:
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    ends = np.frombuffer(offsets, np.int64, len(array) + 1, array.offset * 8)
    return ends, np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)


def _large(array: pa.Array) -> pa.Array:
    return array if pa.types.is_large_string(array.type) else array.cast(pa.large_string())


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, without a copy where it has one chunk."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


def one_batch(rows: pa.Table) -> pa.RecordBatch:
    """Return the rows of a table, which fit into one array a column, as a batch."""
    return pa.RecordBatch.from_arrays([one_array(column) for column in rows.columns], schema=rows.schema)


def list_array(offsets: np.ndarray, ids: np.ndarray, like: pa.Array) -> pa.Array:
    """Return list<int32> with ids[offsets[k]:offsets[k + 1]] in row k, null where `like` is null."""
    if offsets[-1] > np.iinfo(np.int32).max:
        raise InputError(f"{offsets[-1]:,} matches in one batch are too many for one Arrow array: pass smaller batches")
    mask = pc.is_null(like) if like.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(ids, pa.int32()), mask=mask)


def parts(lists: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Return the items of all lists in one array and the int64 offsets of each list in it; a null list is empty."""
    if lists.null_count:  # a null list may lie over items of its own; only flatten() leaves them out
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        return lists.flatten(), np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return lists.values.slice(offsets[0], offsets[-1] - offsets[0]), offsets - offsets[0]


def require(rows: Rows, schema: pa.Schema) -> Rows:
    """Return rows with exactly the columns of `schema`, or say which are missing."""
    missing = [name for name in schema.names if name not in rows.schema.names]
    if missing:
        raise InputError(f"missing columns {missing}; got {rows.schema.names}")
    return rows.select(schema.names).cast(schema)
