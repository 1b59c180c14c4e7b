"""Hash many strings at once with SipHash and xxHash, and convert 32 hexadecimal digits to 128 bits.

SipHash-2-4 follows Aumasson and Bernstein, 2012; XXH64 follows Collet's specification 0.1.1.
"""

import numpy as np

from runtime.kernels import inline, kernel, lean
from runtime.kernels.machine import load_word

U = np.uint64
INITIAL_0, INITIAL_1 = U(0x736F6D6570736575), U(0x646F72616E646F6D)
INITIAL_2, INITIAL_3 = U(0x6C7967656E657261), U(0x7465646279746573)
FINAL = U(0xFF)
PRIME_1, PRIME_2 = U(0x9E3779B185EBCA87), U(0xC2B2AE3D27D4EB4F)
PRIME_3, PRIME_4, PRIME_5 = U(0x165667B19E3779F9), U(0x85EBCA77C2B2AE63), U(0x27D4EB2F165667C5)
DIGITS, NO_DIGIT = 32, 16


@inline
def rotated(x, bits):
    return (x << bits) | (x >> (U(64) - bits))


@inline
def mixed(v0, v1, v2, v3):
    """One SipRound."""
    v0 += v1
    v2 += v3
    v1 = rotated(v1, U(13)) ^ v0
    v3 = rotated(v3, U(16)) ^ v2
    v0 = rotated(v0, U(32))
    v2 += v1
    v0 += v3
    v1 = rotated(v1, U(17)) ^ v2
    v3 = rotated(v3, U(21)) ^ v0
    v2 = rotated(v2, U(32))
    return v0, v1, v2, v3


@inline
def word_at(data, i):
    """The eight bytes from `i` on, the first as the lowest."""
    return U(load_word(data, i))


@inline
def last_word(data, start, stop, length):
    """The bytes that fill no word, under the length modulo 256 in the highest byte."""
    word = U(length) << U(56)
    for i in range(start, stop):
        word |= U(data[i]) << U(8 * (i - start))
    return word


@kernel
def siphash(data, offsets, key_0, key_1, out):
    """out[row] = SipHash-2-4 of the bytes data[offsets[row]:offsets[row + 1]], all uint64."""
    for row in range(len(out)):
        v0, v1, v2, v3 = key_0 ^ INITIAL_0, key_1 ^ INITIAL_1, key_0 ^ INITIAL_2, key_1 ^ INITIAL_3
        start, stop = offsets[row], offsets[row + 1]
        whole = start + (stop - start) // 8 * 8
        for i in range(start, whole, 8):
            word = word_at(data, i)
            v3 ^= word
            v0, v1, v2, v3 = mixed(v0, v1, v2, v3)
            v0, v1, v2, v3 = mixed(v0, v1, v2, v3)
            v0 ^= word
        word = last_word(data, whole, stop, stop - start)
        v3 ^= word
        v0, v1, v2, v3 = mixed(v0, v1, v2, v3)
        v0, v1, v2, v3 = mixed(v0, v1, v2, v3)
        v0 ^= word
        v2 ^= FINAL
        for _ in range(4):
            v0, v1, v2, v3 = mixed(v0, v1, v2, v3)
        out[row] = v0 ^ v1 ^ v2 ^ v3


@inline
def taken(lane, word):
    """One round: what a lane is after it has taken a word."""
    return rotated(lane + word * PRIME_2, U(31)) * PRIME_1


@inline
def merged(total, lane):
    return (total ^ taken(U(0), lane)) * PRIME_1 + PRIME_4


@inline
def total_of_stripes(data, start, stop, seed):
    """What the whole stripes of 32 bytes give; each of four lanes takes one of a stripe's words."""
    a, b, c, d = seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1
    for i in range(start, stop, 32):
        a, b = taken(a, word_at(data, i)), taken(b, word_at(data, i + 8))
        c, d = taken(c, word_at(data, i + 16)), taken(d, word_at(data, i + 24))
    total = rotated(a, U(1)) + rotated(b, U(7)) + rotated(c, U(12)) + rotated(d, U(18))
    return merged(merged(merged(merged(total, a), b), c), d)


@inline
def with_rest(data, i, stop, total):
    """`total` after the bytes that fill no stripe: words, then a half word, then single bytes."""
    while i + 8 <= stop:
        total = rotated(total ^ taken(U(0), word_at(data, i)), U(27)) * PRIME_1 + PRIME_4
        i += 8
    if i + 4 <= stop:
        half = U(data[i]) | U(data[i + 1]) << U(8) | U(data[i + 2]) << U(16) | U(data[i + 3]) << U(24)
        total = rotated(total ^ half * PRIME_1, U(23)) * PRIME_2 + PRIME_3
        i += 4
    while i < stop:
        total = rotated(total ^ U(data[i]) * PRIME_5, U(11)) * PRIME_1
        i += 1
    return total


@inline
def spread(total):
    """`total` when each of its bits has met all others."""
    total = (total ^ total >> U(33)) * PRIME_2
    total = (total ^ total >> U(29)) * PRIME_3
    return total ^ total >> U(32)


@inline
def numbered(key, number):
    """One of many numbers that a key gives: SplitMix64's generator (Steele and others, 2014), here with XXH64's end."""
    return spread(key + U(number) * PRIME_1)


@kernel
def number_keys(keys, numbers, out):
    """out[row] = the number of keys[row] that numbers[row] names, all uint64; of 0 the key itself."""
    for row in range(len(out)):
        out[row] = numbered(keys[row], numbers[row]) if numbers[row] else keys[row]


@kernel
def xxhash(data, offsets, seeds, out):
    """out[row] = XXH64 of the bytes data[offsets[row]:offsets[row + 1]] with seeds[row], all uint64."""
    for row in range(len(out)):
        start, stop = offsets[row], offsets[row + 1]
        size = stop - start
        whole = start + size // 32 * 32
        if size >= 32:
            total = total_of_stripes(data, start, whole, seeds[row])
        else:
            total = seeds[row] + PRIME_5
        out[row] = spread(with_rest(data, whole, stop, total + U(size)))


def _values(digits):
    """Return the value of each byte as a digit; `digits` are those from 0 to 15, perhaps in several spellings."""
    values = np.full(256, NO_DIGIT, np.uint8)
    values[list(digits.encode())] = [int(digit, 16) for digit in digits]
    return values


LOWER_CASE = _values("0123456789abcdef")
EITHER_CASE = _values("0123456789abcdefABCDEF")


@lean
def read_digits(data, offsets, values, out, read):
    """out[row, 0:2] = the 128 bits that data[offsets[row]:offsets[row + 1]] spells; read[row] = whether it does.

    They are spelled by 32 bytes that `values`, a table of 256, has digits for; out is uint64.
    """
    for row in range(len(out)):
        begin = offsets[row]
        read[row] = offsets[row + 1] - begin == DIGITS
        if not read[row]:
            continue
        seen = np.uint8(0)
        for half in range(2):
            value = np.uint64(0)
            for i in range(begin + 16 * half, begin + 16 * half + 16):
                digit = values[data[i]]
                seen |= digit
                value = value << np.uint64(4) | np.uint64(digit)
            out[row, half] = value
        read[row] = seen < NO_DIGIT
