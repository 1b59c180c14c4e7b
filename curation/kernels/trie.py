"""A trie over symbols in two hash tables, its vocabulary and its edges: building it, and finding entries with it.

A number stands for a symbol and for the node to which that symbol leads from the root, so that the first step of a walk
needs no look-up. Nodes below `terminals` are ends of entries (the node is the entry's position), nodes from there to `nodes`
are inside entries, and numbers from `nodes` on are symbols with which no entry begins. DESIGN.md says why.
"""

from typing import NamedTuple

import numpy as np

from curation.kernels import inline, kernel
from curation.kernels.symbols import HASHED

_FACTOR = -7046029254386353131  # 2^64 / golden ratio, odd, as int64
_LOW_HALF = 0xFFFFFFFF
_FEW = 40  # ids below which insertion sort is faster


class Trie(NamedTuple):
    """The arrays of a trie.

    `vocabulary` and `edges` are open-addressed tables, int64 of shape (slots, 2): a key, 0 where the slot is free, and a
    value. The vocabulary maps a symbol's key to its number, and above 32 bits to the place in `pool` (uint8) where the
    bytes of a hashed symbol follow their length in three bytes. An edge maps (node + 1) << 32 | symbol to the child.
    `same` (int32) leads from an entry to the next one with the same symbols, or -1; it is empty where there is none.
    `sizes` (int64) is nodes, terminals, and the most symbols of an entry.
    """

    vocabulary: np.ndarray
    pool: np.ndarray
    edges: np.ndarray
    same: np.ndarray
    sizes: np.ndarray


@inline
def slot_of(key, slots):
    """Return the slot at which the search for `key` begins."""
    mixed = (key ^ key >> 32) * _FACTOR
    return ((mixed >> 32 & _LOW_HALF) * slots) >> 32


@inline
def same_bytes(data, begin, end, pool, place):
    """Return whether the bytes that the pool holds at `place` are data[begin:end]."""
    size = end - begin
    if np.int64(pool[place]) | np.int64(pool[place + 1]) << 8 | np.int64(pool[place + 2]) << 16 != size:
        return False
    for i in range(size):
        if data[begin + i] != pool[place + 3 + i]:
            return False
    return True


@inline
def find_symbol(key, data, begin, end, vocabulary, pool):
    """Return the vocabulary's slot of the symbol data[begin:end], or the free slot where it would go."""
    slot = slot_of(key, len(vocabulary))
    while vocabulary[slot, 0] != 0:
        if vocabulary[slot, 0] == key:
            if key < HASHED or same_bytes(data, begin, end, pool, vocabulary[slot, 1] >> 32):
                break
        slot += 1
        if slot == len(vocabulary):
            slot = 0
    return slot


@inline
def find_key(key, table):
    """Return the slot of `key`, or the free slot where it would go."""
    slot = slot_of(key, len(table))
    while table[slot, 0] != 0 and table[slot, 0] != key:
        slot += 1
        if slot == len(table):
            slot = 0
    return slot


@inline
def edge_key(node, symbol):
    """Return the key of the edge from `node` by `symbol`; never 0."""
    return (node + 1) << 32 | symbol


# Finding.


@kernel
def look_up(data, keys, begins, ends, count, trie, out):
    """out[i] = number of the i-th symbol of a block, or -1 where no entry holds it."""
    vocabulary, pool = trie.vocabulary, trie.pool
    for i in range(count):
        slot = find_symbol(keys[i], data, begins[i], ends[i], vocabulary, pool)
        out[i] = vocabulary[slot, 1] & _LOW_HALF if vocabulary[slot, 0] != 0 else -1


@kernel
def walk(numbers, bounds, first, trie, stamps, stamp, ids, ends):
    """Find the entries in a block's texts from `first` on, as long as `ids` is sure to hold those of the next text.

    ids[ends[k]:ends[k + 1]] become the positions of the entries in text k, ascending, each once, where ends[first] is
    given. `stamps` holds an int32 per entry, none of them `stamp` + k for a text k. Return the first text not read.
    """
    edges, same = trie.edges, trie.same
    nodes, terminals, depth = trie.sizes[0], trie.sizes[1], trie.sizes[2]
    used = ends[first]
    for text in range(first, len(bounds) - 1):
        begin, end = bounds[text], bounds[text + 1] - 1
        if used + min(terminals, (end - begin) * depth) > len(ids):
            return text
        for start in range(begin, end):
            node = numbers[start]
            if node >= nodes:
                continue
            i = start
            while node >= 0:
                if node < terminals and stamps[node] != stamp + text:
                    stamps[node] = stamp + text
                    ids[used] = node
                    used += 1
                i += 1
                if numbers[i] < 0:
                    break
                slot = find_key(edge_key(node, numbers[i]), edges)
                node = edges[slot, 1] if edges[slot, 0] != 0 else -1
        if len(same):
            for i in range(ends[text], used):
                twin = same[ids[i]]
                while twin >= 0:
                    ids[used] = twin
                    used += 1
                    twin = same[twin]
        sort(ids, ends[text], used)
        ends[text + 1] = used
    return len(bounds) - 1


