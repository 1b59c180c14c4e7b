"""Find near copies among perceptual hashes: all pairs within a Hamming distance, and the leader of each copy.

Hashes have an order, that of their shuffled keys. A *leader* has no leader before it within the distance; any other
hash is a *copy* of the first leader within the distance. So no two leaders are near each other, every copy is near its
leader, and neither the order of rows nor their partitions change anything. DESIGN.md says why, and why no pair is
missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from curation.kernels import near_copies as kernels
from curation.near_copies.index import INDEXED, Index
from curation.near_copies.words import WORD_BITS, band_bits, band_of, in_order, require_distance, shuffled, unshuffled

FIRST_SHARE = 256  # of all hashes, those that are the first of so many are compared with all others in a first round
ONE_ROUND = 1 << 14  # hashes that are compared in one round


def near_copies(hashes: np.ndarray, k: int) -> np.ndarray:
    """Return the leader of each hash, itself where it is no copy; hashes are rows of one or four uint64."""
    require_distance(k, WORD_BITS * hashes.shape[1])
    keys, rows = _distinct(shuffled(hashes))
    words, leaders = unshuffled(keys), np.arange(len(keys))
    undecided = np.arange(len(keys))
    for share in shares(len(keys)):
        indexed = -(-len(undecided) // share)
        copies, of = _led(pairs_within(words[undecided], k, indexed))
        leaders[undecided[copies]] = undecided[of]
        is_left = np.arange(len(undecided)) >= indexed
        is_left[copies] = False
        undecided = undecided[is_left]
    return words[leaders][rows]


def shares(number: int) -> tuple[int, ...]:
    """Return, for each round, the share of the undecided hashes that is compared with all of them, as a divisor."""
    return (1,) if number <= ONE_ROUND else (FIRST_SHARE, 1)


def pairs_within(words: np.ndarray, k: int, indexed: int) -> Iterator[np.ndarray]:
    """Yield all pairs of distinct hashes within `k` bits whose earlier one is among the first `indexed`, each once.

    A pair is the positions of the later and the earlier hash.
    """
    for band in range(k + 1):
        yield from pairs_in_band(words, k, indexed, band)


def pairs_in_band(words: np.ndarray, k: int, indexed: int, band: int) -> Iterator[np.ndarray]:
    """Yield those of `pairs_within` that share this band, and none before it."""
    values = band_of(words, band, k)
    order = np.argsort(values, kind="stable")
    bounds = np.append(np.flatnonzero(np.diff(values[order], prepend=-1)), len(order))
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        rows = order[begin:end]
        own = int(np.searchsorted(rows, indexed))
        if own and len(rows) > 1:
            for pairs in _pairs_in_group(words[rows], k, own, band):
                yield rows[pairs]


def _pairs_in_group(words: np.ndarray, k: int, indexed: int, band: int) -> Iterator[np.ndarray]:
    """Yield pairs of hashes that share a band, some of the index and some of the pairs at a time."""
    bits = WORD_BITS * words.shape[1]
    free = np.setdiff1d(np.arange(bits), band_bits(band, k, bits))
    before = [band_bits(other, k, bits) for other in range(band)]
    for begin in range(0, indexed, INDEXED):
        index = Index.of(words, range(begin, min(begin + INDEXED, indexed)), free, k)
        yield from index.pairs(words, k, begin + 1, before)


def _distinct(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct keys in order, and the position of each key among them."""
    order = in_order(keys)
    ordered = keys[order]
    is_new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(keys)]
    rows = np.empty(len(keys), np.int64)
    rows[order] = np.cumsum(is_new) - 1
    return ordered[is_new], rows


def _led(pairs: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the copies that pairs show, and the leader of each; positions, as the pairs are."""
    found = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    later, earlier = found[np.lexsort((found[:, 1], found[:, 0]))].T
    is_led = Leaders(1).of(later.astype(np.uint64)[:, None], earlier.astype(np.uint64)[:, None])
    return later[is_led], earlier[is_led]


class Leaders:
    """The sweep over pairs in the order of (later, earlier), batch after batch: which earlier hash leads the later."""

    def __init__(self, words: int):
        self._copies, self._number = np.empty((1024, words), np.uint64), 0

    def of(self, later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """Return whether each pair names a copy and its leader; rows of uint64 that compare as the hashes do."""
        if self._number + len(later) > len(self._copies):
            more = max(len(later), len(self._copies))
            self._copies = np.concatenate([self._copies, np.empty((more, self._copies.shape[1]), np.uint64)])
        out = np.empty(len(later), bool)
        self._number = kernels.find_leaders(later, earlier, self._copies, self._number, out)
        return out
