"""Hash many strings at once with SipHash, xxHash and MD5, and convert 32 hexadecimal digits to 128 bits and back.

SipHash-2-4 follows Aumasson and Bernstein, 2012; XXH64 follows Collet's specification 0.1.1; MD5 follows RFC 1321.
"""

import math

import numpy as np
from llvmlite import ir

from runtime.kernels import inline, kernel, lean, part
from runtime.kernels.machine import HALF, at, instruction, load_word, lowest

LANES = 16
_MD5_BLOCK = 64  # bytes that MD5's 64 steps take in
_MD5_END = 0x80  # the byte that follows a string's own bytes; zeros follow it
_MD5_PADDING = 9  # the fewest bytes of padding: _MD5_END, and the string's length in bits, the last block's last eight
_MD5_A, _MD5_B, _MD5_C, _MD5_D = (np.uint32(word) for word in (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476))
_MD5_SINES = [int(2**32 * abs(math.sin(step + 1))) for step in range(64)]
_MD5_SHIFTS = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
_MD5_WORDS = ((1, 0), (5, 1), (3, 5), (7, 0))  # (m, n) of each round: step k takes word m * k + n of a block, modulo 16
_VECTOR = ir.VectorType(HALF, LANES)
U = np.uint64

# With these constants, `hex_digits` spreads eight half bytes over 64 bits, the higher half of a byte first, and makes
# each half byte a digit.
_PAIRS = U(0x0000FFFF0000FFFF)
_BYTES = U(0x00FF00FF00FF00FF)
_DIGITS = U(0x0F0F0F0F0F0F0F0F)
_SIXES = U(0x0606060606060606)
_ONES = U(0x0101010101010101)
_ZEROS = U(0x3030303030303030)
_TO_LETTER = U(39)

# SipHash starts from these four words, and mixes the fifth into its state at the end.
SIP_INITIAL_0 = U(0x736F6D6570736575)
SIP_INITIAL_1 = U(0x646F72616E646F6D)
SIP_INITIAL_2 = U(0x6C7967656E657261)
SIP_INITIAL_3 = U(0x7465646279746573)
SIP_FINAL = U(0xFF)
XXH_PRIME_1 = U(0x9E3779B185EBCA87)
XXH_PRIME_2 = U(0xC2B2AE3D27D4EB4F)
XXH_PRIME_3 = U(0x165667B19E3779F9)
XXH_PRIME_4 = U(0x85EBCA77C2B2AE63)
XXH_PRIME_5 = U(0x27D4EB2F165667C5)
UID_DIGITS = 32
NO_DIGIT = 16  # the value of bytes that are not hexadecimal digits


@inline
def rotated(x, bits):
    return (x << bits) | (x >> (U(64) - bits))


@part
def sip_round(v0, v1, v2, v3):
    """Return the four words of SipHash's state after one SipRound."""
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
    """Return the eight bytes from data[i] on as uint64, the first byte lowest."""
    return U(load_word(data, i))


@inline
def last_word(data, start, stop, length):
    """Return data[start:stop], fewer than eight bytes, as uint64 with `length` modulo 256 in the highest byte."""
    word = U(length) << U(56)
    for i in range(start, stop):
        word |= U(data[i]) << U(8 * (i - start))
    return word


@kernel
def siphash(data, offsets, key_0, key_1, out):
    """out[row] = SipHash-2-4 of the bytes data[offsets[row]:offsets[row + 1]]; both halves of the key are uint64."""
    for row in range(len(out)):
        v0 = key_0 ^ SIP_INITIAL_0
        v1 = key_1 ^ SIP_INITIAL_1
        v2 = key_0 ^ SIP_INITIAL_2
        v3 = key_1 ^ SIP_INITIAL_3
        start, stop = offsets[row], offsets[row + 1]
        whole = start + (stop - start) // 8 * 8
        for i in range(start, whole, 8):
            word = word_at(data, i)
            v3 ^= word
            v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
            v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
            v0 ^= word
        word = last_word(data, whole, stop, stop - start)
        v3 ^= word
        v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
        v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
        v0 ^= word
        v2 ^= SIP_FINAL
        for _ in range(4):
            v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
        out[row] = v0 ^ v1 ^ v2 ^ v3


@part
def next_lane(lane, word):
    """Return the state of an XXH64 lane after the lane's round for `word`."""
    return rotated(lane + word * XXH_PRIME_2, U(31)) * XXH_PRIME_1


@inline
def merged_lane(total, lane):
    return (total ^ next_lane(U(0), lane)) * XXH_PRIME_1 + XXH_PRIME_4


