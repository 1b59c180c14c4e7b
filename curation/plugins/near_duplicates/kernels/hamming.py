"""Find hashes of pictures within a Hamming distance.

Hashes are found by shuffled keys and by look-ups with flipped bits; then leaders are chosen. A hash is a row of uint64,
one or four words. Bit `b` of a hash is bit b % 64 of word b // 64, where bit 0 is the lowest.
"""

import numpy as np

from runtime.kernels import inline, kernel
from runtime.kernels.machine import ones

U = np.uint64
GAMMA = U(0x9E3779B97F4A7C15)
ONE = U(1)
SIXTY_THREE = U(63)
# The finalizer of SplitMix64 (Steele, Lea, Flood, 2014) uses these shifts and odd factors; the UNDO_ factors invert it.
S30 = U(30)
S27 = U(27)
S31 = U(31)
S60 = U(60)
S54 = U(54)
S62 = U(62)
M1 = U(0xBF58476D1CE4E5B9)
M2 = U(0x94D049BB133111EB)
UNDO_M1 = U(0x96DE1B173F119089)
UNDO_M2 = U(0x319642B2D24D8EC3)


@inline
def mixed(word):
    z = word + GAMMA
    z = (z ^ (z >> S30)) * M1
    z = (z ^ (z >> S27)) * M2
    return z ^ (z >> S31)


@inline
def unmixed(z):
    z = (z ^ (z >> S31) ^ (z >> S62)) * UNDO_M2
    z = (z ^ (z >> S27) ^ (z >> S54)) * UNDO_M1
    return (z ^ (z >> S30) ^ (z >> S60)) - GAMMA


@inline
def mixed_rest(words, row):
    rest = U(0)
    for word in range(words.shape[1] - 1, 0, -1):
        rest = mixed(words[row, word] ^ rest)
    return rest


@kernel
def shuffle(words, out):
    """Set out[row] to the key of a hash, whose first word is mixed with the others; distinct hashes differ in keys."""
    for row in range(len(words)):
        out[row] = words[row]
        out[row, 0] = mixed(words[row, 0] ^ mixed_rest(words, row))


@kernel
def unshuffle(keys, out):
    """Set out[row] to the hash of a key: the inverse of `shuffle`."""
    for row in range(len(keys)):
        out[row] = keys[row]
        out[row, 0] = unmixed(keys[row, 0]) ^ mixed_rest(keys, row)


@inline
def value_of(words, row, positions):
    """Return the number that the bits at `positions` of a hash form; the bit at the first position is the lowest."""
    value = np.int64(0)
    for k in range(len(positions)):
        bit = positions[k]
        value |= np.int64((words[row, bit >> 6] >> (U(bit) & SIXTY_THREE)) & ONE) << k
    return value


@kernel
def values(words, positions, out):
    """Pack the bits at `positions` of each row of `words` into a number, out[row], lowest first."""
    for row in range(len(words)):
        out[row] = value_of(words, row, positions)


@kernel
def fill_table(words, positions, begin, starts, members):
    """Index the hashes begin to begin + len(members) - 1 by the number that their bits at `positions` form.

    The rows with value v, ascending, are members[starts[v]:starts[v + 1]]. `starts` must be zeros.
    """
    for row in range(begin, begin + len(members)):
        starts[value_of(words, row, positions) + 1] += 1
    for value in range(len(starts) - 1):
        starts[value + 1] += starts[value]
    # Each list is filled from its end.
    for row in range(begin + len(members) - 1, begin - 1, -1):
        value = value_of(words, row, positions) + 1
        starts[value] -= 1
        members[starts[value]] = row
    for value in range(len(starts) - 1):
        starts[value] = starts[value + 1]
    starts[-1] = len(members)


@inline
def bits_apart(words, row, other):
    apart = np.int64(0)
    for word in range(words.shape[1]):
        apart += ones(np.int64(words[row, word] ^ words[other, word]))
    return apart


@inline
def bits_apart_in(words, row, other, mask):
    apart = np.int64(0)
    for word in range(words.shape[1]):
        apart += ones(np.int64((words[row, word] ^ words[other, word]) & mask[word]))
    return apart


@kernel
def find_pairs(words, positions, starts, members, flips, ends, masks, most, k, begin, out):
    """Write to `out` the pairs (row, earlier indexed row) of hashes at most `k` bits apart, for rows from `begin` on.

    There are len(positions) tables. Table t indexes hashes by their bits positions[t]; it is searched for the bits of a
    row with each of flips[:ends[t]] applied by xor. A pair that differs in at most most[i] bits of masks[i] is left out
    if i is below t, as table i has already found it, or at least len(positions), as another index finds it. Return the
    row to continue with, and the number of pairs. This row is len(words) at the end, and smaller if `out` may be too
    short for the row's pairs.
    """
    pairs = 0
    row = begin
    tables = len(positions)
    while row < len(words) and pairs + members.shape[1] <= len(out):
        for table in range(tables):
            value = value_of(words, row, positions[table])
            for flip in range(ends[table]):
                near = value ^ flips[flip]
                for member in range(starts[table, near], starts[table, near + 1]):
                    other = members[table, member]
                    if other >= row:
                        break
                    if bits_apart(words, row, other) > k:
                        continue
                    is_new = True
                    for i in range(len(masks)):
                        if (i < table or i >= tables) and bits_apart_in(words, row, other, masks[i]) <= most[i]:
                            is_new = False
                    if is_new:
                        out[pairs, 0] = row
                        out[pairs, 1] = other
                        pairs += 1
        row += 1
    return row, pairs


@inline
def order_of(some, row, others, other):
    """Return -1, 0 or 1 if some[row] is smaller than, equal to or larger than others[other], word by word."""
    for word in range(some.shape[1]):
        if some[row, word] != others[other, word]:
            return -1 if some[row, word] < others[other, word] else 1
    return 0


@kernel
def find_leaders(later, earlier, copies, number, out):
    """Set out[pair] to whether the earlier hash of a pair is the leader of the later, which is always the larger hash.

    The leader is the smallest hash paired with the later hash that is not a copy; a hash with a leader is a copy. Pairs
    are sorted by (later, earlier), and at most one pair of a later hash is true. copies[:number] are the copies of
    previous pairs, ascending; the copies of these pairs are appended. Return the new number of copies.
    """
    for pair in range(len(later)):
        out[pair] = False
        if number > 0 and order_of(copies, number - 1, later, pair) == 0:
            continue
        low, high = 0, number
        while low < high:
            middle = (low + high) // 2
            if order_of(copies, middle, earlier, pair) < 0:
                low = middle + 1
            else:
                high = middle
        if low == number or order_of(copies, low, earlier, pair) != 0:
            copies[number] = later[pair]
            number += 1
            out[pair] = True
    return number
