"""Hash tables of words and phrases, as the kernels of the gate read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from curation.plugins.gate.kernels.phrases import BASIS, MAX_SLOTS, PRIME, SPREAD
from runtime.packages import table_rows

_ALL = (1 << 64) - 1


class WordTable(NamedTuple):
    """A hash table with open addressing: the key in each slot, 0 if the slot is empty, and the flags of the key."""

    keys: np.ndarray
    bits: np.ndarray

    @classmethod
    def of(cls, bits: Mapping[int, int]) -> WordTable:
        """Return a table of `bits`, flags by key, at most half full; ValueError for more keys than a table may have."""
        places = 1 << max(4, (2 * len(bits) - 1).bit_length())
        if places > MAX_SLOTS:
            raise ValueError(f"there are {len(bits)} words, which are more than a table can hold")
        table = cls(np.zeros(places, np.uint64), np.zeros(places, np.uint8))
        for key, flags in bits.items():
            place = (key * int(SPREAD) & _ALL) >> 48 & (places - 1)
            while table.keys[place] != 0:
                place = (place + 1) & (places - 1)
            table.keys[place] = key
            table.bits[place] = flags
        return table


def word_key(units: Iterable[int]) -> int:
    """Return the hash of a word's bytes or characters."""
    key = int(BASIS)
    for unit in units:
        key = (key ^ unit) * int(PRIME) & _ALL
    return key


def phrase_key(words: Iterable[int]) -> int:
    """Return the hash of a phrase, given the hashes of its words."""
    key = 0
    for word in words:
        key = key * int(SPREAD) + word & _ALL
    return key


def rows_in(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of this package, each as a dict by column."""
    return table_rows("curation.plugins.gate.policies", name)
