"""Uids as 16 bytes, which sort and compare without a string per image, and more of them in order than memory holds.

A uid of 32 hexadecimal digits is the bytes that it spells; another, of an input's own, is known by its BLAKE2b.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runtime.arrow.buffers import string_array, string_buffers
from runtime.errors import InputError

KEY = np.dtype("S16")  # compares as its bytes do, so in the order of the digits
LABELLED = np.dtype("S17")  # a key and behind it a byte that says something about it
DIGITS = 32
_BUCKETS = 256  # files, by a key's first byte: of a billion keys each holds 62 MB


def hex_keys(uids) -> np.ndarray:
    """Return the key of each uid of 32 hexadecimal digits; any other uid is refused.

    >>> hex_keys(["000000000000000000000000000000ff"])[0][-1]
    255
    """
    uids = string_array(uids, "uids")
    keys, read = _keys_of_digits(uids, _EITHER_CASE)
    if not read.all():
        wrong = uids[int(np.argmin(read))].as_py()
        raise InputError(
            f"uid {wrong!r} is no 32 hexadecimal digits, which this format stores as numbers; "
            "curate without the input's own uids to get such"
        )
    return keys


def keys_of(uids) -> np.ndarray:
    """Return the key of each uid, whatever it looks like; a null has none and is refused."""
    uids = string_array(uids, "uids")
    if uids.null_count:
        raise InputError(f"{uids.null_count} of {len(uids)} uids are null; every image needs one")
    keys, read = _keys_of_digits(uids, _LOWER_CASE)
    rest = np.flatnonzero(~read)
    for row, uid in zip(rest.tolist(), uids.take(pa.array(rest)).to_pylist(), strict=True):
        keys[row] = blake2b(uid.encode(), digest_size=KEY.itemsize).digest()
    return keys


def labelled(keys: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return LABELLED keys, with a label from 0 to 255 each."""
    rows = np.empty((len(keys), LABELLED.itemsize), np.uint8)
    rows[:, :-1] = keys.view(np.uint8).reshape(len(keys), KEY.itemsize)
    rows[:, -1] = labels
    return rows.view(LABELLED).reshape(-1)


def labels(ascending: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the smallest label that each key has among LABELLED ones, -1 where it is not among them."""
    found = np.full(len(keys), -1, np.int64)
    if not len(ascending):
        return found
    order = np.argsort(keys, kind="stable")  # neighbours look in the same places, which are in the cache
    sought = labelled(keys[order], 0)
    rows = ascending[np.minimum(np.searchsorted(ascending, sought), len(ascending) - 1)]
    of_row = rows.view(np.uint8).reshape(-1, LABELLED.itemsize)[:, -1].astype(np.int64)
    found[order] = np.where(rows.astype(KEY) == keys[order], of_row, -1)
    return found


def save_sorted(batches: Iterable[np.ndarray], path: Path, form: Callable = np.asarray, kind: np.dtype = KEY) -> int:
    """Write all keys of a kind in ascending order to one .npy, each array in the `form` given; return their number.

    Memory holds the keys that begin with one byte: a 256th of them where uids are MD5 or otherwise spread.
    """
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as work:
        files = [Path(work) / f"{byte:02x}" for byte in range(_BUCKETS)]
        _spread(batches, files)
        rows = sum(file.stat().st_size for file in files) // kind.itemsize
        with path.open("wb") as out:
            dtype = np.lib.format.dtype_to_descr(form(np.empty(0, kind)).dtype)
            header = {"descr": dtype, "fortran_order": False, "shape": (rows,)}
            np.lib.format.write_array_header_1_0(out, header)
            for file in files:
                keys = np.fromfile(file, kind)
                keys.sort()
                form(keys).tofile(out)
    return rows


def _spread(batches: Iterable[np.ndarray], files: list[Path]) -> None:
    """Append each key to the file of its first byte."""
    with ExitStack() as stack:
        buckets = [stack.enter_context(file.open("wb")) for file in files]
        for keys in batches:
            first = keys.view(np.uint8)[:: keys.itemsize]
            order = np.argsort(first, kind="stable")
            ends = np.cumsum(np.bincount(first, minlength=_BUCKETS))
            for bucket, some in zip(buckets, np.split(keys[order], ends[:-1]), strict=True):
                some.tofile(bucket)


def _keys_of_digits(uids: pa.Array, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a key per uid, and for which uids it is that of their digits, read by `values`."""
    read = pc.fill_null(pc.equal(pc.binary_length(uids), DIGITS), False).to_numpy(zero_copy_only=False).copy()
    keys = np.zeros((len(uids), KEY.itemsize), np.uint8)
    offsets, data = string_buffers(uids.filter(pa.array(read)))
    digits = np.take(values, data[offsets[0] : offsets[-1]]).reshape(-1, DIGITS)
    keys[read] = digits[:, 0::2] << 4 | digits[:, 1::2]
    read[read] = (digits < _NO_DIGIT).all(axis=1)
    return keys.view(KEY).reshape(-1), read


_NO_DIGIT = 16


def _values(digits: str) -> np.ndarray:
    """Return the value of each byte as a digit; `digits` are those from 0 to 15, perhaps in several spellings."""
    values = np.full(256, _NO_DIGIT, np.uint8)
    values[list(digits.encode())] = [int(digit, 16) for digit in digits]
    return values


_LOWER_CASE = _values("0123456789abcdef")
_EITHER_CASE = _values("0123456789abcdefABCDEF")
