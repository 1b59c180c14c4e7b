"""Find pairs of hashes that differ in few bits, with an index of the values of their bands.

A band is a subset of the bits of a hash; DESIGN.md says why no pair is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from math import comb

import numpy as np

from curation.kernels import near_copies as kernels
from curation.near_copies.words import WORD_BITS, band_bits, band_of

INDEXED = 1 << 22  # hashes in the tables at a time: some 40 bytes of tables each
PAIRS = 1 << 20  # found before they are handed on
_MOST_VALUE_BITS = 22  # of the look-up in a table of tens of megabytes
_LOOKUP_COST, _FILL_COST = 4.0, 6.0  # of a look-up in an empty list, and of making it, in comparisons
_SEEN = 1024  # hashes that tell which bits vary


@dataclass(frozen=True)
class Tables:
    """The look-ups in a group: so many tables over `width` bits, in each up to so many bits flipped."""

    width: int
    flips: tuple[int, ...]

    @cached_property
    def masks(self) -> tuple[np.ndarray, np.ndarray]:
        """The flips of a value, those of few bits first, and how many of them each table is looked up with."""
        flipped = [bits for n in range(max(self.flips) + 1) for bits in combinations(range(self.width), n)]
        flips = np.array([sum(1 << bit for bit in bits) for bits in flipped], np.int64)
        return flips, np.array([_flips(self.width, most) for most in self.flips])


@lru_cache
def tables_for(indexed: int, bits: int, k: int) -> Tables:
    """Return the cheapest tables of hashes that vary in `bits` bits; their number is a power of two.

    With tables that allow f1, f2, ... flips, a pair that no table shows differs in (f1 + 1) + (f2 + 1) + ... bits at
    least, and that is k + 1.
    """
    best, least = Tables(0, (0,)), float(indexed)  # one list with all hashes in it
    for number in range(1, k + 2):
        each, more = divmod(k + 1 - number, number)
        flips = tuple(each + (table < more) for table in range(number))
        for width in range(max(flips) + 1, min(bits // number, _MOST_VALUE_BITS, indexed.bit_length() + 1) + 1):
            lookups = sum(_flips(width, most) for most in flips)
            cost = lookups * (_LOOKUP_COST + indexed / 2**width) + number * _FILL_COST * 2**width / indexed
            if cost < least:
                best, least = Tables(width, flips), cost
    return best


def _flips(width: int, most: int) -> int:
    return sum(comb(width, n) for n in range(most + 1))


@dataclass(frozen=True, eq=False)
class Index:
    """Tables of some rows of hashes, in which rows behind them are looked up."""

    tables: Tables
    places: np.ndarray  # the bits that each table is over, int64[table, width]
    starts: np.ndarray  # for each table and value where its rows begin in `members`
    members: np.ndarray  # rows, int32[table, row]

    @classmethod
    def of(cls, words: np.ndarray, rows: range, bits: np.ndarray, k: int) -> Index:
        """Index these rows, one at least, by some bits, in which hashes that are looked up differ from them."""
        tables = tables_for(1 << (len(rows) - 1).bit_length(), len(bits), k)
        number = len(tables.flips)
        free = _most_varied(words, bits)
        places = np.stack([free[table : number * tables.width : number] for table in range(number)])
        starts = np.zeros((number, (1 << tables.width) + 1), np.int32)
        members = np.empty((number, len(rows)), np.int32)
        for table in range(number):
            kernels.fill_table(words, places[table], rows.start, starts[table], members[table])
        return cls(tables, places, starts, members)

    def pairs(self, words: np.ndarray, k: int, begin: int, found: Iterable[np.ndarray] = ()) -> Iterator[np.ndarray]:
        """Yield pairs (row, an indexed row before it) within `k` bits, for the rows from `begin` on, each pair once.

        Left out are pairs that are alike in one of the sets of bits `found`.
        """
        found = [*found]
        masks = np.stack([_mask(some, WORD_BITS * words.shape[1]) for some in [*self.places, *found]])
        most = np.array([*self.tables.flips, *(0 for _ in found)], np.int64)
        flips, ends = self.tables.masks
        out = np.empty((PAIRS + self.members.shape[1], 2), np.int32)
        while begin < len(words):
            begin, pairs = kernels.find_pairs(
                words, self.places, self.starts, self.members, flips, ends, masks, most, k, begin, out
            )
            yield out[:pairs].astype(np.int64)


def _most_varied(words: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return bits, those first that tell most hashes apart, as far as a sample of them shows."""
    some = words[:: -(-len(words) // _SEEN)]
    ones = np.unpackbits(some.astype("<u8").view(np.uint8), axis=1, bitorder="little").sum(axis=0, dtype=np.int64)
    return bits[np.argsort(abs(2 * ones[bits] - len(some)), kind="stable")]


def _mask(places: np.ndarray, bits: int) -> np.ndarray:
    is_set = np.zeros(bits, np.uint8)
    is_set[places] = 1
    return np.packbits(is_set, bitorder="little").view("<u8").astype(np.uint64)


def pairs_in_band(words: np.ndarray, k: int, indexed: int, band: int) -> Iterator[np.ndarray]:
    """Yield pairs of distinct hashes within `k` bits that share this band, and none before it, each once.

    A pair is the positions of the later and the earlier hash, and the earlier one is among the first `indexed`.
    """
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
