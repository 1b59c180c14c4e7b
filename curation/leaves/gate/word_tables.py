"""Hash tables of words and phrases, as the kernels of the gate read them; and a cache of a function's last result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import NamedTuple, TypeVar
from weakref import ref

import numpy as np

from curation.leaves.gate.kernels.phrases import BASIS, PLACES, PRIME, SPREAD
from runtime.packages import table_rows

_ALL = (1 << 64) - 1
Argument = TypeVar("Argument")
Result = TypeVar("Result")


class WordTable(NamedTuple):
    """A hash table with open addressing: the key in each slot, 0 if the slot is empty, and the flags of the key."""

    keys: np.ndarray
    bits: np.ndarray

    @classmethod
    def of(cls, bits: Mapping[int, int]) -> WordTable:
        """Return a table of `bits`, flags by key, at most half full; ValueError for more keys than a table may have."""
        places = 1 << max(4, (2 * len(bits) - 1).bit_length())
        if places > PLACES:
            raise ValueError(f"{len(bits)} words are more than a table has place for")
        table = cls(np.zeros(places, np.uint64), np.zeros(places, np.uint8))
        for key, flags in bits.items():
            place = (key * int(SPREAD) & _ALL) >> 48 & (places - 1)
            while table.keys[place] != 0:
                place = (place + 1) & (places - 1)
            table.keys[place], table.bits[place] = key, flags
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


def listed(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of this package, each as a dict by column."""
    return table_rows("curation.leaves.gate", name)


def shared(make: Callable[[Argument], Result]) -> Callable[[Argument], Result]:
    """Return `make` with a cache of its last result, which is dropped when the argument of that call is deleted."""
    last: list[tuple[ref[Argument], Result]] = []

    @wraps(make)
    def made(argument: Argument) -> Result:
        if not last or last[0][0]() is not argument:
            last[:] = [(ref(argument, lambda _: last.clear()), make(argument))]
        return last[0][1]

    return made
