"""Building the two hash tables of a trie; how they are laid out is in `trie`."""

from curation.kernels.trie.keys import HASHED, MOST_BYTES, three_bytes
from curation.kernels.trie.tables import (
    EDGES,
    FOLLOWS,
    LINE,
    NUMBER,
    OPENS,
    SHARED,
    WORDS,
    bucket_of_edge,
    bucket_of_word,
    code_at,
    find_hashed,
    hint_of_mixed,
    mixed_edge,
    next_bucket,
)
from runtime.kernels import inline, kernel


@inline
def find_word(low, high, data, begin, vocabulary, pool):
    """Return the bucket and the slot of a symbol, or of the room where it would go."""
    if high >= HASHED:
        bucket, slot = find_hashed(low, high, data, begin, vocabulary, pool)
    else:
        bucket, slot = bucket_of_word(low, high, vocabulary), 0
        while True:
            there = vocabulary[bucket + 2 * slot + 1]
            if there == 0 or (there == high and vocabulary[bucket + 2 * slot] == low):
                break
            slot += 1
            if slot == WORDS:
                bucket, slot = next_bucket(bucket, vocabulary), 0
    return bucket, slot


@inline
def find_edge(key, edges):
    """Return the bucket and the slot of an edge, or of the room where it would go."""
    bucket, slot = bucket_of_edge(key, edges), 0
    while edges[bucket + slot] != 0 and edges[bucket + slot] != key:
        slot += 1
        if slot == EDGES:
            bucket, slot = next_bucket(bucket, edges), 0
    return bucket, slot


@inline
def set_code(table, bucket, keys, slot, code):
    """Put a code into a slot of a bucket that has none there."""
    table[bucket + keys + (slot >> 1)] |= code << (32 * (slot & 1))


@kernel
def number_symbols(data, lows, highs, begins, count, vocabulary, pool, out):
    """Number the distinct symbols by first appearance, 1 and up; return how many there are and the pool's bytes used.

    out[i] is the number of the i-th symbol, or 0 at a text's end. `vocabulary` has more room than there are symbols.
    """
    distinct, used = 0, 0
    for i in range(count):
        out[i] = 0
        if highs[i] == 0:
            continue
        bucket, slot = find_word(lows[i], highs[i], data, begins[i], vocabulary, pool)
        if vocabulary[bucket + 2 * slot + 1] == 0:
            distinct += 1
            vocabulary[bucket + 2 * slot], vocabulary[bucket + 2 * slot + 1] = lows[i], highs[i]
            set_code(vocabulary, bucket, 2 * WORDS, slot, distinct)
            if highs[i] >= HASHED:
                vocabulary[bucket + 2 * slot + 1] |= used << 24
                for byte in range(highs[i] & MOST_BYTES):
                    pool[used] = data[begins[i] + byte]
                    used += 1
        out[i] = code_at(vocabulary, bucket, 2 * WORDS, slot)
    return distinct, used


@kernel
def insert_entries(numbers, bounds, positions, edges, terminal, same):
    """Insert the entries of a block, of which the k-th has positions[k], below root 1; return the number of nodes.

    terminal[node] becomes the position of the first entry that ends there; it comes filled with -1, as does `same`.
    """
    nodes = 1
    for k in range(len(bounds) - 1):
        node = 1
        for i in range(bounds[k], bounds[k + 1] - 1):
            key = node << 32 | numbers[i]
            bucket, slot = find_edge(key, edges)
            if edges[bucket + slot] == 0:
                nodes += 1
                edges[bucket + slot] = key
                set_code(edges, bucket, EDGES, slot, nodes)
            node = code_at(edges, bucket, EDGES, slot)
        if node == 1:
            continue
        if terminal[node] < 0:
            terminal[node] = positions[k]
        else:
            same[positions[k]] = same[terminal[node]]
            same[terminal[node]] = positions[k]
    return nodes


@kernel
def renumber_nodes(terminal, same, terminals, out):
    """out[node] = its final code: one more than its entry, else above `terminals`; return the sum of both kinds."""
    inner = terminals
    for node in range(2, len(out)):
        if terminal[node] >= 0:
            out[node] = terminal[node] + 1
            if same[terminal[node]] >= 0:
                out[node] |= SHARED
        else:
            inner += 1
            out[node] = inner
    return inner


@kernel
def mark_nodes(edges, node_codes, symbol_codes):
    """Tell the nodes that have children so, and the symbols that stand in an entry after another one."""
    for bucket in range(0, len(edges), LINE):
        for slot in range(EDGES):
            key = edges[bucket + slot]
            if key >> 32 > 1:
                node_codes[key >> 32] |= OPENS
                symbol_codes[key & NUMBER] |= FOLLOWS


@kernel
def renumber_symbols(edges, node_codes, nodes, codes):
    """Add to the code of each symbol that of the root's child by it, else a number above `nodes`."""
    for bucket in range(0, len(edges), LINE):
        for slot in range(EDGES):
            key = edges[bucket + slot]
            if key >> 32 == 1:
                codes[key & NUMBER] |= node_codes[code_at(edges, bucket, EDGES, slot)]
    others = nodes
    for symbol in range(1, len(codes)):
        if codes[symbol] & NUMBER == 0:
            others += 1
            codes[symbol] |= others


@kernel
def renumber_edges(edges, node_codes, symbol_codes, out, hints):
    """Copy the edges, but for the root's, to the table `out` under their final numbers, and set their hints."""
    for bucket in range(0, len(edges), LINE):
        for slot in range(EDGES):
            node, symbol = edges[bucket + slot] >> 32, edges[bucket + slot] & NUMBER
            if node > 1:
                key = (node_codes[node] & NUMBER) << 32 | symbol_codes[symbol] & NUMBER
                bit = hint_of_mixed(mixed_edge(key), hints)
                hints[bit >> 3] |= 1 << (bit & 7)
                place, room = find_edge(key, out)
                out[place + room] = key
                set_code(out, place, EDGES, room, node_codes[code_at(edges, bucket, EDGES, slot)])


@kernel
def renumber_vocabulary(vocabulary, symbol_codes, out, characters):
    """Copy the vocabulary to the table `out` with its final codes; those of three bytes also go to `characters`."""
    for bucket in range(0, len(vocabulary), LINE):
        for slot in range(WORDS):
            low, high = vocabulary[bucket + 2 * slot], vocabulary[bucket + 2 * slot + 1]
            if high != 0:
                hashed = high & (HASHED | MOST_BYTES) if high >= HASHED else high  # without the place
                place, room = bucket_of_word(low, hashed, out), 0
                while out[place + 2 * room + 1] != 0:  # all keys differ, or their bytes do: any room will do
                    room += 1
                    if room == WORDS:
                        place, room = next_bucket(place, out), 0
                out[place + 2 * room], out[place + 2 * room + 1] = low, high
                code = symbol_codes[code_at(vocabulary, bucket, 2 * WORDS, slot)]
                set_code(out, place, 2 * WORDS, room, code)
                if high == 4 << 56 and low & 0xF0 == 0xE0 and len(characters) != 0:
                    characters[three_bytes(low)] = code
