"""Make keys of symbols, and fill and search the two hash tables of a trie over symbols: its vocabulary and its edges.

A key (low, high) holds up to fifteen bytes, the first byte lowest, and above the bytes their number plus one. For a
longer symbol, `low` is a hash and `high` is HASHED plus the number of bytes; in this case, the caller must also compare
the bytes. No key is (0, 0).

A symbol has the same number as the node to which the symbol leads from the root, so that the first step of a walk needs
no look-up. The nodes from 1 to `terminals` are ends of entries, and their number is the entry's position plus one. The
nodes above, up to `nodes`, are inside entries. Numbers above `nodes` are symbols with which no entry begins. 0 is not a
node. A *code* is a number with the bits SHARED, FOLLOWS and OPENS. matching/DESIGN.md explains this layout.
"""

from typing import NamedTuple

import numpy as np

from runtime.kernels import inline, kernel, part
from runtime.kernels.machine import half_word, load_word, matches, product, trailing_zeros

MAX_INLINE_BYTES = 15  # The key of a symbol of at most this many bytes holds the bytes.
HASHED = 0x7F << 56
MAX_SYMBOL_BYTES = (1 << 24) - 1  # It masks the number of bytes in `high`; longer symbols store this number.
WINDOW = 64  # This many bytes are read at a time.
# At least this many bytes must follow, as a key may read 16 bytes from the last byte of a window on.
REACH = WINDOW + MAX_INLINE_BYTES
_FACTOR = -7046029254386353131  # This is 2^64 divided by the golden ratio, an odd number, as int64.

NUMBER = (1 << 29) - 1  # This masks the number in a code.
SHARED = 1 << 29  # This bit says that several entries end at the node.
FOLLOWS = 1 << 30  # This bit says that some entry has the symbol after another symbol.
OPENS = 1 << 31  # This bit says that the node has children.

WORDS_PER_BUCKET, EDGES_PER_BUCKET = 3, 5
BUCKET_SIZE = 8  # A bucket has this many int64 values, which fill one cache line.
LOW_HALF = 0xFFFFFFFF
_OTHER_FACTOR = -4417276706812531889  # This is another odd number with irregular bits.


@inline
def decode(data, i, end):
    """Return the character whose UTF-8 begins at data[i], and its number of bytes, which is 1 if it is cut at `end`."""
    byte = np.int64(data[i])
    if byte < 0x80:
        return byte, 1
    if byte < 0xE0:
        if i + 1 < end:
            return (byte & 0x1F) << 6 | np.int64(data[i + 1]) & 0x3F, 2
    elif byte < 0xF0:
        if i + 2 < end:
            return (byte & 0x0F) << 12 | (np.int64(data[i + 1]) & 0x3F) << 6 | np.int64(data[i + 2]) & 0x3F, 3
    elif i + 3 < end:
        high = (byte & 0x07) << 18 | (np.int64(data[i + 1]) & 0x3F) << 12
        return min(high | (np.int64(data[i + 2]) & 0x3F) << 6 | np.int64(data[i + 3]) & 0x3F, 0x10FFFF), 4
    return byte, 1


@inline
def decode_quickly(data, i, end):
    """Return the same as `decode`, but read characters of three bytes (Han, kana, Thai) in one memory access."""
    word = load_word(data, i) if i + 8 <= len(data) else 0
    if word & 0xC0C0F0 == 0x8080E0 and i + 2 < end:
        character = three_bytes(word)
        size = 3
    else:
        character, size = decode(data, i, end)
    return character, size


@inline
def three_bytes(low):
    """Return the character whose UTF-8 is the three lowest bytes of `low`."""
    return (low & 0x0F) << 12 | (low >> 8 & 0x3F) << 6 | low >> 16 & 0x3F


@inline
def short_key(low, high, size):
    """Return the key of the first `size` (at most 15) of sixteen bytes: eight in `low`, then eight in `high`."""
    part = (1 << 8 * (size & 7)) - 1  # This masks the half of which only a part is used.
    return low & (part if size < 8 else -1), high & (0 if size < 8 else part) | (size + 1) << 56


@part
def key_of_bytes(data, begin, size):
    """Return the key of the symbol data[begin:begin + size]."""
    if size > MAX_INLINE_BYTES:
        return hash_of_bytes(data, begin, size), HASHED | min(size, MAX_SYMBOL_BYTES)
    if begin + 16 <= len(data):
        return short_key(load_word(data, begin), load_word(data, begin + 8), size)
    low = 0
    high = 0
    for i in range(size):
        if i < 8:
            low |= np.int64(data[begin + i]) << (8 * i)
        else:
            high |= np.int64(data[begin + i]) << (8 * (i - 8))
    return low, high | (size + 1) << 56