@inline
def sort(ids, begin, end):
    """Sort ids[begin:end]."""
    if end - begin > _FEW:
        ids[begin:end].sort()
        return
    for i in range(begin + 1, end):
        value = ids[i]
        j = i
        while j > begin and ids[j - 1] > value:
            ids[j] = ids[j - 1]
            j -= 1
        ids[j] = value


@kernel
def merge(offsets, ids, other_offsets, other_ids, out_offsets, out):
    """Merge two lists of ascending ids per text, which have no id in common, into ascending lists."""
    used = 0
    out_offsets[0] = 0
    for text in range(len(offsets) - 1):
        i, j = offsets[text], other_offsets[text]
        while i < offsets[text + 1] or j < other_offsets[text + 1]:
            if j == other_offsets[text + 1] or (i < offsets[text + 1] and ids[i] < other_ids[j]):
                out[used] = ids[i]
                i += 1
            else:
                out[used] = other_ids[j]
                j += 1
            used += 1
        out_offsets[text + 1] = used


# Building.


@kernel
def number_symbols(data, keys, begins, ends, count, vocabulary, pool, out):
    """Number the distinct symbols by first appearance, 0 and up; return how many there are and the pool's bytes used.

    out[i] is the number of the i-th symbol, or -1 at a text's end. `vocabulary` has more slots than there are symbols.
    """
    distinct, used = 0, 0
    for i in range(count):
        out[i] = -1
        if keys[i] == 0:
            continue
        slot = find_symbol(keys[i], data, begins[i], ends[i], vocabulary, pool)
        if vocabulary[slot, 0] == 0:
            vocabulary[slot, 0] = keys[i]
            vocabulary[slot, 1] = distinct
            if keys[i] >= HASHED:
                vocabulary[slot, 1] |= used << 32
                size = ends[i] - begins[i]
                for byte in range(3):
                    pool[used + byte] = size >> (8 * byte) & 255
                for byte in range(size):
                    pool[used + 3 + byte] = data[begins[i] + byte]
                used += 3 + size
            distinct += 1
        out[i] = vocabulary[slot, 1] & _LOW_HALF
    return distinct, used


@kernel
def insert_entries(numbers, bounds, positions, edges, terminal, same):
    """Insert the entries of a block, of which the k-th has positions[k], below root 0; return the number of nodes.

    terminal[node] becomes the position of the first entry that ends there; it comes filled with -1, as does `same`.
    """
    nodes = 1
    for k in range(len(bounds) - 1):
        node = 0
        for i in range(bounds[k], bounds[k + 1] - 1):
            key = edge_key(node, numbers[i])
            slot = find_key(key, edges)
            if edges[slot, 0] == 0:
                edges[slot, 0] = key
                edges[slot, 1] = nodes
                nodes += 1
            node = edges[slot, 1]
        if node == 0:
            continue
        if terminal[node] < 0:
            terminal[node] = positions[k]
        else:
            same[positions[k]] = same[terminal[node]]
            same[terminal[node]] = positions[k]
    return nodes


@kernel
def renumber_nodes(terminal, terminals, out):
    """out[node] = its final number: the position of its entry, else `terminals` and up; return the sum of both kinds."""
    inner = 0
    for node in range(1, len(out)):
        if terminal[node] >= 0:
            out[node] = terminal[node]
        else:
            out[node] = terminals + inner
            inner += 1
    return terminals + inner


@kernel
def renumber_symbols(edges, node_numbers, nodes, out):
    """out[symbol] = the final number of the root's child by it, else `nodes` and up."""
    out[:] = -1
    for slot in range(len(edges)):
        if edges[slot, 0] >> 32 == 1:
            out[edges[slot, 0] & _LOW_HALF] = node_numbers[edges[slot, 1]]
    others = 0
    for symbol in range(len(out)):
        if out[symbol] < 0:
            out[symbol] = nodes + others
            others += 1


@kernel
def renumber_edges(edges, node_numbers, symbol_numbers, out):
    """Copy the edges, but for the root's, to the table `out` under their final numbers."""
    for slot in range(len(edges)):
        node, symbol = (edges[slot, 0] >> 32) - 1, edges[slot, 0] & _LOW_HALF
        if node > 0:
            key = edge_key(node_numbers[node], symbol_numbers[symbol])
            place = find_key(key, out)
            out[place, 0] = key
            out[place, 1] = node_numbers[edges[slot, 1]]


@kernel
def renumber_vocabulary(vocabulary, symbol_numbers, out):
    """Copy the vocabulary to the table `out` under its final numbers."""
    for slot in range(len(vocabulary)):
        key, value = vocabulary[slot, 0], vocabulary[slot, 1]
        if key != 0:
            place = slot_of(key, len(out))  # hashed keys may be equal: the next free slot, whatever its neighbours
            while out[place, 0] != 0:
                place = place + 1 if place + 1 < len(out) else 0
            out[place, 0] = key
            out[place, 1] = value >> 32 << 32 | symbol_numbers[value & _LOW_HALF]
