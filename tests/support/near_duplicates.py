"""Find near copies among perceptual hashes in one process, by what the tasks of Spark call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from curation.plugins.near_duplicates import copies
from curation.plugins.near_duplicates.index import order_keys, pairs_in_band, unshuffled


def near_copies(hashes: np.ndarray, k: int) -> np.ndarray:
    """Return the leader of each hash, itself where it is no copy; hashes are rows of one or four uint64."""
    keys, rows = _distinct(order_keys(hashes))
    words, leaders = unshuffled(keys), np.arange(len(keys))
    undecided = np.arange(len(keys))
    for share in copies.shares(len(keys)):
        indexed = -(-len(undecided) // share)
        own, of = _led(pairs_within(words[undecided], k, indexed))
        leaders[undecided[own]] = undecided[of]
        is_left = np.arange(len(undecided)) >= indexed
        is_left[own] = False
        undecided = undecided[is_left]
    return words[leaders][rows]


def pairs_within(words: np.ndarray, k: int, indexed: int) -> Iterator[np.ndarray]:
    """Yield all pairs of distinct hashes within `k` bits whose earlier one is among the first `indexed`, each once.

    A pair is the positions of the later and the earlier hash.
    """
    for band in range(k + 1):
        yield from pairs_in_band(words, k, indexed, band)


def _distinct(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct keys in order, and the position of each key among them."""
    order = np.lexsort(keys.T[::-1])
    ordered = keys[order]
    is_new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(keys)]
    rows = np.empty(len(keys), np.int64)
    rows[order] = np.cumsum(is_new) - 1
    return ordered[is_new], rows


def _led(pairs: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the copies that pairs show, and the leader of each; positions, as the pairs are."""
    found = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    later, earlier = found[np.lexsort((found[:, 1], found[:, 0]))].T
    is_led = copies.Leaders(1).of(later.astype(np.uint64)[:, None], earlier.astype(np.uint64)[:, None])
    return later[is_led], earlier[is_led]
