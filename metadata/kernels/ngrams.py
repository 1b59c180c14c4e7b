"""Number words and count pairs, by hash tables that compare bytes; compute the association of two words.

Slots are integer arrays filled with -1 whose length is a power of two, at least twice the number of keys; those of
words are int64. A table takes the words or pairs of one batch after another: `found` says how many it holds.
"""

import math

import numpy as np

from runtime.kernels import inline, kernel

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbours far apart


@kernel
def number_words(data, starts, ends, slots, found, numbers, offsets, out):
    """numbers[i] = number n of word i, by first appearance; its bytes: out[offsets[n]:offsets[n + 1]]. Return how many.

    A slot holds a part of the word's hash and its number; offsets[found] is given.
    """
    for i in range(len(starts)):
        start, size = np.int64(starts[i]), np.int64(ends[i] - starts[i])
        key = _hash_bytes(data, start, start + size)
        tag, slot = key >> 32, key & (len(slots) - 1)
        while slots[slot] >= 0 and not (
            slots[slot] >> 32 == tag and _same(data, start, size, out, offsets, slots[slot] & 0xFFFFFFFF)
        ):
            slot = (slot + 1) & (len(slots) - 1)
        if slots[slot] < 0:
            slots[slot] = tag << 32 | found
            at = np.int64(offsets[found])
            for k in range(size):
                out[at + k] = data[start + k]
            found += 1
            offsets[found] = at + size
        numbers[i] = slots[slot] & 0xFFFFFFFF
    return found


@kernel
def count_pairs(numbers, follows, slots, found, pairs, counts):
    """pairs[k] = (number << 32 | next number), by first appearance, counts[k] its count; return how many."""
    for i in range(1, len(numbers)):
        if not follows[i]:
            continue
        pair = np.int64(numbers[i - 1]) << 32 | np.int64(numbers[i])
        slot = _slot_of(pair, slots, pairs)
        if slots[slot] < 0:
            slots[slot] = found
            pairs[found], counts[found] = pair, 0
            found += 1
        counts[slots[slot]] += 1
    return found


@kernel
def index_pairs(pairs, slots):
    """Enter pairs, which are all different, into empty slots by their position."""
    for position in range(len(pairs)):
        slots[_slot_of(pairs[position], slots, pairs)] = position


@kernel
def pointwise_mutual_information(counts, first, second, total, out):
    """out[i] = log2(counts[i] * total[i] / (first[i] * second[i])); all are float64."""
    for i in range(len(counts)):
        out[i] = math.log2(counts[i] * total[i] / (first[i] * second[i]))


@kernel
def association(counts, pmi, floor, exponent, out):
    """out[i] = (counts[i] + 1) ** exponent * (pmi[i] - floor[i])."""
    for i in range(len(counts)):
        out[i] = math.pow(counts[i] + 1.0, exponent) * (pmi[i] - floor[i])


@inline
def _slot_of(pair, slots, pairs):
    """Return the slot of a pair, or the empty one where it would go."""
    slot = np.int64((np.uint64(pair) * _MULTIPLIER) >> np.uint64(32)) & (len(slots) - 1)
    while slots[slot] >= 0 and pairs[slots[slot]] != pair:
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@inline
def _hash_bytes(data, start, end):
    """Return a number below 2^63 made from the bytes, eight at a time."""
    key = np.uint64(end - start)
    for eight in range(start, end, 8):
        read = np.uint64(0)
        for position in range(eight, min(eight + 8, end)):
            read = read << np.uint64(8) | np.uint64(data[position])
        key = (key ^ read) * _MULTIPLIER
        key ^= key >> np.uint64(32)
    return np.int64((key * _MULTIPLIER) >> np.uint64(1))


@inline
def _same(data, start, size, out, offsets, number):
    """Return whether the bytes are those of the word with that number."""
    at = np.int64(offsets[number])
    if offsets[number + 1] - at != size:
        return False
    for k in range(size):
        if data[start + k] != out[at + k]:
            return False
    return True