@inline
def hash_of_bytes(data, begin, size):
    """Return a hash of data[begin:begin + size], which has at least eight bytes.

    Eight bytes are hashed at a time; the last eight may overlap the eight before them.
    """
    hashed = size
    for i in range(begin, begin + size - 8, 8):
        hashed = product(hashed ^ load_word(data, i), _FACTOR)
        hashed ^= hashed >> 29
    return product(hashed ^ load_word(data, begin + size - 8), _FACTOR)


@inline
def low_key_of_character(character):
    """Return the UTF-8 bytes of a character as an integer, the first byte lowest, and their number."""
    if character < 0x80:
        return character, 1
    if character < 0x800:
        return (0x80 | character & 0x3F) << 8 | 0xC0 | character >> 6, 2
    if character < 0x10000:
        low = (0x80 | character & 0x3F) << 16 | (0x80 | character >> 6 & 0x3F) << 8
        return low | 0xE0 | character >> 12, 3
    low = (0x80 | character & 0x3F) << 24 | (0x80 | character >> 6 & 0x3F) << 16
    return low | (0x80 | character >> 12 & 0x3F) << 8 | 0xF0 | character >> 18, 4


@inline
def same_bytes(data, begin, other, other_begin, size):
    """Say whether data[begin:begin + size] equals other[other_begin:other_begin + size]."""
    alike = 0
    while alike < size and data[begin + alike] == other[other_begin + alike]:
        alike += 1
    return alike == size


class Trie(NamedTuple):
    """The arrays of a trie.

    `vocabulary` and `edges` are hash tables of buckets of 8 int64, filled from the left; a search ends at the first
    bucket that has room. A bucket of the vocabulary holds three keys of two integers and then three codes of 32 bits.
    An edge's key is node << 32 | symbol; a bucket of edges holds five keys, and then five codes of children. The high
    integer of a hashed symbol's key also holds, above 24 bits, the index of the symbol's bytes in `pool` (uint8).

    `hints` (uint8) is a bit filter: a pair whose bit is not set is not an edge, so most pairs need no look-up in
    `edges`.
    `same` (int32) maps an entry to the next entry with the same symbols, or to -1. It is empty if no two entries have
    the same symbols.
    `sizes` (int64) is `nodes`, `terminals`, and the number of symbols of the longest entry.
    `characters` (uint32, 65,536 or none) maps a code point to the code of its symbol, for symbols of three bytes.
    `borders` (uint8, 256 or none) is for the characters of `meta`. It is 1 for each byte that begins a character, other
    than a space, at either end of an entry: a text without any such byte holds no entry.
    """

    vocabulary: np.ndarray
    pool: np.ndarray
    edges: np.ndarray
    hints: np.ndarray
    same: np.ndarray
    sizes: np.ndarray
    characters: np.ndarray
    borders: np.ndarray


@inline
def bucket_of_word(low, high, vocabulary):
    """Return the index of the bucket at which the search for a symbol's key begins."""
    mixed = product(low, _FACTOR) ^ product(high, _OTHER_FACTOR)
    mixed = product(mixed ^ mixed >> 29, _FACTOR)
    return ((mixed >> 32 & LOW_HALF) * (len(vocabulary) >> 3) >> 32) << 3


@inline
def edge_key(node, symbol):
    """Return the key of the edge from a node by a symbol; both are given by their codes."""
    return (node & NUMBER) << 32 | symbol & NUMBER


@inline
def mixed_edge(key):
    """Return a 64-bit hash of an edge's key; its highest bits depend on most bits of the key."""
    return product(key ^ key >> 32, _FACTOR)


@inline
def bucket_of_mixed(mixed, edges):
    """Return the index of the bucket at which the search for an edge begins, given the hash of its key."""
    return ((mixed >> 32 & LOW_HALF) * (len(edges) >> 3) >> 32) << 3


@inline
def bucket_of_edge(key, edges):
    """Return the index of the bucket at which the search for an edge begins, given its key."""
    return bucket_of_mixed(mixed_edge(key), edges)


@inline
def hint_of_mixed(mixed, hints):
    """Return the index of an edge's bit in `hints`, given the hash of its key."""
    return (mixed >> 32 & LOW_HALF) * (len(hints) << 3) >> 32