@inline
def total_of_stripes(data, start, stop, seed):
    """Return the XXH64 total of data[start:stop], which is a whole number of stripes of 32 bytes.

    Each stripe has four words, one for each of XXH64's four lanes.
    """
    a = seed + XXH_PRIME_1 + XXH_PRIME_2
    b = seed + XXH_PRIME_2
    c = seed
    d = seed - XXH_PRIME_1
    for i in range(start, stop, 32):
        a = next_lane(a, word_at(data, i))
        b = next_lane(b, word_at(data, i + 8))
        c = next_lane(c, word_at(data, i + 16))
        d = next_lane(d, word_at(data, i + 24))
    total = rotated(a, U(1)) + rotated(b, U(7)) + rotated(c, U(12)) + rotated(d, U(18))
    return merged_lane(merged_lane(merged_lane(merged_lane(total, a), b), c), d)


@part
def with_rest(data, i, stop, total):
    """Return the XXH64 total after the rest, data[i:stop], is added: whole words, a half word, then single bytes."""
    while i + 8 <= stop:
        total = rotated(total ^ next_lane(U(0), word_at(data, i)), U(27)) * XXH_PRIME_1 + XXH_PRIME_4
        i += 8
    if i + 4 <= stop:
        half = U(data[i]) | U(data[i + 1]) << U(8) | U(data[i + 2]) << U(16) | U(data[i + 3]) << U(24)
        total = rotated(total ^ half * XXH_PRIME_1, U(23)) * XXH_PRIME_2 + XXH_PRIME_3
        i += 4
    while i < stop:
        total = rotated(total ^ U(data[i]) * XXH_PRIME_5, U(11)) * XXH_PRIME_1
        i += 1
    return total


@inline
def spread_bits(total):
    """Return `total` after XXH64's last steps, in which each bit is mixed with all others."""
    total = (total ^ total >> U(33)) * XXH_PRIME_2
    total = (total ^ total >> U(29)) * XXH_PRIME_3
    return total ^ total >> U(32)


@inline
def numbered(key, number):
    """Return item `number` of the pseudo-random sequence with the seed `key`.

    The sequence is SplitMix64 (Steele and others, 2014) with a constant and the last steps (`spread_bits`) of XXH64.
    """
    return spread_bits(key + U(number) * XXH_PRIME_1)


@kernel
def number_keys(keys, numbers, out):
    """out[row] = numbered(keys[row], numbers[row]), or keys[row] if the number is 0; all are uint64."""
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
            total = seeds[row] + XXH_PRIME_5
        out[row] = spread_bits(with_rest(data, whole, stop, total + U(size)))


def _values(digits):
    """Return the value of each byte (0 to 255) as a digit; NO_DIGIT for the bytes that are not in `digits`."""
    values = np.full(256, NO_DIGIT, np.uint8)
    values[list(digits.encode())] = [int(digit, 16) for digit in digits]
    return values


LOWER_CASE = _values("0123456789abcdef")
EITHER_CASE = _values("0123456789abcdefABCDEF")


@lean
def read_digits(data, offsets, values, out, read):
    """Read strings of 32 digits: out[row, 0:2] = the 128 bits that data[offsets[row]:offsets[row + 1]] spells.

    `values` has the value of each byte as a digit. read[row] becomes True if the string is 32 bytes that are all
    digits; otherwise, out[row] is undefined. `out` is uint64.
    """
    for row in range(len(out)):
        begin = offsets[row]
        read[row] = offsets[row + 1] - begin == UID_DIGITS
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


def _every(value):
    return ir.Constant(_VECTOR, [value] * LANES)


def _transposed(builder, rows):
    """Return sixteen vectors transposed: vector k has the k-th elements of all vectors in `rows`.

    Squares with sides of 1, 2, 4, then 8 elements are swapped.
    """
    for bit in (1, 2, 4, 8):
        upper = [*range(LANES)]
        lower = [*range(LANES)]
        for k in range(LANES):
            if k & bit:
                upper[k] = k - bit + LANES
                lower[k] = k + LANES
            else:
                lower[k] = k + bit
        upper_mask = ir.Constant(_VECTOR, upper)
        lower_mask = ir.Constant(_VECTOR, lower)
        for i in range(LANES):
            if not i & bit:
                first, second = rows[i], rows[i + bit]
                rows[i] = builder.shuffle_vector(first, second, upper_mask)
                rows[i + bit] = builder.shuffle_vector(first, second, lower_mask)
    return rows


