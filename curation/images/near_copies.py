"""Find near copies among perceptual hashes: all pairs within a Hamming distance, and the leader of each copy.

Hashes have an order, that of their shuffled keys. A *leader* has no leader before it within the distance; any other
hash is a *copy* of the first leader within the distance. So no two leaders are near each other, every copy is near its
leader, and neither the order of rows nor their partitions change anything. DESIGN.md says why, and why no pair is
missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from math import comb

import numpy as np

from curation.kernels import near_copies as kernels
from runtime.errors import InputError
from runtime.parameters import require_integer

HASH_BITS = (64, 256)
WORD_BITS = 64
MOST_SHARE = 4  # a distance is at most a quarter of the bits: two unrelated pictures differ in half of them
FIRST_SHARE = 256  # of all hashes, those that are the first of so many are compared with all others in a first round
ONE_ROUND = 1 << 14  # hashes that are compared in one round
INDEXED = 1 << 22  # hashes in the tables at a time: some 40 bytes of tables each
PAIRS = 1 << 20  # found before they are handed on
_MOST_BAND_BITS = 62
_MOST_VALUE_BITS = 22  # of the look-up in a table of tens of megabytes
_LOOKUP_COST, _FILL_COST = 4.0, 6.0  # of a look-up in an empty list, and of making it, in comparisons
_SEEN = 1024  # hashes that tell which bits vary


def require_distance(k: int, bits: int) -> None:
    """Refuse a distance that is none, or too large to mean a copy."""
    require_integer("distance", k, 0)
    if bits not in HASH_BITS:
        raise InputError(f"the hashes have {bits} bits; give hashes of 64 bits, as pHash, or of 256, as PDQ")
    if k > bits // MOST_SHARE:
        raise InputError(f"distance is {k}; of {bits} bits at most {bits // MOST_SHARE} may differ in copies")


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


def shuffled(words: np.ndarray) -> np.ndarray:
    """Return the keys of hashes, whose order is the order of hashes; both are uint64[rows, words]."""
    out = np.empty(words.shape, np.uint64)
    kernels.shuffle(words, out)
    return out


def unshuffled(keys: np.ndarray) -> np.ndarray:
    """Return the hashes of keys."""
    out = np.empty(keys.shape, np.uint64)
    kernels.unshuffle(keys, out)
    return out


def words_of(data: bytes | memoryview | np.ndarray, bits: int) -> np.ndarray:
    """Return hashes, or keys, of consecutive bytes as rows of uint64: numbers are in the order of the bytes."""
    return np.frombuffer(data, ">u8").astype(np.uint64).reshape(-1, bits // WORD_BITS)


def bytes_of(words: np.ndarray) -> np.ndarray:
    """Return the bytes of rows of uint64, the inverse of `words_of`."""
    return words.astype(">u8").view(np.uint8)


def in_order(keys: np.ndarray) -> np.ndarray:
    """Return the positions of keys in ascending order."""
    return np.argsort(keys[:, 0], kind="stable") if keys.shape[1] == 1 else np.lexsort(keys.T[::-1])


def band_of(words: np.ndarray, band: int, k: int) -> np.ndarray:
    """Return the value of one of k + 1 bands of bits in each hash: two hashes within `k` bits share one at least."""
    out = np.empty(len(words), np.int64)
    kernels.values(words, band_bits(band, k, WORD_BITS * words.shape[1]), out)
    return out


def band_bits(band: int, k: int, bits: int) -> np.ndarray:
    """Return the bits of one of k + 1 bands, not more than an int64 holds.

    >>> band_bits(1, 2, 64).tolist()[:2], len(band_bits(1, 2, 64))
    ([21, 22], 21)
    """
    return np.arange(bits * band // (k + 1), bits * (band + 1) // (k + 1))[:_MOST_BAND_BITS]


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


def _pairs_in_group(words: np.ndarray, k: int, indexed: int, band: int) -> Iterator[np.ndarray]:
    """Yield pairs of hashes that share a band, some of the index and some of the pairs at a time."""
    bits = WORD_BITS * words.shape[1]
    free = np.setdiff1d(np.arange(bits), band_bits(band, k, bits))
    before = [band_bits(other, k, bits) for other in range(band)]
    for begin in range(0, indexed, INDEXED):
        index = Index.of(words, range(begin, min(begin + INDEXED, indexed)), free, k)
        yield from index.pairs(words, k, begin + 1, before)


def _most_varied(words: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return bits, those first that tell most hashes apart, as far as a sample of them shows."""
    some = words[:: -(-len(words) // _SEEN)]
    counts = np.empty(WORD_BITS * words.shape[1], np.int64)
    kernels.count_ones(some, counts)
    return bits[np.argsort(abs(2 * counts[bits] - len(some)), kind="stable")]


def _mask(places: np.ndarray, bits: int) -> np.ndarray:
    is_set = np.zeros(bits, np.uint8)
    is_set[places] = 1
    return np.packbits(is_set, bitorder="little").view("<u8").astype(np.uint64)


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
