"""Draw numbers by seed, purpose and an image's uid: the only source of chance in what a run writes.

A rerun, a retry, another partitioning or cluster draws the same numbers, and a threshold that grows keeps what it kept.
"""

from hashlib import blake2b
from numbers import Integral

import numpy as np
import pyarrow as pa

from runtime.arrow.buffers import Strings
from runtime.errors import InputError
from runtime.kernels.hashes import siphash


def draws(seed: int, purpose: str, uids: Strings) -> np.ndarray:
    """Return one float64 in [0, 1) per uid; another seed or purpose gives independent numbers.

    A number is the top 53 bits of SipHash-2-4 over the uid's UTF-8 bytes, under a key of 128 bits that BLAKE2b makes
    of seed and purpose. Both are standard and keyed for cryptographic use: unlike a CRC, or a seed added to a plain
    hash, two keys give numbers with no relation that could be found, even where the uids differ in one digit only.
    """
    key_0, key_1 = _key(seed, purpose)
    hashes = [_hashes(chunk, key_0, key_1) for chunk in _string_chunks(uids)]
    return (np.concatenate([np.empty(0, np.uint64), *hashes]) >> np.uint64(11)) * 2.0**-53


def _key(seed: int, purpose: str) -> np.ndarray:
    if not isinstance(seed, Integral):
        raise InputError(f"the seed is {seed!r}; it must be an integer")
    return np.frombuffer(blake2b(f"{seed:d}/{purpose}".encode(), digest_size=16).digest(), "<u8")


def _string_chunks(uids: Strings) -> list[pa.Array]:
    if not isinstance(uids, pa.Array | pa.ChunkedArray):
        uids = pa.array(uids, pa.string())
    if uids.type not in (pa.string(), pa.large_string()):
        raise InputError(f"uids are of type {uids.type}; give an Arrow array of strings")
    if uids.null_count:
        raise InputError(f"{uids.null_count} of {len(uids)} uids are null; every image needs one to be drawn for")
    return uids.chunks if isinstance(uids, pa.ChunkedArray) else [uids]


def _hashes(uids: pa.Array, key_0: np.uint64, key_1: np.uint64) -> np.ndarray:
    out = np.empty(len(uids), np.uint64)
    if len(uids):  # no rows may come without buffers
        _, offsets, data = uids.buffers()
        width = np.int64 if uids.type == pa.large_string() else np.int32
        offsets = np.frombuffer(offsets, width)[uids.offset : uids.offset + len(uids) + 1]
        siphash(np.frombuffer(data or b"", np.uint8), offsets.astype(np.int64), key_0, key_1, out)
    return out
