"""Perceptual hashes as rows of uint64: their bytes, the keys that give their order, and bands of their bits."""

from __future__ import annotations

import numpy as np

from curation.kernels import near_copies as kernels
from runtime.errors import InputError, require_integer

HASH_BITS = (64, 256)
WORD_BITS = 64
MOST_SHARE = 4  # a distance is at most a quarter of the bits: two unrelated pictures differ in half of them
_MOST_BAND_BITS = 62


def require_distance(k: int, bits: int) -> None:
    """Refuse a distance that is none, or too large to mean a copy."""
    require_integer("distance", k, 0)
    if bits not in HASH_BITS:
        raise InputError(f"the hashes have {bits} bits; give hashes of 64 bits, as pHash, or of 256, as PDQ")
    if k > bits // MOST_SHARE:
        raise InputError(f"distance is {k}; of {bits} bits at most {bits // MOST_SHARE} may differ in copies")


def shuffled(words: np.ndarray) -> np.ndarray:
    """Return the keys of hashes, whose order is the order of hashes; both are uint64[rows, words]."""
    out = np.empty(words.shape, np.uint64)
    kernels.shuffle(words, out)
    return out


def unshuffled(keys: np.ndarray) -> np.ndarray:
    """Return the hashes of keys."""
    out = np.empty(keys.shape, np.uint64)
    kernels.unshuffle(keys, out)
    return out


def words_of(data: bytes | memoryview | np.ndarray, bits: int) -> np.ndarray:
    """Return hashes, or keys, of consecutive bytes as rows of uint64: numbers are in the order of the bytes."""
    return np.frombuffer(data, ">u8").astype(np.uint64).reshape(-1, bits // WORD_BITS)


def bytes_of(words: np.ndarray) -> np.ndarray:
    """Return the bytes of rows of uint64, the inverse of `words_of`."""
    return words.astype(">u8").view(np.uint8)


def in_order(keys: np.ndarray) -> np.ndarray:
    """Return the positions of keys in ascending order."""
    return np.argsort(keys[:, 0], kind="stable") if keys.shape[1] == 1 else np.lexsort(keys.T[::-1])


def band_of(words: np.ndarray, band: int, k: int) -> np.ndarray:
    """Return the value of one of k + 1 bands of bits in each hash: two hashes within `k` bits share one at least."""
    out = np.empty(len(words), np.int64)
    kernels.values(words, band_bits(band, k, WORD_BITS * words.shape[1]), out)
    return out


def band_bits(band: int, k: int, bits: int) -> np.ndarray:
    """Return the bits of one of k + 1 bands, not more than an int64 holds.

    >>> band_bits(1, 2, 64).tolist()[:2], len(band_bits(1, 2, 64))
    ([21, 22], 21)
    """
    return np.arange(bits * band // (k + 1), bits * (band + 1) // (k + 1))[:_MOST_BAND_BITS]
