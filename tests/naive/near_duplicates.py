"""Naive twins of curation.plugins.near_duplicates: all pairs, and leaders one hash after the other."""

import numba
import numpy as np


@numba.njit
def _count_or_write(words, k, out):
    found = 0
    for row in range(len(words)):
        for other in range(row):
            apart = 0
            for word in range(words.shape[1]):
                bits = words[row, word] ^ words[other, word]
                while bits:
                    bits &= bits - np.uint64(1)
                    apart += 1
                    if apart > k:
                        break
            if apart <= k:
                if found < len(out):
                    out[found, 0], out[found, 1] = row, other
                found += 1
    return found


def naive_pairs(words: np.ndarray, k: int) -> np.ndarray:
    """Return all pairs (later, earlier) of rows at most `k` bits apart."""
    out = np.empty((_count_or_write(words, k, np.empty((0, 2), np.int64)), 2), np.int64)
    _count_or_write(words, k, out)
    return out


def naive_leaders(hashes: list[int], keys: dict[int, object], k: int) -> dict[int, int]:
    """Return the leader of each distinct hash, given the key by which hashes are ordered."""
    leaders: list[int] = []
    found = {}
    for each in sorted(set(hashes), key=keys.__getitem__):
        near = [leader for leader in leaders if (leader ^ each).bit_count() <= k]
        found[each] = near[0] if near else each
        if not near:
            leaders.append(each)
    return found
