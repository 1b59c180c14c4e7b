"""Look up the URLs, file digests and picture hashes of images among those of evaluation sets, to leave such images out.

Keys of 16 bytes (of URLs and files) must be equal; picture hashes may differ in some bits. Which sets have one is a
mask: bit k is of the k-th set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curation.exclusion.sets import KeySet
from curation.near_copies.index import Index, Tables
from curation.near_copies.words import WORD_BITS

NO_SET = np.uint64(0)


@dataclass(frozen=True, eq=False)
class KeysOfSets:
    """Distinct keys of 16 bytes, and for each the mask of the sets that have it, uint64."""

    keys: KeySet
    sets: np.ndarray

    @classmethod
    def of(cls, given: Sequence[np.ndarray]) -> KeysOfSets:
        """Return the keys of each set, uint64[key, 2]."""
        keys = KeySet.of(given)
        return cls(keys, _sets([keys.find(each) for each in given], len(keys)))

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Return the sets that have each key."""
        places = self.keys.find(keys)
        return np.append(self.sets, NO_SET)[places]  # the last one where there is none

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `open` takes."""
        return {"keys": self.keys.keys, "starts": self.keys.starts, "sets": self.sets}

    @classmethod
    def open(cls, arrays: dict[str, np.ndarray]) -> KeysOfSets:
        """Return the keys whose arrays these are."""
        return cls(KeySet(arrays["keys"], arrays["starts"]), arrays["sets"])


@dataclass(frozen=True, eq=False)
class HashesOfSets:
    """Distinct hashes of as many bits, for each the mask of the sets that have it, and an index by distance."""

    words: np.ndarray  # uint64[hash, words]
    sets: np.ndarray
    index: Index | None  # None where there is no hash

    @classmethod
    def of(cls, given: Sequence[np.ndarray], distance: int) -> HashesOfSets:
        """Return the hashes of each set, one at least, uint64[hash, words]."""
        words, places = np.unique(np.concatenate(given), axis=0, return_inverse=True)
        ends = np.cumsum([len(each) for each in given])[:-1]
        sets = _sets(np.split(places.reshape(-1), ends), len(words))
        bits = np.arange(WORD_BITS * words.shape[1])
        return cls(words, sets, Index.of(words, range(len(words)), bits, distance) if len(words) else None)

    def find(self, words: np.ndarray, distance: int) -> np.ndarray:
        """Return the sets that have a hash within the distance of each of these, the distance of the index."""
        out = np.zeros(len(words), np.uint64)
        if self.index is not None:
            both = np.concatenate([self.words, words])
            for pairs in self.index.pairs(both, distance, len(self.words)):
                np.bitwise_or.at(out, pairs[:, 0] - len(self.words), self.sets[pairs[:, 1]])
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `open` takes."""
        arrays = {"words": self.words, "sets": self.sets}
        if self.index is not None:
            parts = {name: getattr(self.index, name) for name in ("places", "starts", "members")}
            arrays |= parts | {"flips": np.array(self.index.tables.flips, np.int64)}
        return arrays

    @classmethod
    def open(cls, arrays: dict[str, np.ndarray]) -> HashesOfSets:
        """Return the hashes whose arrays these are."""
        index = None
        if "flips" in arrays:
            tables = Tables(arrays["places"].shape[1], tuple(arrays["flips"].tolist()))
            index = Index(tables, *(arrays[name] for name in ("places", "starts", "members")))
        return cls(arrays["words"], arrays["sets"], index)


def _sets(places: Sequence[np.ndarray], number: int) -> np.ndarray:
    """Return the mask of the sets that name each of so many places."""
    sets = np.zeros(number, np.uint64)
    for bit, own in enumerate(places):
        sets[own] |= np.uint64(1 << bit)
    return sets
