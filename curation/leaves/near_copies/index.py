"""Find pairs of perceptual hashes that differ in few bits, with an index of the values of their bands.

A hash is a row of uint64. A band is a subset of its bits; DESIGN.md says why no pair is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from math import comb

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import HASH_BITS
from curation.kernels import images as kernels
from runtime.errors import InputError

WORD_BITS = 64
_MOST_BAND_BITS = 62
# A picture that varies in one direction only (one colour, a gradient, stripes) has 8 frequencies at most that are not
# zero, so that at most 8 bits of its pHash are set; of a photograph 32 are.
PLAIN_BITS = 8
_EXPECTED = "hashes are binaries of 8 or 32 bytes, their hexadecimal digits, or integers of 64 bits"

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
class BandIndex:
    """Tables of some rows of hashes, in which rows behind them are looked up."""

    tables: Tables
    places: np.ndarray  # the bits that each table is over, int64[table, width]
    starts: np.ndarray  # for each table and value where its rows begin in `members`
    members: np.ndarray  # rows, int32[table, row]

    @classmethod
    def of(cls, words: np.ndarray, rows: range, bits: np.ndarray, k: int) -> BandIndex:
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
        index = BandIndex.of(words, range(begin, min(begin + INDEXED, indexed)), free, k)
        yield from index.pairs(words, k, begin + 1, before)


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


def words_in(fixed: pa.FixedSizeBinaryArray) -> np.ndarray:
    """Return the hashes, or keys, of a column as rows of uint64; for nulls the numbers are arbitrary."""
    size, data = fixed.type.byte_width, fixed.buffers()[1]
    if data is None:
        return np.zeros((len(fixed), size // 8), np.uint64)
    return words_of(memoryview(data)[fixed.offset * size :][: len(fixed) * size], 8 * size)


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


def hash_bits(batches: Iterable[pa.Array], name: str) -> int:
    """Return the bits of the hashes in a column, by the first that is not null; InputError where there is none."""
    for column in batches:
        known = column.drop_null()
        if len(known):
            bits = 8 * len(hash_binaries(known.slice(0, 1), name)[0].as_py())
            if bits not in HASH_BITS:
                raise InputError(f"the column {name} has hashes of {bits} bits; {_EXPECTED}")
            return bits
    raise InputError(f"the column {name} has no hash: all of its rows are null; hash the pictures by clip-hash")


def hash_binaries(column: pa.Array, name: str) -> pa.Array:
    """Return hashes as binaries: the bytes that digits spell, or of integers the bytes, the most significant first."""
    if pa.types.is_integer(column.type):
        numbers = column.fill_null(0).to_numpy(zero_copy_only=False).astype(">u8", casting="unsafe")
        return pc.if_else(column.is_valid(), binaries(numbers.tobytes(), 8), None)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _of_digits(column, name)
    if pa.types.is_null(column.type):
        return column.cast(pa.binary())
    if is_bytes(column.type):
        return column.cast(pa.binary())
    raise InputError(f"the column {name} is {column.type}; {_EXPECTED}")


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a type is one of binaries."""
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def hash_words(column: pa.Array, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return hashes of `size` bytes as rows of uint64, and which rows have one; nulls have arbitrary numbers.

    InputError for hashes of another size.
    """
    try:
        fixed = hash_binaries(column, name).cast(pa.binary(size))
    except pa.ArrowException:
        raise InputError(f"the column {name} has hashes that are not of {size} bytes; {_EXPECTED}") from None
    return words_in(fixed), column.is_valid().to_numpy(zero_copy_only=False)


def is_plain(words: np.ndarray) -> np.ndarray:
    """Return which pHashes are of pictures that vary in one direction at most, such as plain pictures.

    >>> is_plain(np.array([[0x8000000000000000], [0xFF], [0x1FF]], np.uint64)).tolist()
    [True, True, False]
    """
    return np.unpackbits(words.view(np.uint8), axis=1).sum(axis=1) <= PLAIN_BITS


def _of_digits(column: pa.Array, name: str) -> pa.Array:
    known = column.drop_null()
    lengths = pc.unique(pc.binary_length(known)).to_pylist()
    if not lengths:
        return pa.nulls(len(column), pa.binary())
    try:
        data = bytes.fromhex("".join(known.to_pylist()))
        if len(lengths) > 1 or 2 * len(data) != lengths[0] * len(known):
            raise ValueError
    except ValueError:
        raise InputError(f"the column {name} has {known[0].as_py()[:80]!r}; {_EXPECTED}") from None
    size, places = lengths[0] // 2, np.cumsum(column.is_valid().to_numpy(zero_copy_only=False)) - 1
    return binaries(data, size).take(pa.array(places, mask=~column.is_valid().to_numpy(zero_copy_only=False)))


def binaries(data: bytes | np.ndarray, size: int) -> pa.Array:
    """Return the binaries of `size` bytes that follow each other in `data`."""
    rows = len(data) // size if size else 0
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), rows, [None, pa.py_buffer(data)]).cast(pa.binary())


def keys_of_hashes(hashes: pa.Array, bits: int) -> pa.Array:
    """Return the keys of hashes, both as binaries; null is null, and a hash of another size is refused."""
    keys = binaries_of_keys(shuffled(words_of_keys(hashes, bits)))
    return pc.if_else(hashes.is_valid(), keys, None) if hashes.null_count else keys


def words_of_keys(column: pa.Array, bits: int) -> np.ndarray:
    """Return the hashes or keys of a column as rows of uint64; refuse hashes of another size."""
    try:
        fixed = column.cast(pa.binary(bits // 8))
    except pa.ArrowException:
        expected = f"give the hashes of one kind, as binaries of {bits // 8} bytes"
        raise InputError(f"a hash has not {bits} bits; {expected}") from None
    return words_in(fixed)


def binaries_of_keys(words: np.ndarray) -> pa.Array:
    """Return rows of uint64 as binaries."""
    return binaries(bytes_of(words).ravel(), 8 * words.shape[1])
