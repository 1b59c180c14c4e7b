"""XXH64 (Collet's xxHash, specification 0.1.1) over many strings, each with a seed of its own, in 64-bit words."""

import numpy as np

from runtime.kernels import inline, kernel
from runtime.kernels.machine import load_word
from runtime.kernels.siphash import rotated

U = np.uint64
PRIME_1, PRIME_2 = U(0x9E3779B185EBCA87), U(0xC2B2AE3D27D4EB4F)
PRIME_3, PRIME_4, PRIME_5 = U(0x165667B19E3779F9), U(0x85EBCA77C2B2AE63), U(0x27D4EB2F165667C5)


@inline
def word_at(data, i):
    return U(load_word(data, i))


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