def _chosen(builder, turn, b, c, d):
    """Return the value of MD5's function of round `turn` (F, G, H or I of RFC 1321) for b, c and d.

    Each function is written with the fewest instructions.
    """
    if turn == 0:
        return builder.xor(d, builder.and_(b, builder.xor(c, d)))
    if turn == 1:
        return builder.xor(c, builder.and_(d, builder.xor(b, c)))
    if turn == 2:
        return builder.xor(builder.xor(b, c), d)
    return builder.xor(c, builder.or_(b, builder.not_(d)))


def _stepped(builder, step, state, words):
    """Return the four words of MD5's state after a step; `words` has the block's sixteen words."""
    a, b, c, d = state
    turn = step // 16
    factor, first = _MD5_WORDS[turn]
    shift = _MD5_SHIFTS[turn][step % 4]
    added = builder.add(words[(factor * step + first) % 16], _every(_MD5_SINES[step]))
    total = builder.add(builder.add(a, added), _chosen(builder, turn, b, c, d))
    rotated = builder.or_(builder.shl(total, _every(shift)), builder.lshr(total, _every(32 - shift)))
    return d, builder.add(b, rotated), b, c


@instruction(results=0)
def compress(builder, blocks, states):
    """states[0:4, lane] = the MD5 state of each lane after it has taken in one block, the 64 bytes of blocks[lane]."""
    loaded = [builder.load(at(builder, blocks, 8 * lane, _VECTOR), align=8) for lane in range(LANES)]
    words = _transposed(builder, loaded)
    addresses = [at(builder, states, LANES * k, _VECTOR) for k in range(4)]
    before = state = [builder.load(address, align=4) for address in addresses]
    for step in range(64):
        state = _stepped(builder, step, state, words)
    for address, old, new in zip(addresses, before, state, strict=True):
        builder.store(builder.add(old, new), address, align=4)


@part
def fill_block(data, i, begin, stop, blocks, lane):
    """Fill blocks[lane] with the 64 bytes from data[i] on of the string data[begin:stop] and MD5's padding after it."""
    left = stop - i
    if i + _MD5_BLOCK <= len(data):
        for k in range(8):
            blocks[lane, k] = load_word(data, i + 8 * k) & lowest(8 * min(max(left - 8 * k, 0), 8))
    else:
        blocks[lane] = 0
        for k in range(left):
            blocks[lane, k >> 3] |= np.int64(data[i + k]) << 8 * (k & 7)
    if 0 <= left < _MD5_BLOCK:
        blocks[lane, left >> 3] |= _MD5_END << 8 * (left & 7)
    if left + _MD5_PADDING <= _MD5_BLOCK:
        blocks[lane, 7] = 8 * (stop - begin)


@kernel
def md5(data, offsets, out):
    """out[row, 0:4] = MD5 of the bytes data[offsets[row]:offsets[row + 1]], as four uint32, the first byte lowest.

    Each step of MD5 waits for the step before, so a single string leaves most of the processor idle. Therefore, sixteen
    strings go through the steps together, each in one lane of vectors of 32-bit words, until the longest string ends.
    """
    blocks = np.empty((LANES, 8), np.int64)
    states = np.empty((4, LANES), np.uint32)
    for first in range(0, len(out), LANES):
        rows = min(LANES, len(out) - first)
        states[0] = _MD5_A
        states[1] = _MD5_B
        states[2] = _MD5_C
        states[3] = _MD5_D
        taken = 0
        running = True
        while running:
            running = False
            for lane in range(rows):
                begin, stop = offsets[first + lane], offsets[first + lane + 1]
                fill_block(data, begin + taken, begin, stop, blocks, lane)
            compress(blocks, states)
            taken += _MD5_BLOCK
            for lane in range(rows):
                needed = offsets[first + lane + 1] - offsets[first + lane] + _MD5_PADDING
                running |= needed > taken
                if taken - _MD5_BLOCK < needed <= taken:
                    for k in range(4):
                        out[first + lane, k] = states[k, lane]


@kernel
def hex_digits(words, out):
    """out[i] = the bytes of words[i] (uint32) as eight lower-case hexadecimal digits in ASCII, in one uint64."""
    for i in range(len(out)):
        x = U(words[i])
        x = (x | x << U(16)) & _PAIRS
        x = (x | x << U(8)) & _BYTES
        x = (x >> U(4) | x << U(8)) & _DIGITS
        letters = (x + _SIXES) >> U(4) & _ONES
        out[i] = x + _ZEROS + letters * _TO_LETTER
