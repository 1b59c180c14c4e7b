"""Perceptual hashes of many kinds: random ones, variants of few, and those that differ in few bits."""

import numpy as np

from curation.plugins.near_duplicates.index import words_of

RANDOM = np.random.default_rng(0)


def random_hashes(rows: int, words: int = 1) -> np.ndarray:
    return words_of(RANDOM.bytes(rows * words * 8), words * 64)


def variants(rows: int, originals: int, flips: int, words: int = 1) -> np.ndarray:
    """Return distinct hashes that differ from some originals in up to so many bits."""
    found = random_hashes(originals, words)[RANDOM.integers(0, originals, rows)]
    for _ in range(flips):
        bit = RANDOM.integers(0, 64 * words, rows)
        flip = np.where(RANDOM.random(rows) < 0.7, np.uint64(1) << (bit % 64).astype(np.uint64), np.uint64(0))
        found[np.arange(rows), bit // 64] ^= flip
    return distinct(found)


def distinct(hashes: np.ndarray) -> np.ndarray:
    return RANDOM.permutation(np.unique(hashes, axis=0))


def with_bits_in(places: slice, rows: int) -> np.ndarray:
    """Return hashes that differ in some bits only, so that most bands are the same in all of them."""
    bits = np.zeros((rows, 64), np.uint8)
    bits[:, places] = RANDOM.integers(0, 2, bits[:, places].shape)
    return distinct(words_of(np.packbits(bits, axis=1).tobytes(), 64))


HASHES = {
    "random": random_hashes(2000),
    "variants": variants(2000, 200, 9),
    "one cluster": variants(700, 1, 6),
    "few bits at one end": with_bits_in(slice(0, 14), 700),
    "every fourth bit": with_bits_in(slice(0, 64, 4), 700),
    "one bit": (np.uint64(1) << np.arange(64, dtype=np.uint64))[:, None],
    "none": np.empty((0, 1), np.uint64),
    "one": random_hashes(1),
    "256 bits": variants(1000, 100, 20, words=4),
    "256 bits, one cluster": variants(400, 1, 12, words=4),
}
