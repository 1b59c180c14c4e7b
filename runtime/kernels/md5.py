"""Compute the MD5 (RFC 1321) of many strings at once, each in one lane of the processor's vectors of 32-bit words.

A step of MD5 waits for the one before, so a single string leaves most of the processor idle. Sixteen strings go through
the steps together, until the longest of them ends.
"""

import math

import numpy as np
from llvmlite import ir

from runtime.kernels import inline, kernel
from runtime.kernels.machine import HALF, at, instruction, load_word, lowest

LANES = 16
_BLOCK = 64  # bytes that the 64 steps take in
_END = 0x80  # the byte that follows a string's own; then come zeros
_PADDING = 9  # bytes, at least: that one, and eight with the number of the string's bits, which end the last block
_A, _B, _C, _D = (np.uint32(word) for word in (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476))
_SINES = [int(2**32 * abs(math.sin(step + 1))) for step in range(64)]
_SHIFTS = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
_WORDS = ((1, 0), (5, 1), (3, 5), (7, 0))  # of a block, by round: step k takes word m * k + n, modulo 16
_VECTOR = ir.VectorType(HALF, LANES)

# Spreads the eight half bytes of 32 bits over 64, the digit of sixteens before that of ones, and makes each a digit.
U = np.uint64
_PAIRS, _BYTES, _DIGITS = U(0x0000FFFF0000FFFF), U(0x00FF00FF00FF00FF), U(0x0F0F0F0F0F0F0F0F)
_SIXES, _ONES, _ZEROS, _TO_LETTER = U(0x0606060606060606), U(0x0101010101010101), U(0x3030303030303030), U(39)


def _every(value):
    return ir.Constant(_VECTOR, [value] * LANES)


def _transposed(builder, rows):
    """Return sixteen vectors, the k-th of the k-th elements of `rows`: squares change sides, of 1, then 2, 4, 8."""
    for bit in (1, 2, 4, 8):
        upper = [k - bit + LANES if k & bit else k for k in range(LANES)]
        lower = [k + LANES if k & bit else k + bit for k in range(LANES)]
        masks = [ir.Constant(_VECTOR, places) for places in (upper, lower)]
        for i in (i for i in range(LANES) if not i & bit):
            pair = rows[i], rows[i + bit]
            rows[i], rows[i + bit] = (builder.shuffle_vector(*pair, mask) for mask in masks)
    return rows


def _chosen(builder, turn, b, c, d):
    """Return the function of round `turn`, in the form that takes fewest steps."""
    if turn == 0:
        return builder.xor(d, builder.and_(b, builder.xor(c, d)))
    if turn == 1:
        return builder.xor(c, builder.and_(d, builder.xor(b, c)))
    if turn == 2:
        return builder.xor(builder.xor(b, c), d)
    return builder.xor(c, builder.or_(b, builder.not_(d)))


def _stepped(builder, step, state, words):
    a, b, c, d = state
    turn = step // 16
    factor, first = _WORDS[turn]
    shift = _SHIFTS[turn][step % 4]
    added = builder.add(words[(factor * step + first) % 16], _every(_SINES[step]))
    total = builder.add(builder.add(a, added), _chosen(builder, turn, b, c, d))
    rotated = builder.or_(builder.shl(total, _every(shift)), builder.lshr(total, _every(32 - shift)))
    return d, builder.add(b, rotated), b, c


@instruction(results=0)
def compress(builder, blocks, states):
    """Take one block in each lane: blocks[lane] = its 64 bytes, states[0:4, lane] = the hash before and after."""
    loaded = [builder.load(at(builder, blocks, 8 * lane, _VECTOR), align=8) for lane in range(LANES)]
    words = _transposed(builder, loaded)
    addresses = [at(builder, states, LANES * k, _VECTOR) for k in range(4)]
    before = state = [builder.load(address, align=4) for address in addresses]
    for step in range(64):
        state = _stepped(builder, step, state, words)
    for address, old, new in zip(addresses, before, state, strict=True):
        builder.store(builder.add(old, new), address, align=4)


@inline
def fill_block(data, i, begin, stop, blocks, lane):
    """Fill blocks[lane] with the 64 bytes from data[i] on, of the string data[begin:stop] and what pads it."""
    left = stop - i
    if i + _BLOCK <= len(data):
        for k in range(8):
            blocks[lane, k] = load_word(data, i + 8 * k) & lowest(8 * min(max(left - 8 * k, 0), 8))
    else:
        blocks[lane] = 0
        for k in range(left):
            blocks[lane, k >> 3] |= np.int64(data[i + k]) << 8 * (k & 7)
    if 0 <= left < _BLOCK:
        blocks[lane, left >> 3] |= _END << 8 * (left & 7)
    if left + _PADDING <= _BLOCK:
        blocks[lane, 7] = 8 * (stop - begin)


@kernel
def md5(data, offsets, out):
    """out[row, 0:4] = MD5 of the bytes data[offsets[row]:offsets[row + 1]], as four uint32, the first digits lowest."""
    blocks, states = np.empty((LANES, 8), np.int64), np.empty((4, LANES), np.uint32)
    for first in range(0, len(out), LANES):
        rows = min(LANES, len(out) - first)
        states[0], states[1], states[2], states[3] = _A, _B, _C, _D
        taken, running = 0, True
        while running:
            running = False
            for lane in range(rows):
                begin, stop = offsets[first + lane], offsets[first + lane + 1]
                fill_block(data, begin + taken, begin, stop, blocks, lane)
            compress(blocks, states)
            taken += _BLOCK
            for lane in range(rows):
                needed = offsets[first + lane + 1] - offsets[first + lane] + _PADDING
                running |= needed > taken
                if taken - _BLOCK < needed <= taken:
                    for k in range(4):
                        out[first + lane, k] = states[k, lane]


@kernel
def hex_digits(words, out):
    """out[i] = the eight lower-case hexadecimal digits, as ASCII, of the bytes of words[i]; uint32 to uint64."""
    for i in range(len(out)):
        x = U(words[i])
        x = (x | x << U(16)) & _PAIRS
        x = (x | x << U(8)) & _BYTES
        x = (x >> U(4) | x << U(8)) & _DIGITS
        letters = (x + _SIXES) >> U(4) & _ONES
        out[i] = x + _ZEROS + letters * _TO_LETTER
