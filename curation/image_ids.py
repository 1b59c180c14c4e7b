"""Compute uids of images (MD5s of URLs), hashes of uids and texts, and KEY: two integers that identify an image."""

from collections.abc import Sized

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runtime.argument_types import typed
from runtime.arrow import Strings, as_bytes, exact_numbers, is_utf8, string_array, string_buffers
from runtime.errors import InputError
from runtime.kernels.hashes import hex_digits, md5, xxhash

KEY = (pa.field("_uid_high", pa.int64()), pa.field("_uid_low", pa.int64()))  # Users' columns cannot have these names.
KEY_NAMES = [field.name for field in KEY]
SEED = 42  # Spark's xxhash64 has this seed.
_DIGITS = 32  # An MD5 has this many digits.


def key_columns(uids: pa.Array) -> list[pa.Array]:
    """Return the two columns of KEY for these uids."""
    return [pa.array(numbers) for numbers in exact_numbers(uids).T.copy()]


def spelled_key(rows: pa.RecordBatch, row: int) -> str:
    """Return the KEY of a row as 32 hexadecimal digits, which is the uid itself if that is an MD5.

    KEY must be the first columns of `rows`.
    """
    return "".join(f"{rows.column(half)[int(row)].as_py() % 2**64:016x}" for half in range(len(KEY)))


def spelled_keys(rows: pa.RecordBatch) -> pa.StringArray:
    """Return the KEY of each row, spelled as by `spelled_key`; KEY must be the first columns of `rows`.

    >>> uid = "0123456789abcdef00000000000000ff"
    >>> spelled_keys(pa.RecordBatch.from_arrays(key_columns(pa.array([uid])), schema=pa.schema(KEY)))[0].as_py() == uid
    True
    """
    halves = np.stack([rows.column(half).to_numpy() for half in range(len(KEY))], axis=1)
    return _spelled(halves.astype(">i8").view(np.uint32), rows.num_rows)


@typed
def uids(urls: Strings, stated_uids: Strings | None = None) -> pa.StringArray:
    """Return each URL's uid in `stated_uids` or, if that is null, its MD5 as 32 lower-case hexadecimal digits.

    >>> uids(pa.array(["https://example.org/", None, "b.png"]), stated_uids=pa.array([None, None, "b"])).to_pylist()
    ['ef57f67c6e906397e7bb672c286a4969', None, 'b']
    """
    urls = string_array(urls, "urls")
    if stated_uids is None:
        return _digests(urls)
    stated = string_array(stated_uids, "uids").cast(pa.string())
    _require_as_many(stated, "uids", urls, "urls")
    missing = stated.is_null()
    return pc.replace_with_mask(stated, missing, _digests(urls.filter(missing))) if stated.null_count else stated


def uid_hashes(uids: pa.Array) -> np.ndarray:
    """Return Spark's xxhash64(uid) as int64; SEED for a null."""
    uids = string_array(uids, "uids")
    return _hashed(uids, np.full(len(uids), SEED, np.uint64)).view(np.int64)


def hashes(uids: pa.Array, texts: pa.Array) -> np.ndarray:
    """Return Spark's xxhash64(uid, text) as int64: the hash of the uid is the seed of the hash of the text."""
    seeds = uid_hashes(uids).view(np.uint64)
    texts = string_array(texts, "texts")
    _require_as_many(texts, "texts", seeds, "uids")
    return _hashed(texts, seeds).view(np.int64)


def _digests(values: pa.Array) -> pa.StringArray:
    rows = len(values)
    if rows * _DIGITS > np.iinfo(np.int32).max:
        raise InputError(f"{rows:,} rows in one batch are too many for one Arrow array; pass smaller batches")
    offsets, data = string_buffers(values)
    words = np.empty((rows, 4), np.uint32)
    md5(data, offsets, words)
    array = _spelled(words, rows)
    return pc.if_else(values.is_valid(), array, None) if values.null_count else array


def _spelled(words: np.ndarray, rows: int) -> pa.StringArray:
    """Return the four words (uint32) of each row as 32 hexadecimal digits."""
    digits = np.empty(rows * 4, np.uint64)
    hex_digits(words.reshape(-1), digits)
    ends = np.arange(rows + 1, dtype=np.int32) * np.int32(_DIGITS)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(digits))


def _hashed(values: pa.Array, seeds: np.ndarray) -> np.ndarray:
    """Return XXH64 of each value with its seed; for a null, the seed unchanged."""
    offsets, data = string_buffers(values)
    out = np.empty(len(values), np.uint64)
    xxhash(data, offsets, seeds, out)
    return np.where(values.is_valid().to_numpy(zero_copy_only=False), out, seeds) if values.null_count else out


def _require_as_many(values: Sized, what: str, others: Sized, of_what: str) -> None:
    if len(values) != len(others):
        raise InputError(f"{len(values):,} {what} were passed with {len(others):,} {of_what}; pass one for each")


def uid_bytes(array: pa.Array) -> pa.Array:
    """Return uids as binary that is valid UTF-8; other bytes, such as digests and UUIDs, become hexadecimal digits."""
    values = as_bytes(array)
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        strings = [value if is_utf8(value) else value.hex().encode() for value in values.to_pylist()]
        return pa.array(strings, pa.binary())
    return values
