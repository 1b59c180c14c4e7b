"""Hashes of pictures in a column of someone's table, in any usual form: as binaries of one length."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.kernels.near_copies import count_bits
from curation.near_copies.words import HASH_BITS
from runtime.errors import InputError

# A picture that varies in one direction only (one colour, a gradient, stripes) has 8 frequencies at most that are not
# zero, so that at most 8 bits of its pHash are set; of a photograph 32 are.
PLAIN_BITS = 8
_EXPECTED = "hashes are binaries of 8 or 32 bytes, their hexadecimal digits, or integers of 64 bits"


def hash_bits(batches: Iterable[pa.Array], name: str) -> int:
    """Return the bits of the hashes in a column, by the first that is not null; InputError where there is none."""
    for column in batches:
        known = column.drop_null()
        if len(known):
            bits = 8 * len(hash_binaries(known.slice(0, 1), name)[0].as_py())
            if bits not in HASH_BITS:
                raise InputError(f"the column {name} has hashes of {bits} bits; {_EXPECTED}")
            return bits
    raise InputError(f"the column {name} has no hash: all of its rows are null; hash the pictures by clip-hash")


def hash_binaries(column: pa.Array, name: str) -> pa.Array:
    """Return hashes as binaries: the bytes that digits spell, or of integers the bytes, the most significant first."""
    if pa.types.is_integer(column.type):
        numbers = column.fill_null(0).to_numpy(zero_copy_only=False).astype(">u8", casting="unsafe")
        return _with_nulls(column, numbers.tobytes(), 8)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _of_digits(column, name)
    if pa.types.is_null(column.type):
        return column.cast(pa.binary())
    if is_bytes(column.type):
        return column.cast(pa.binary())
    raise InputError(f"the column {name} is {column.type}; {_EXPECTED}")


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a type is one of binaries."""
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def hash_words(column: pa.Array, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return hashes of so many bytes as rows of uint64, and which rows have one; nulls have none, and any number.

    InputError for hashes of another size.
    """
    try:
        fixed = hash_binaries(column, name).cast(pa.binary(size))
    except pa.ArrowException:
        raise InputError(f"the column {name} has hashes that are not of {size} bytes; {_EXPECTED}") from None
    data = fixed.buffers()[1]
    words = np.zeros(len(column) * size // 8, ">u8")
    if data is not None:
        words = np.frombuffer(data, ">u8", len(words), fixed.offset * size)
    is_given = column.is_valid().to_numpy(zero_copy_only=False)
    return words.astype(np.uint64).reshape(len(column), size // 8), is_given


def is_plain(words: np.ndarray) -> np.ndarray:
    """Return which pHashes are those of pictures that vary in one direction only, as plain ones.

    >>> is_plain(np.array([[0x8000000000000000], [0xFF], [0x1FF]], np.uint64)).tolist()
    [True, True, False]
    """
    bits = np.empty(len(words), np.int64)
    count_bits(words, bits)
    return bits <= PLAIN_BITS


def _of_digits(column: pa.Array, name: str) -> pa.Array:
    known = column.drop_null()
    lengths = pc.unique(pc.binary_length(known)).to_pylist()
    if not lengths:
        return pa.nulls(len(column), pa.binary())
    try:
        data = bytes.fromhex("".join(known.to_pylist()))
        if len(lengths) > 1 or 2 * len(data) != lengths[0] * len(known):
            raise ValueError
    except ValueError:
        raise InputError(f"the column {name} has {known[0].as_py()[:80]!r}; {_EXPECTED}") from None
    size, places = lengths[0] // 2, np.cumsum(column.is_valid().to_numpy(zero_copy_only=False)) - 1
    return _binaries(data, size).take(pa.array(places, mask=~column.is_valid().to_numpy(zero_copy_only=False)))


def _with_nulls(column: pa.Array, data: bytes, size: int) -> pa.Array:
    return pc.if_else(column.is_valid(), _binaries(data, size), None)


def _binaries(data: bytes, size: int) -> pa.Array:
    rows = len(data) // size if size else 0
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), rows, [None, pa.py_buffer(data)]).cast(pa.binary())
