"""MD5 (RFC 1321) of many strings at once, each in a lane of the processor's vectors of 32-bit words.

A step of MD5 waits for the one before, so one string leaves most of the processor idle. Sixteen strings go through
the steps together; where one ends, the next takes its lane, so strings of any lengths may follow each other.
"""

import math
from typing import NamedTuple

import numpy as np
from llvmlite import ir

from runtime.kernels import inline, kernel, lean
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


class Lanes(NamedTuple):
    """What each lane is at: the row whose string it takes, or -1, and the next byte of that, block and hash."""

    rows: np.ndarray
    places: np.ndarray
    blocks: np.ndarray  # blocks[lane] = eight int64
    states: np.ndarray  # states[0:4, lane], uint32


def free_lanes() -> Lanes:
    """Return lanes that have no row yet."""
    rows, places = np.full(LANES, -1, np.int64), np.zeros(LANES, np.int64)
    return Lanes(rows, places, np.zeros((LANES, 8), np.int64), np.zeros((4, LANES), np.uint32))


@inline
def copy_end(data, i, left, blocks, lane):
    """Fill blocks[lane] with the `left` bytes from data[i] on, none if it is negative, and with zeros."""
    if i + _BLOCK <= len(data):
        for k in range(8):
            own = min(max(left - 8 * k, 0), 8)
            blocks[lane, k] = load_word(data, i + 8 * k) & lowest(8 * own)
        return
    for k in range(8):
        blocks[lane, k] = 0
    for k in range(left):
        blocks[lane, k >> 3] |= np.int64(data[i + k]) << 8 * (k & 7)


@inline
def fill_block(data, i, begin, stop, blocks, lane):
    """Fill blocks[lane] with the 64 bytes from data[i] on, of the string data[begin:stop] and what pads it."""
    left = stop - i
    if left >= _BLOCK:
        for k in range(8):
            blocks[lane, k] = load_word(data, i + 8 * k)
        return
    copy_end(data, i, left, blocks, lane)
    if left >= 0:
        blocks[lane, left >> 3] |= _END << 8 * (left & 7)
    if left + _PADDING <= _BLOCK:
        blocks[lane, 7] = 8 * (stop - begin)


@inline
def take_row(row, begin, lanes, lane):
    lanes.rows[lane], lanes.places[lane] = row, begin
    lanes.states[0, lane], lanes.states[1, lane], lanes.states[2, lane], lanes.states[3, lane] = _A, _B, _C, _D


@lean
def md5(data, offsets, lanes, out):
    """out[row, 0:4] = MD5 of the bytes data[offsets[row]:offsets[row + 1]], as four uint32, the first digits lowest."""
    taken, running = 0, 0
    while True:
        for lane in range(LANES):
            row = lanes.rows[lane]
            if row >= 0 and lanes.places[lane] >= offsets[row + 1] + _PADDING:
                for k in range(4):
                    out[row, k] = lanes.states[k, lane]
                lanes.rows[lane] = -1
                running -= 1
            if lanes.rows[lane] < 0 and taken < len(out):
                take_row(taken, offsets[taken], lanes, lane)
                taken += 1
                running += 1
            row, i = lanes.rows[lane], lanes.places[lane]
            if row >= 0:
                fill_block(data, i, offsets[row], offsets[row + 1], lanes.blocks, lane)
                lanes.places[lane] = i + _BLOCK
        if running == 0:
            return
        compress(lanes.blocks, lanes.states)


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
