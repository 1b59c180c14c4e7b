"""Turn uids into keys of 16 bytes, so that no string per image is needed.

A uid of 32 hexadecimal digits becomes the bytes that it spells; any other uid (from the input) becomes its BLAKE2b.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pyarrow as pa

from runtime.arrow.buffers import Strings, string_array, string_buffers
from runtime.errors import InputError
from runtime.kernels.hashes import EITHER_CASE, LOWER_CASE, read_digits


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
