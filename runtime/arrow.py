"""Convert between Arrow and NumPy arrays, gather batches into larger ones, and turn uids into keys of 16 bytes.

The key of a uid of 32 hexadecimal digits is the 16 bytes that the digits spell. An input may also have other uids; the
key of such a uid is its BLAKE2b hash. With keys, no stage has to hold a string for each image.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from sys import maxsize
from types import NoneType
from typing import TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from runtime.argument_types import require_several
from runtime.errors import InputError
from runtime.kernels.hashes import EITHER_CASE, LOWER_CASE, read_digits
from runtime.messages import shown

Strings: TypeAlias = Iterable[str | None] | pa.Array | pa.ChunkedArray
Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)

# These settings keep freed memory in the process. Memory that is returned to the system and needed again a moment later
# is mapped page by page, which takes a fifth of a worker's time. The first is for Arrow's allocator, the others are for
# NumPy's.
ALLOCATORS = {
    "MIMALLOC_PURGE_DELAY": "-1",
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}

Item = TypeVar("Item")


def string_array(values: Strings, what: str) -> pa.Array:
    """Return strings, given as a sequence or an Arrow array, as one array of type large_string; nulls stay nulls.

    Values of any other type raise an InputError; `what` names the values in its message.
    """
    require_several(what, values)
    if hasattr(values, "columns"):
        raise InputError(f"{what} must be strings; got a table ({type(values).__name__}): pass one of its columns")
    try:
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        if not isinstance(values, pa.Array):
            values = pa.array(values, pa.large_string())
    except UnicodeEncodeError as error:
        raise InputError(f"{what} must be strings of valid Unicode; {error}") from None
    except (pa.ArrowInvalid, TypeError):
        others = (value for value in values if not isinstance(value, str | NoneType))
        odd = next(others, None)
        raise InputError(f"{what} must be strings; one is of type {type(odd).__name__}: {shown(odd)}") from None
    if not (pa.types.is_large_string(values.type) or pa.types.is_null(values.type)):
        if not (pa.types.is_string(values.type) or pa.types.is_string_view(values.type)):
            raise InputError(f"{what} must be strings; got an array of {values.type}: cast it first")
    return _large(values)


def present_uids(uids: Strings) -> pa.Array:
    """Return uids as an array of type large_string; a null uid raises an InputError."""
    array = string_array(uids, "uids")
    if array.null_count:
        first = pc.index(pc.is_null(array), True).as_py()
        raise InputError(
            f"{array.null_count} of {len(array)} uids are null, the first at position {first}; every image needs a "
            "uid: leave out such rows, or make uids of their URLs by curation.uids"
        )
    return array


def numbers(values: ArrayLike, what: str) -> np.ndarray:
    """Return a sequence of numbers as an array; a table, or lists of unequal length, raise an InputError."""
    if hasattr(values, "columns"):
        raise InputError(f"{what} must be numbers; got a table ({type(values).__name__}): pass one of its columns")
    try:
        return np.asarray(values)
    except ValueError:
        raise InputError(f"{what} must be one number for each entry; got {shown(values)}") from None


def string_buffers(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets (int64[length + 1]) and UTF-8 bytes (uint8) of a string array; a null becomes an empty string.

    Both arrays are read-only, like most of Arrow's buffers. For writable arrays, Numba would compile each kernel again.
    """
    array = _large(array)
    if array.null_count:
        array = array.fill_null("")
    _, offsets, data = array.buffers()
    ends = np.zeros(1, np.int64)
    content = np.zeros(0, np.uint8)
    if offsets is not None and len(array):
        ends = np.frombuffer(offsets, np.int64, len(array) + 1, array.offset * 8)
        if data is not None:
            content = np.frombuffer(data, np.uint8)
    ends.flags.writeable = False
    content.flags.writeable = False
    return ends, content


def _large(array: pa.Array) -> pa.Array:
    return array if pa.types.is_large_string(array.type) else array.cast(pa.large_string())


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; a column of one chunk is not copied."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


def one_batch(rows: pa.Table) -> pa.RecordBatch:
    """Return the rows of a table as one batch; each column must fit into one array."""
    return pa.RecordBatch.from_arrays([one_array(column) for column in rows.columns], schema=rows.schema)


def list_array(offsets: np.ndarray, ids: np.ndarray, like: pa.Array) -> pa.Array:
    """Return a list<int32> array with ids[offsets[k]:offsets[k + 1]] in row k; a row is null if `like` is null there.

    More ids than offsets of 32 bits can count raise an InputError.
    """
    if offsets[-1] > np.iinfo(np.int32).max:
        raise InputError(f"{offsets[-1]:,} matches in one batch are too many for one Arrow array: pass smaller batches")
    mask = pc.is_null(like) if like.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(ids, pa.int32()), mask=mask)


