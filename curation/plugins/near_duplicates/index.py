"""Find pairs of perceptual hashes that differ in few bits, with an index of the values of bands.

A hash is a row of uint64, the words. A band is a subset of the bits of a hash. DESIGN.md says why no pair is missed.
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
from curation.plugins.near_duplicates.kernels import hamming as kernels
from runtime.errors import InputError
from runtime.messages import quoted

WORD_BITS = 64
_MOST_BAND_BITS = 62
# A picture that varies in one direction only (one colour, a gradient, stripes) has at most 8 frequencies that are not
# zero, so at most 8 bits of its pHash are set; the pHash of a photograph has 32 bits set.
PLAIN_BITS = 8
_HASH_FORMATS = "expected hashes as binaries of 8 or 32 bytes, as hexadecimal digits, or as integers of 64 bits"

INDEXED_HASHES = 1 << 22  # the most hashes in the tables at a time; the tables take about 40 bytes per hash
PAIRS_AT_ONCE = 1 << 20  # the number of pairs that are found before they are yielded together
_MOST_VALUE_BITS = 22  # A table of values with this many bits has tens of megabytes.
_LOOKUP_COST = 4.0  # A look-up in an empty list takes as long as this many comparisons.
_FILL_COST = 6.0  # Making a list takes as long as this many comparisons.
_SAMPLED_HASHES = 1024  # The bits of this many hashes show which bits vary most.


@dataclass(frozen=True)
class Tables:
    """The plan of an index of hashes: a table of values of `width` bits for each number in `flips`.

    The number is the most bits that are flipped in look-ups in the table.
    """

    width: int
    flips: tuple[int, ...]

    @cached_property
    def masks(self) -> tuple[np.ndarray, np.ndarray]:
        """All flips of a value, int64 masks with the fewest bits first, and the number of flips that each table uses.

        A table uses the first flips.
        """
        bits = [1 << bit for bit in range(self.width)]
        flips: list[int] = []
        for n in range(max(self.flips) + 1):
            flips += map(sum, combinations(bits, n))
        return np.array(flips, np.int64), np.array([_flips(self.width, most) for most in self.flips])


@lru_cache
def tables_for(indexed: int, bits: int, k: int) -> Tables:
    """Return the cheapest tables to find pairs within `k` bits among hashes that vary in `bits` bits.

    `indexed` is the number of hashes in the tables, a power of two. With tables that allow f1, f2, ... flips, a pair
    that no table finds differs in at least (f1 + 1) + (f2 + 1) + ... bits, and this sum is k + 1.
    """
    # The simplest index is one list of all hashes.
    best = Tables(0, (0,))
    least = float(indexed)
    for number in range(1, k + 2):
        even, more = divmod(k + 1 - number, number)
        flips = tuple(even + (table < more) for table in range(number))
        for width in range(max(flips) + 1, min(bits // number, _MOST_VALUE_BITS, indexed.bit_length() + 1) + 1):
            lookups = sum(_flips(width, most) for most in flips)
            cost = lookups * (_LOOKUP_COST + indexed / 2**width) + number * _FILL_COST * 2**width / indexed
            if cost < least:
                best = Tables(width, flips)
                least = cost
    return best


def _flips(width: int, most: int) -> int:
    return sum(comb(width, n) for n in range(most + 1))


@dataclass(frozen=True, eq=False)
class BandIndex:
    """Tables of the hashes in a range of rows, in which the hashes of later rows are looked up."""

    tables: Tables
    positions: np.ndarray  # the positions of each table's bits in a hash, int64[table, width]
    starts: np.ndarray  # for each table and value, the index in `members` of the first row with this value
    members: np.ndarray  # row numbers sorted by value, int32[table, row]

    @classmethod
    def of(cls, words: np.ndarray, rows: range, bits: np.ndarray, k: int) -> BandIndex:
        """Return an index of `rows`, at least one, of the hashes `words`, to find pairs within `k` bits.

        `bits` are the positions of the bits in which hashes may differ.
        """
        tables = tables_for(1 << (len(rows) - 1).bit_length(), len(bits), k)
        number = len(tables.flips)
        free = _most_varied(words, bits)
        positions = np.stack([free[table : number * tables.width : number] for table in range(number)])
        starts = np.zeros((number, (1 << tables.width) + 1), np.int32)
        members = np.empty((number, len(rows)), np.int32)
        for table in range(number):
            kernels.fill_table(words, positions[table], rows.start, starts[table], members[table])
        return cls(tables, positions, starts, members)

    def pairs(self, words: np.ndarray, k: int, begin: int, excluded: Iterable[np.ndarray] = ()) -> Iterator[np.ndarray]:
        """Yield pairs of rows within `k` bits, int64[pair, 2], each once.

        The later row of a pair is from `begin` on, the earlier one is indexed. Pairs that are equal in all bits of one
        of the sets `excluded` (arrays of bit positions) are left out.
        """
        excluded = [*excluded]
        masks = np.stack([_mask(some, WORD_BITS * words.shape[1]) for some in [*self.positions, *excluded]])
        most = np.array([*self.tables.flips, *[0] * len(excluded)], np.int64)
        flips, ends = self.tables.masks
        out = np.empty((PAIRS_AT_ONCE + self.members.shape[1], 2), np.int32)
        while begin < len(words):
            begin, pairs = kernels.find_pairs(
                words, self.positions, self.starts, self.members, flips, ends, masks, most, k, begin, out
            )
            yield out[:pairs].astype(np.int64)


def _most_varied(words: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return `bits`, positions in a hash, sorted by how much they vary; bits set in half of a sample vary most."""
    some = words[:: -(-len(words) // _SAMPLED_HASHES)]
    ones = np.unpackbits(some.astype("<u8").view(np.uint8), axis=1, bitorder="little").sum(axis=0, dtype=np.int64)
    return bits[np.argsort(abs(2 * ones[bits] - len(some)), kind="stable")]


def _mask(positions: np.ndarray, bits: int) -> np.ndarray:
    is_set = np.isin(np.arange(bits), positions)
    return np.packbits(is_set, bitorder="little").view("<u8").astype(np.uint64)


def pairs_in_band(words: np.ndarray, k: int, indexed: int, band: int) -> Iterator[np.ndarray]:
    """Yield the pairs of distinct hashes within `k` bits that share this band and no earlier band, each once.

    Pairs are int64[pair, 2]: the positions of the later and the earlier hash, which is one of the first `indexed`.
    """
    values = band_of(words, band, k)
    order = np.argsort(values, kind="stable")
    bounds = np.append(np.flatnonzero(np.diff(values[order], prepend=-1)), len(order))
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        rows = order[begin:end]
        indexed_rows = int(np.searchsorted(rows, indexed))
        if indexed_rows and len(rows) > 1:
            for pairs in _pairs_in_group(words[rows], k, indexed_rows, band):
                yield rows[pairs]


def _pairs_in_group(words: np.ndarray, k: int, indexed: int, band: int) -> Iterator[np.ndarray]:
    """Yield pairs, as `pairs_in_band` does, among hashes that share the band's value, as positions in `words`."""
    bits = WORD_BITS * words.shape[1]
    free = np.setdiff1d(np.arange(bits), band_bits(band, k, bits))
    before = [band_bits(other, k, bits) for other in range(band)]
    for begin in range(0, indexed, INDEXED_HASHES):
        index = BandIndex.of(words, range(begin, min(begin + INDEXED_HASHES, indexed)), free, k)
        yield from index.pairs(words, k, begin + 1, before)


def order_keys(words: np.ndarray) -> np.ndarray:
    """Return the shuffled keys by which hashes are sorted, one per hash; hashes and keys are uint64[row, word]."""
    out = np.empty(words.shape, np.uint64)
    kernels.shuffle(words, out)
    return out


def unshuffled(keys: np.ndarray) -> np.ndarray:
    """Return the hashes whose keys are `keys`, the inverse of `order_keys`; hashes and keys are uint64[row, word]."""
    out = np.empty(keys.shape, np.uint64)
    kernels.unshuffle(keys, out)
    return out


def words_of(data: bytes | memoryview | np.ndarray, bits: int) -> np.ndarray:
    """Return consecutive hashes or keys of `bits` bits as uint64[row, word], read as big-endian numbers."""
    return np.frombuffer(data, ">u8").astype(np.uint64).reshape(-1, bits // WORD_BITS)


def words_in(fixed: pa.FixedSizeBinaryArray) -> np.ndarray:
    """Return the hashes or keys of a column as uint64[row, word]; the rows of nulls are arbitrary."""
    size = fixed.type.byte_width
    data = fixed.buffers()[1]
    if data is None:
        return np.zeros((len(fixed), size // 8), np.uint64)
    return words_of(memoryview(data)[fixed.offset * size :][: len(fixed) * size], 8 * size)


def band_of(words: np.ndarray, band: int, k: int) -> np.ndarray:
    """Return the value of the band `band`, of k + 1 bands, of each hash, int64[row].

    Two hashes within `k` bits have the same value of at least one band.
    """
    out = np.empty(len(words), np.int64)
    kernels.values(words, band_bits(band, k, WORD_BITS * words.shape[1]), out)
    return out


def band_bits(band: int, k: int, bits: int) -> np.ndarray:
    """Return the positions of the bits, at most 62, of the band `band`, of k + 1 bands, in a hash of `bits` bits.

    >>> band_bits(1, 2, 64).tolist()[:2], len(band_bits(1, 2, 64))
    ([21, 22], 21)
    """
    return np.arange(bits * band // (k + 1), bits * (band + 1) // (k + 1))[:_MOST_BAND_BITS]


def hash_bits(batches: Iterable[pa.Array], name: str) -> int:
    """Return the number of bits of the first hash that is not null in a column, whose arrays are `batches`.

    A column without a hash, or with hashes of an unsupported size, raises an InputError, which calls it `name`.
    """
    for column in batches:
        hashes = column.drop_null()
        if len(hashes):
            bits = 8 * len(hash_binaries(hashes.slice(0, 1), name)[0].as_py())
            if bits not in HASH_BITS:
                raise InputError(f"the column {name} has hashes of {bits} bits; {_HASH_FORMATS}")
            return bits
    raise InputError(f"the column {name} has no hash: all of its rows are null; hash the pictures by clip-hash")


def hash_binaries(column: pa.Array, name: str) -> pa.Array:
    """Return hashes as binaries, given as binaries, hexadecimal digits, or integers (big-endian); null stays null.

    Other types and malformed digits raise an InputError, which calls the column `name`.
    """
    if pa.types.is_integer(column.type):
        numbers = column.fill_null(0).to_numpy(zero_copy_only=False).astype(">u8", casting="unsafe")
        return pc.if_else(column.is_valid(), binaries(numbers.tobytes(), 8), None)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _of_digits(column, name)
    are_bytes = (pa.types.is_null, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    if any(is_such(column.type) for is_such in are_bytes):
        return column.cast(pa.binary())
    raise InputError(f"the column {name} has the type {column.type}; {_HASH_FORMATS}")


def hash_words(column: pa.Array, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return hashes of `size` bytes as uint64[row, word], and a bool per row: False for null.

    The words of null are arbitrary. Hashes of another size raise an InputError, which calls the column `name`.
    """
    try:
        fixed = hash_binaries(column, name).cast(pa.binary(size))
    except pa.ArrowException:
        raise InputError(f"the column {name} has hashes that are not of {size} bytes; {_HASH_FORMATS}") from None
    return words_in(fixed), column.is_valid().to_numpy(zero_copy_only=False)


def is_low_detail(words: np.ndarray) -> np.ndarray:
    """Return a bool per pHash: True if few bits are set, as in pictures that vary in one direction only or not at all.

    >>> is_low_detail(np.array([[0x8000000000000000], [0xFF], [0x1FF]], np.uint64)).tolist()
    [True, True, False]
    """
    return np.unpackbits(words.view(np.uint8), axis=1).sum(axis=1) <= PLAIN_BITS


def _of_digits(column: pa.Array, name: str) -> pa.Array:
    digits = column.drop_null()
    is_known = column.is_valid().to_numpy(zero_copy_only=False)
    lengths = pc.unique(pc.binary_length(digits)).to_pylist()
    if not lengths:
        return pa.nulls(len(column), pa.binary())
    try:
        data = bytes.fromhex("".join(digits.to_pylist()))
        if len(lengths) > 1 or 2 * len(data) != lengths[0] * len(digits):
            raise ValueError
    except ValueError:
        raise InputError(f"the column {name} has {quoted(digits[0])!r}; {_HASH_FORMATS}") from None
    return binaries(data, lengths[0] // 2).take(pa.array(np.cumsum(is_known) - 1, mask=~is_known))


def binaries(data: bytes | np.ndarray, size: int) -> pa.Array:
    """Return the binaries of `size` bytes that follow each other in `data`, as an array."""
    rows = len(data) // size if size else 0
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), rows, [None, pa.py_buffer(data)]).cast(pa.binary())


def keys_of_hashes(hashes: pa.Array, bits: int) -> pa.Array:
    """Return the keys of hashes, both as binaries of `bits` bits; null stays null, other sizes raise an InputError."""
    keys = binaries_of_keys(order_keys(words_of_keys(hashes, bits)))
    return pc.if_else(hashes.is_valid(), keys, None) if hashes.null_count else keys


def words_of_keys(column: pa.Array, bits: int) -> np.ndarray:
    """Return a column's hashes or keys of `bits` bits as uint64[row, word]; other sizes raise an InputError."""
    try:
        fixed = column.cast(pa.binary(bits // 8))
    except pa.ArrowException:
        expected = f"pass hashes of one kind, as binaries of {bits // 8} bytes"
        raise InputError(f"a hash does not have {bits} bits; {expected}") from None
    return words_in(fixed)


def binaries_of_keys(words: np.ndarray) -> pa.Array:
    """Return the words uint64[row, word] as an array of type binary: the words of each row, big-endian, joined.

    `words_of_keys` turns the array back into words.
    """
    return binaries(words.astype(">u8").tobytes(), 8 * words.shape[1])
