"""Make a key of two integers from the bytes of a symbol; decode the character at a byte position.

A key (low, high) holds up to fifteen bytes, the first byte lowest, and above them their number plus one. For a longer
symbol, `low` is a hash and `high` is HASHED plus the number of bytes; then the caller must compare the bytes, too. No
key is (0, 0).
"""

import numpy as np

from runtime.kernels import inline
from runtime.kernels.machine import load_word, product

INLINE = 15  # most bytes that a key holds themselves
HASHED = 0x7F << 56
MOST_BYTES = (1 << 24) - 1  # the number of bytes in a key; a longer symbol has this number, too
WINDOW = 64  # bytes that are read at a time
REACH = WINDOW + INLINE  # bytes that must follow: a key may read 16 bytes from the last byte of a window on
_FACTOR = -7046029254386353131  # 2^64 / golden ratio, odd, as int64


@inline
def decode(data, i, end):
    """Return the character whose UTF-8 begins at data[i], and its number of bytes; a cut one is one byte long."""
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
    """Return what `decode` returns; read three bytes, as of Han, kana and Thai, with one access to memory."""
    word = load_word(data, i) if i + 8 <= len(data) else 0
    if word & 0xC0C0F0 == 0x8080E0 and i + 2 < end:
        character, size = three_bytes(word), 3
    else:
        character, size = decode(data, i, end)
    return character, size


@inline
def three_bytes(low):
    """Return the character whose UTF-8 is the three lowest bytes of `low`."""
    return (low & 0x0F) << 12 | (low >> 8 & 0x3F) << 6 | low >> 16 & 0x3F


@inline
def short_key(low, high, size):
    """Return the key of the first `size` bytes, up to 15, of the sixteen in `low` and then `high`."""
    part = (1 << 8 * (size & 7)) - 1  # of the half that is not whole
    return low & (part if size < 8 else -1), high & (0 if size < 8 else part) | (size + 1) << 56


@inline
def key_of_bytes(data, begin, size):
    """Return the key of the symbol data[begin:begin + size]."""
    if size > INLINE:
        return hash_of_bytes(data, begin, size), HASHED | min(size, MOST_BYTES)
    if begin + 16 <= len(data):
        return short_key(load_word(data, begin), load_word(data, begin + 8), size)
    low, high = 0, 0
    for i in range(size):
        if i < 8:
            low |= np.int64(data[begin + i]) << (8 * i)
        else:
            high |= np.int64(data[begin + i]) << (8 * (i - 8))
    return low, high | (size + 1) << 56


@inline
def hash_of_bytes(data, begin, size):
    """Return a hash of at least eight bytes, read eight at a time; the last eight may overlap the ones before."""
    hashed = size
    for i in range(begin, begin + size - 8, 8):
        hashed = product(hashed ^ load_word(data, i), _FACTOR)
        hashed ^= hashed >> 29
    return product(hashed ^ load_word(data, begin + size - 8), _FACTOR)


@inline
def low_key_of_character(character):
    """Return the UTF-8 form of a character, and its number of bytes."""
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
def same_bytes(data, begin, other, place, size):
    """Return whether data[begin:begin + size] are the bytes of `other` from `place` on."""
    alike = 0
    while alike < size and data[begin + alike] == other[place + alike]:
        alike += 1
    return alike == size
