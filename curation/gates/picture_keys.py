"""Read columns of hashes of pictures, SHA-256 and pHash, as numbers; they come as bytes or as hexadecimal digits."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runtime.arrow.buffers import string_buffers
from runtime.errors import InputError
from runtime.kernels.hexadecimal import DIGITS, EITHER_CASE, read_digits

SHA256_BYTES, PHASH_BYTES = 32, 8


def sha256_keys(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the first 16 bytes of each SHA-256 as two uint64, and which rows have one; nulls have none.

    InputError for any other value.
    """
    is_given = column.is_valid().to_numpy(zero_copy_only=False)
    if _is_bytes(column.type):
        return np.ascontiguousarray(_words_of_bytes(column, SHA256_BYTES, "sha256")[:, :2]), is_given
    digits = _digits(column, SHA256_BYTES, "sha256")
    return _numbers(pc.utf8_slice_codeunits(digits, 0, DIGITS), column, "sha256"), is_given


def phash_words(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return each pHash as uint64[row, 1], and which rows have one; nulls have none. InputError for any other value."""
    is_given = column.is_valid().to_numpy(zero_copy_only=False)
    if _is_bytes(column.type):
        return _words_of_bytes(column, PHASH_BYTES, "phash"), is_given
    digits = _digits(column, PHASH_BYTES, "phash")
    numbers = _numbers(pc.utf8_lpad(digits, DIGITS, "0"), column, "phash")
    return np.ascontiguousarray(numbers[:, 1:]), is_given


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def _words_of_bytes(column: pa.Array, size: int, name: str) -> np.ndarray:
    """Return the bytes of each value as rows of uint64; of a null anything."""
    try:
        fixed = column.cast(pa.binary(size))
    except pa.ArrowException:
        raise InputError(f"the column {name} is {column.type}; {_expected(size)}") from None
    data = fixed.buffers()[1]
    if data is None:
        return np.zeros((len(column), size // 8), np.uint64)
    words = np.frombuffer(data, ">u8", len(column) * size // 8, fixed.offset * size)
    return words.astype(np.uint64).reshape(len(column), size // 8)


def _digits(column: pa.Array, size: int, name: str) -> pa.Array:
    """Return the digits of values, as many as `size` bytes have."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_null(column.type)):
        raise InputError(f"the column {name} is {column.type}; {_expected(size)}")
    digits = column.cast(pa.large_string())
    wrong = digits.filter(pc.not_equal(pc.utf8_length(digits), 2 * size))
    if len(wrong):
        raise InputError(f"the column {name} has {wrong[0].as_py()[:100]!r}; {_expected(size)}")
    return digits


def _numbers(digits: pa.Array, column: pa.Array, name: str) -> np.ndarray:
    """Return two uint64 for each row of 32 digits."""
    numbers, is_read = np.empty((len(digits), 2), np.uint64), np.empty(len(digits), bool)
    offsets, data = string_buffers(digits)
    read_digits(data, offsets, EITHER_CASE, numbers, is_read)
    wrong = np.flatnonzero(~is_read & digits.is_valid().to_numpy(zero_copy_only=False))
    if len(wrong):
        value = column[int(wrong[0])].as_py()
        raise InputError(f"the column {name} has {value!r}; {_expected(len(value) // 2)}")
    return numbers


def _expected(size: int) -> str:
    return f"it must hold {size} bytes, or {2 * size} hexadecimal digits"
