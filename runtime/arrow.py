"""Convert between Arrow and NumPy arrays, gather batches into larger ones, and turn uids into keys of 16 bytes.

A uid of 32 hexadecimal digits becomes the bytes that it spells; any other uid (from the input) becomes its BLAKE2b. So
no string per image is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from sys import maxsize
from typing import TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runtime.errors import InputError, require_several
from runtime.kernels.hashes import EITHER_CASE, LOWER_CASE, read_digits

Strings: TypeAlias = Iterable[str | None] | pa.Array | pa.ChunkedArray
Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)


# Memory that is given back to the system must be paid for page by page when it is needed again, a moment later: a fifth
# of a worker's time. The first is for Arrow's allocator, the others for NumPy's.
ALLOCATORS = {
    "MIMALLOC_PURGE_DELAY": "-1",
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}

Item = TypeVar("Item")


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


def gather(
    items: Iterable[Item], size_of: Callable[[Item], int], size: float, number: int = maxsize
) -> Iterator[list[Item]]:
    """Yield the items in lists, each of which ends as soon as it has `size` or `number` items; the last has the rest.

    >>> list(gather(["a", "bcd", "", "e", "f", "g"], len, size=3, number=3))
    [['a', 'bcd'], ['', 'e', 'f'], ['g']]
    """
    held, total = [], 0
    for item in items:
        held.append(item)
        total += size_of(item)
        if total >= size or len(held) == number:
            yield held
            held, total = [], 0
    if held:
        yield held


def gather_rows(
    batches: Iterable[pa.RecordBatch], rows: int, size: int, exact: bool = False
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `batches` in larger ones, each of which ends as soon as it has `rows` or `size` bytes.

    The last has the rest. Batches stay whole, unless `exact`: then none has more than `rows`.

    >>> batches = [pa.RecordBatch.from_pydict({"n": list(range(rows))}) for rows in (2, 3, 0, 1, 7)]
    >>> [batch.num_rows for batch in gather_rows(batches, rows=4, size=1000)]
    [5, 8]
    >>> [batch.num_rows for batch in gather_rows(batches, rows=4, size=1000, exact=True)]
    [4, 4, 4, 1]
    """
    held: list[pa.RecordBatch] = []
    count = total = 0
    for batch in batches:
        while exact and count + batch.num_rows > rows:
            yield _joined([*held, batch.slice(0, rows - count)])
            batch = batch.slice(rows - count)
            held, count, total = [], 0, 0
        if not batch.num_rows:
            continue
        held.append(batch)
        count += batch.num_rows
        total += batch.nbytes
        if count >= rows or total >= size:
            yield _joined(held)
            held, count, total = [], 0, 0
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def gather_reduced(
    batches: Iterable[pa.RecordBatch], reduce: Callable[[list[pa.RecordBatch]], pa.RecordBatch], size: int
) -> list[pa.RecordBatch]:
    """Return batches from which `reduce` makes the same as of all `batches`: those so far become one as they grow.

    They do whenever their bytes have doubled, from `size` on. So no more is held than that, or twice the result.

    >>> batches = [pa.RecordBatch.from_pydict({"n": [number]}) for number in range(9)]
    >>> last = lambda held: held[-1]
    >>> [batch["n"][0].as_py() for batch in gather_reduced(batches, last, size=20)]
    [8]
    """
    held: list[pa.RecordBatch] = []
    total, limit = 0, size
    for batch in batches:
        held.append(batch)
        total += batch.nbytes
        if total > limit:
            held = [reduce(held)]
            total = held[0].nbytes
            limit = max(limit, 2 * total)
    return held


def hex_numbers(uids: Strings) -> np.ndarray:
    """Return the number of each uid of 32 hexadecimal digits, in either case, as two uint64; any other uid is refused.

    >>> hex_numbers(["000000000000000100000000000000ff"]).tolist()
    [[1, 255]]
    """
    uids = string_array(uids, "uids")
    numbers, is_read = _numbers(uids, EITHER_CASE)
    if not is_read.all():
        wrong = uids[int(np.argmin(is_read))].as_py()
        raise InputError(
            f"uid {wrong!r} is no 32 hexadecimal digits, which this format stores as numbers; "
            "curate without the input's own uids to get such"
        )
    return numbers


def uid_numbers(uids: Strings) -> np.ndarray:
    """Return the key of each uid as two uint64: of 32 hexadecimal digits, in either case, the number they spell.

    >>> uid_numbers(["000000000000000100000000000000FF"]).tolist()
    [[1, 255]]
    """
    return _all_numbers(string_array(uids, "uids"), EITHER_CASE)


def exact_numbers(uids: Strings) -> np.ndarray:
    """Return a key of each uid as int64[uid, 2]; uids that differ, even only in case, have different keys.

    A null has no key and is refused.
    """
    uids = string_array(uids, "uids")
    if uids.null_count:
        raise InputError(f"{uids.null_count} of {len(uids)} uids are null; every image needs one")
    return _all_numbers(uids, LOWER_CASE).view(np.int64)


def _all_numbers(uids: pa.Array, digits: np.ndarray) -> np.ndarray:
    """Return the numbers that uids spell in `digits`, and for other uids those of their BLAKE2b."""
    numbers, is_read = _numbers(uids, digits)
    others = np.flatnonzero(~is_read)
    for row, uid in zip(others.tolist(), uids.take(pa.array(others)).to_pylist(), strict=True):
        numbers[row] = np.frombuffer(blake2b(uid.encode(), digest_size=16).digest(), ">u8")
    return numbers


def _numbers(uids: pa.Array, digits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two uint64 per uid, and for which uids they are what it spells in `digits`."""
    numbers, is_read = np.empty((len(uids), 2), np.uint64), np.empty(len(uids), bool)
    offsets, data = string_buffers(uids)
    read_digits(data, offsets, digits, numbers, is_read)
    return numbers, is_read
