"""Hash tables of words and phrases, as the kernels of the gate read them; and a cache of a function's last result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from operator import is_not
from typing import Any, NamedTuple, TypeVar
from weakref import ref

import numpy as np

from curation.plugins.gate.kernels.phrases import BASIS, MAX_SLOTS, PRIME, SPREAD
from runtime.packages import table_rows

_ALL = (1 << 64) - 1
Result = TypeVar("Result")


class WordTable(NamedTuple):
    """A hash table with open addressing: the key in each slot, 0 if the slot is empty, and the flags of the key."""

    keys: np.ndarray
    bits: np.ndarray

    @classmethod
    def of(cls, bits: Mapping[int, int]) -> WordTable:
        """Return a table of `bits`, flags by key, at most half full; ValueError for more keys than a table may have."""
        places = 1 << max(4, (2 * len(bits) - 1).bit_length())
        if places > MAX_SLOTS:
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


def rows_in(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of this package, each as a dict by column."""
    return table_rows("curation.plugins.gate.policies", name)


def shared(make: Callable[..., Result]) -> Callable[..., Result]:
    """Return `make` with a cache of its last result, which is dropped when the first argument of that call is deleted.

    Arguments are compared by identity.
    """
    last: list[tuple[ref[Any], tuple[Any, ...], Result]] = []

    @wraps(make)
    def made(first: Any, *others: Any) -> Result:
        if not last or last[0][0]() is not first or any(map(is_not, last[0][1], others)):
            last[:] = [(ref(first, lambda _: last.clear()), others, make(first, *others))]
        return last[0][2]

    return made
