"""Turn uids into keys of 16 bytes, which need no string per image; sort more of them than memory holds.

The key of a uid of 32 hexadecimal digits is the bytes that it spells; of another, an input's own, its BLAKE2b.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from runtime.arrow.buffers import Strings, string_array, string_buffers
from runtime.errors import InputError
from runtime.kernels.hashes import EITHER_CASE, LOWER_CASE, read_digits

KEY = np.dtype("S16")  # compares as its bytes do, so in the order of the digits
_BUCKETS = 256  # files, by a key's first byte: of a billion keys each holds 62 MB


def hex_keys(uids: Strings) -> np.ndarray:
    """Return the KEY of each uid of 32 hexadecimal digits, in either case; any other uid is refused.

    >>> hex_keys(["000000000000000000000000000000ff"])[0][-1]
    255
    """
    uids = string_array(uids, "uids")
    numbers, is_read = _numbers(uids, EITHER_CASE)
    if not is_read.all():
        wrong = uids[int(np.argmin(is_read))].as_py()
        raise InputError(
            f"uid {wrong!r} is no 32 hexadecimal digits, which this format stores as numbers; "
            "curate without the input's own uids to get such"
        )
    return _keys(numbers)


def uid_numbers(uids: Strings) -> np.ndarray:
    """Return the key of each uid as two uint64: of 32 hexadecimal digits, in either case, the number they spell.

    >>> uid_numbers(["000000000000000100000000000000FF"]).tolist()
    [[1, 255]]
    """
    return _all_numbers(string_array(uids, "uids"), EITHER_CASE)


def exact_numbers(uids: Strings) -> np.ndarray:
    """Return a key of each uid as int64[uid, 2]; of uids that differ in any character, also only in case, others.

    A null has no key and is refused.
    """
    uids = string_array(uids, "uids")
    if uids.null_count:
        raise InputError(f"{uids.null_count} of {len(uids)} uids are null; every image needs one")
    return _all_numbers(uids, LOWER_CASE).view(np.int64)


def save_sorted(batches: Iterable[np.ndarray], path: Path, form: Callable = np.asarray) -> int:
    """Write all keys in ascending order to one .npy; return their number.

    `form` makes of sorted keys what is written of them. Memory holds the keys that begin with one byte: a 256th of
    them where uids are MD5 or otherwise spread.
    """
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as work:
        files = [Path(work) / f"{byte:02x}" for byte in range(_BUCKETS)]
        _spread(batches, files)
        rows = sum(file.stat().st_size for file in files) // KEY.itemsize
        with path.open("wb") as out:
            dtype = np.lib.format.dtype_to_descr(form(np.empty(0, KEY)).dtype)
            header = {"descr": dtype, "fortran_order": False, "shape": (rows,)}
            np.lib.format.write_array_header_1_0(out, header)
            for file in files:
                keys = np.fromfile(file, KEY)
                keys.sort()
                form(keys).tofile(out)
    return rows


def _spread(batches: Iterable[np.ndarray], files: list[Path]) -> None:
    """Append each key to the file of its first byte."""
    with ExitStack() as stack:
        buckets = [stack.enter_context(file.open("wb")) for file in files]
        for keys in batches:
            first = keys.view(np.uint8)[:: KEY.itemsize]
            order = np.argsort(first, kind="stable")
            ends = np.cumsum(np.bincount(first, minlength=_BUCKETS))
            for bucket, some in zip(buckets, np.split(keys[order], ends[:-1]), strict=True):
                some.tofile(bucket)


def _all_numbers(uids: pa.Array, digits: np.ndarray) -> np.ndarray:
    """Return the numbers that uids spell in `digits`, and those of the BLAKE2b of others."""
    numbers, is_read = _numbers(uids, digits)
    others = np.flatnonzero(~is_read)
    for row, uid in zip(others.tolist(), uids.take(pa.array(others)).to_pylist(), strict=True):
        numbers[row] = np.frombuffer(blake2b(uid.encode(), digest_size=KEY.itemsize).digest(), ">u8")
    return numbers


def _numbers(uids: pa.Array, digits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two uint64 per uid, and for which uids they are what it spells in `digits`."""
    numbers, is_read = np.empty((len(uids), 2), np.uint64), np.empty(len(uids), bool)
    offsets, data = string_buffers(uids)
    read_digits(data, offsets, digits, numbers, is_read)
    return numbers, is_read


def _keys(numbers: np.ndarray) -> np.ndarray:
    """Return KEYs of pairs of uint64; the array given is used up."""
    in_order = numbers.byteswap(inplace=True) if sys.byteorder == "little" else numbers
    return in_order.view(KEY).reshape(-1)