def parts(lists: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Return the items of all lists as one array, and the offset of each list in it as int64[lists + 1].

    A null list is empty.
    """
    if lists.null_count:
        # A null list may still have items in the array; only flatten() leaves these out.
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        return lists.flatten(), np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return lists.values.slice(offsets[0], offsets[-1] - offsets[0]), offsets - offsets[0]


def require(rows: Rows, schema: pa.Schema) -> Rows:
    """Return `rows` with exactly the columns of `schema`, cast to its types; a missing column raises an InputError."""
    missing = [name for name in schema.names if name not in rows.schema.names]
    if missing:
        raise InputError(f"missing columns {missing}; got {rows.schema.names}")
    return rows.select(schema.names).cast(schema)


def gather(
    items: Iterable[Item], size_of: Callable[[Item], int], size: float, number: int = maxsize
) -> Iterator[list[Item]]:
    """Yield the items in lists: a list ends once the sizes of its items add up to `size`, or it has `number` items.

    The last list has the remaining items.

    >>> list(gather(["a", "bcd", "", "e", "f", "g"], len, size=3, number=3))
    [['a', 'bcd'], ['', 'e', 'f'], ['g']]
    """
    held = []
    total = 0
    for item in items:
        held.append(item)
        total += size_of(item)
        if total >= size or len(held) == number:
            yield held
            held = []
            total = 0
    if held:
        yield held


def gather_rows(
    batches: Iterable[pa.RecordBatch], rows: int, size: int, exact: bool = False
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `batches` in larger batches: a batch ends once it has `rows` rows or `size` bytes.

    The last batch has the remaining rows. The given batches are split only if `exact` is True; then no batch has more
    than `rows` rows.

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
            held = []
            count = 0
            total = 0
        if not batch.num_rows:
            continue
        held.append(batch)
        count += batch.num_rows
        total += batch.nbytes
        if count >= rows or total >= size:
            yield _joined(held)
            held = []
            count = 0
            total = 0
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def gather_reduced(
    batches: Iterable[pa.RecordBatch], reduce: Callable[[list[pa.RecordBatch]], pa.RecordBatch], size: int
) -> list[pa.RecordBatch]:
    """Return a few batches for which `reduce` gives the same result as for all `batches`.

    Batches are held in memory. Once they take more than `size` bytes, or twice the bytes of the last result if that is
    more, `reduce(held)` replaces them. So memory never holds much more than that.

    >>> batches = [pa.RecordBatch.from_pydict({"n": [number]}) for number in range(9)]
    >>> last = lambda held: held[-1]
    >>> [batch["n"][0].as_py() for batch in gather_reduced(batches, last, size=20)]
    [8]
    """
    held: list[pa.RecordBatch] = []
    total = 0
    limit = size
    for batch in batches:
        held.append(batch)
        total += batch.nbytes
        if total > limit:
            held = [reduce(held)]
            total = held[0].nbytes
            limit = max(limit, 2 * total)
    return held


def hex_numbers(uids: Strings) -> np.ndarray:
    """Return the 128-bit number that each uid spells, as uint64[uid, 2].

    A uid is 32 hexadecimal digits in either case; any other uid raises an InputError.

    >>> hex_numbers(["000000000000000100000000000000ff"]).tolist()
    [[1, 255]]
    """
    uids = string_array(uids, "uids")
    numbers, is_read = _numbers(uids, EITHER_CASE)
    if not is_read.all():
        wrong = uids[int(np.argmin(is_read))].as_py()
        raise InputError(
            f"uid {wrong!r} does not consist of 32 hexadecimal digits, which this format stores as numbers; "
            "curate without the input's own uids to get such uids"
        )
    return numbers


def uid_numbers(uids: Strings) -> np.ndarray:
    """Return the key of each uid as uint64[uid, 2].

    The key of 32 hexadecimal digits, in either case, is the number that they spell; the key of any other uid is its
    BLAKE2b hash.

    >>> uid_numbers(["000000000000000100000000000000FF"]).tolist()
    [[1, 255]]
    """
    return _all_numbers(string_array(uids, "uids"), EITHER_CASE)


def exact_numbers(uids: Strings) -> np.ndarray:
    """Return a key of each uid as int64[uid, 2]; two uids that differ only in case have different keys.

    A null uid raises an InputError.
    """
    return _all_numbers(present_uids(uids), LOWER_CASE).view(np.int64)


def _all_numbers(uids: pa.Array, digits: np.ndarray) -> np.ndarray:
    """Return uint64[uid, 2]: the 128 bits that a uid spells in hexadecimal, or the BLAKE2b hash of any other uid.

    `digits` is LOWER_CASE or EITHER_CASE.
    """
    numbers, is_read = _numbers(uids, digits)
    others = np.flatnonzero(~is_read)
    for row, uid in zip(others.tolist(), uids.take(pa.array(others)).to_pylist(), strict=True):
        numbers[row] = np.frombuffer(blake2b(uid.encode(), digest_size=16).digest(), ">u8")
    return numbers


def _numbers(uids: pa.Array, digits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 128 bits that each uid spells, as uint64[uid, 2], and a mask of the uids of 32 hexadecimal digits.

    `digits` is LOWER_CASE or EITHER_CASE. Where the mask is False, the bits are undefined.
    """
    numbers = np.empty((len(uids), 2), np.uint64)
    is_read = np.empty(len(uids), bool)
    offsets, data = string_buffers(uids)
    read_digits(data, offsets, digits, numbers, is_read)
    return numbers, is_read


def taken(column: pa.Array, indices: pa.Array) -> pa.Array:
    """Return column.take(indices). For a column of nulls only, as of pages in many tables, this is faster."""
    return pa.nulls(len(indices), column.type) if column.null_count == len(column) else column.take(indices)


def differs(values: np.ndarray) -> np.ndarray:
    """Return whether each value differs from the value before; True for the first."""
    out = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=out[1:])
    return out


def holds_strings(kind: pa.DataType) -> bool:
    """Say whether a column of this type can hold strings: as strings, as bytes, in a dictionary, or as nulls only."""
    if pa.types.is_dictionary(kind):
        return holds_strings(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return holds_strings(kind.storage_type)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return is_text or is_bytes or pa.types.is_binary_view(kind) or pa.types.is_null(kind)


def as_bytes(array: pa.Array) -> pa.Array:
    """Return a column as binary, without a check of UTF-8, which Arrow makes only when it casts binary to strings."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if isinstance(array, pa.ExtensionArray):  # A column of UUIDs is one.
        array = array.storage
    if pa.types.is_fixed_size_binary(array.type):
        return array.cast(pa.binary())
    is_bytes = pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)
    return array if is_bytes else array.cast(pa.string()).cast(pa.binary())


def is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
