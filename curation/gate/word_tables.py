"""Tables of words and phrases for the kernels that look them up by hash: `kernels.words` has the same arithmetic."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from curation.kernels.words import BASIS, PLACES, PRIME, SPREAD

_ALL = (1 << 64) - 1


class WordTable(NamedTuple):
    """An open table: the key of each place, 0 where it is empty, and its bits."""

    keys: np.ndarray
    bits: np.ndarray

    @classmethod
    def of(cls, bits: Mapping[int, int]) -> WordTable:
        """Return the table of keys with their bits, at most half full."""
        places = 1 << max(4, (2 * len(bits) - 1).bit_length())
        if places > PLACES:
            raise ValueError(f"{len(bits)} words are more than a table has place for")
        table = cls(np.zeros(places, np.uint64), np.zeros(places, np.uint8))
        for key, own in bits.items():
            place = (key * int(SPREAD) & _ALL) >> 48 & (places - 1)
            while table.keys[place] != 0:
                place = (place + 1) & (places - 1)
            table.keys[place], table.bits[place] = key, own
        return table


def word_key(units: Iterable[int]) -> int:
    """Return the hash of a word's bytes or characters."""
    key = int(BASIS)
    for unit in units:
        key = (key ^ unit) * int(PRIME) & _ALL
    return key


def phrase_key(words: Iterable[int]) -> int:
    """Return the hash of a phrase, given those of its words."""
    key = 0
    for word in words:
        key = key * int(SPREAD) + word & _ALL
    return key


def listed(name: str) -> list[dict[str, str]]:
    """Return the rows of a table of this package."""
    return [*csv.DictReader(files("curation.gate").joinpath(name).read_text("utf-8").splitlines())]
