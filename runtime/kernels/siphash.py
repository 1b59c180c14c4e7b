"""SipHash-2-4 (Aumasson and Bernstein, 2012) over many strings at once, in 64-bit words."""

import numpy as np

from runtime.kernels import inline, kernel

U = np.uint64
THIRTEEN, SIXTEEN, SEVENTEEN, TWENTY_ONE, THIRTY_TWO = U(13), U(16), U(17), U(21), U(32)
SIXTY_FOUR = U(64)
INITIAL_0, INITIAL_1 = U(0x736F6D6570736575), U(0x646F72616E646F6D)
INITIAL_2, INITIAL_3 = U(0x6C7967656E657261), U(0x7465646279746573)
FINAL = U(0xFF)


@inline
def rotated(x, bits):
    return (x << bits) | (x >> (SIXTY_FOUR - bits))


@inline
def mixed(v0, v1, v2, v3):
    """One SipRound."""
    v0 += v1
    v2 += v3
    v1 = rotated(v1, THIRTEEN) ^ v0
    v3 = rotated(v3, SIXTEEN) ^ v2
    v0 = rotated(v0, THIRTY_TWO)
    v2 += v1
    v0 += v3
    v1 = rotated(v1, SEVENTEEN) ^ v2
    v3 = rotated(v3, TWENTY_ONE) ^ v0
    v2 = rotated(v2, THIRTY_TWO)
    return v0, v1, v2, v3


@inline
def word_at(data, i):
    """The eight bytes from `i` on, the first as the lowest; the compiler makes one load of it."""
    return (
        U(data[i])
        | U(data[i + 1]) << U(8)
        | U(data[i + 2]) << U(16)
        | U(data[i + 3]) << U(24)
        | U(data[i + 4]) << U(32)
        | U(data[i + 5]) << U(40)
        | U(data[i + 6]) << U(48)
        | U(data[i + 7]) << U(56)
    )


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