@inline
def next_bucket(bucket, table):
    """Return the index of the next bucket; the first bucket follows the last."""
    return bucket + BUCKET_SIZE if bucket + BUCKET_SIZE < len(table) else 0


@inline
def word_code(low, high, bucket, vocabulary):
    """Return the code of a symbol whose key is not a hash, or 0 if the vocabulary does not have it."""
    while True:
        both = matches(vocabulary, bucket, low, high)
        bit = trailing_zeros(both & both >> 1 & 0b010101 | 0b1000000)
        code = half_word(vocabulary, bucket, 4 * WORDS_PER_BUCKET + (bit >> 1))  # The code is 0 if no slot matches.
        if (bit < 2 * WORDS_PER_BUCKET) | (vocabulary[bucket + 2 * WORDS_PER_BUCKET - 1] == 0):
            break
        bucket = next_bucket(bucket, vocabulary)
    return code


@inline
def edge_code(key, bucket, edges):
    """Return the code of the child to which an edge leads, or 0 if there is no such edge."""
    while True:
        slot = trailing_zeros(matches(edges, bucket, key, key) & 0b11111 | 0b100000)
        code = half_word(edges, bucket, 2 * EDGES_PER_BUCKET + slot)  # The code is 0 if no slot matches.
        if (slot < EDGES_PER_BUCKET) | (edges[bucket + EDGES_PER_BUCKET - 1] == 0):
            break
        bucket = next_bucket(bucket, edges)
    return code


@inline
def find_hashed(low, high, data, begin, vocabulary, pool):
    """Return the bucket and the slot of a hashed symbol, or the free slot for it if it is not there."""
    bucket = bucket_of_word(low, high, vocabulary)
    slot = 0
    while True:
        there = vocabulary[bucket + 2 * slot + 1]
        alike = (
            there >= HASHED
            and vocabulary[bucket + 2 * slot] == low
            and there & MAX_SYMBOL_BYTES == high & MAX_SYMBOL_BYTES
        )
        if there == 0 or (alike and same_bytes(data, begin, pool, there - HASHED >> 24, there & MAX_SYMBOL_BYTES)):
            break
        slot += 1
        if slot == WORDS_PER_BUCKET:
            bucket = next_bucket(bucket, vocabulary)
            slot = 0
    return bucket, slot


@inline
def code_at(table, bucket, keys, slot):
    """Return the code in a slot of a bucket; `keys` is the number of integers before the bucket's codes."""
    return table[bucket + keys + (slot >> 1)] >> (32 * (slot & 1)) & LOW_HALF


@kernel
def put_words(lows, highs, codes, table, characters):
    """Put distinct symbols and their codes into an empty vocabulary, and symbols of three bytes also into `characters`.

    The first key, which stands for the end of an entry, is left out.
    """
    for i in range(1, len(lows)):
        low, high = lows[i], highs[i]
        # The key of a hashed symbol also has its index in the pool, which does not count here.
        hashed = high & (HASHED | MAX_SYMBOL_BYTES) if high >= HASHED else high
        bucket = bucket_of_word(low, hashed, table)
        slot = 0
        while table[bucket + 2 * slot + 1] != 0:
            slot += 1
            if slot == WORDS_PER_BUCKET:
                bucket = next_bucket(bucket, table)
                slot = 0
        table[bucket + 2 * slot] = low
        table[bucket + 2 * slot + 1] = high
        table[bucket + 2 * WORDS_PER_BUCKET + (slot >> 1)] |= codes[i] << (32 * (slot & 1))
        if high == 4 << 56 and low & 0xF0 == 0xE0 and len(characters) != 0:
            characters[three_bytes(low)] = codes[i]


@kernel
def put_edges(keys, codes, table, hints):
    """Put distinct keys of edges, with the codes of their children, into an empty table; set the bits of `hints`."""
    for i in range(len(keys)):
        bit = hint_of_mixed(mixed_edge(keys[i]), hints)
        hints[bit >> 3] |= 1 << (bit & 7)
        bucket = bucket_of_edge(keys[i], table)
        slot = 0
        while table[bucket + slot] != 0:
            slot += 1
            if slot == EDGES_PER_BUCKET:
                bucket = next_bucket(bucket, table)
                slot = 0
        table[bucket + slot] = keys[i]
        table[bucket + EDGES_PER_BUCKET + (slot >> 1)] |= codes[i] << (32 * (slot & 1))
