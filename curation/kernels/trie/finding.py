"""Find the entries of a trie in texts read as symbols: look symbols up, step from node to node, and sort the ids found.

A *group* is the symbols of several texts, read together; `curation.matching.matcher` forms groups. A text's ids are
sorted and distinct, and include entries with the same symbols as an entry found.
"""

import numpy as np

from curation.kernels.trie import tables
from curation.kernels.trie.tables import FOLLOWS, NUMBER, OPENS, SHARED, bucket_of_edge, edge_code, edge_key
from runtime.kernels import inline, kernel
from runtime.kernels.machine import count_below, prefetch

RANKED_IDS = 32  # This many ids are compared in one SIMD step.

_PREFETCHED_SYMBOLS = 64  # The buckets of this many symbols are prefetched before the first symbol is looked up.
_SYMBOLS_PER_WALK = 32  # Another level is not worthwhile if fewer walks continue than one per 32 symbols.
_MAX_GATHERED = 4096  # A text with more ids, repetitions included, is sorted with the help of stamps.


@inline
def gather_same(same, positions, size):
    """Append to positions[:size] all entries with the same symbols as one of these; return the new size.

    The size is -1 if `positions` is too short.
    """
    once = size
    for i in range(once):
        twin = same[positions[i]]
        while twin >= 0 and size >= 0:
            positions[size] = twin
            size = size + 1 if size + 1 < len(positions) else -1
            twin = same[twin]
        if size < 0:
            break
    return size


@inline
def append_ranked(positions, size, space, ids, used):
    """Append the sorted, distinct ids of positions[:size], at most RANKED_IDS, to ids[:used]; return the new `used`.

    Without a branch, each id is moved to the index that equals the number of smaller ids.
    """
    taken = 0
    for i in range(size):
        rank = count_below(positions, positions[i], size)
        space[rank] = positions[i]
        taken |= 1 << rank
    for i in range(size):
        ids[used] = space[i]
        used += taken >> i & 1
    return used


@kernel
def append_sorted(positions, size, ids, used):
    """Append the sorted, distinct ids of positions[:size] to ids[:used]; return the new `used`.

    This sorts positions[:size].
    """
    positions[:size].sort()
    for i in range(size):
        if i == 0 or positions[i] != positions[i - 1]:
            ids[used] = positions[i]
            used += 1
    return used


@kernel
def append_same(same, ids, first, used):
    """Append to ids[:used] all entries with the same symbols as one of ids[first:used]; return the new `used`.

    Afterwards ids[first:used] is sorted.
    """
    once = used if len(same) != 0 else first
    for i in range(first, once):
        twin = same[ids[i]]
        while twin >= 0:
            ids[used] = twin
            used += 1
            twin = same[twin]
    if len(same) != 0:
        ids[first:used].sort()
    return used


@kernel
def merge_lists(offsets, ids, other_offsets, other_ids, out_offsets, out):
    """Merge, for each text, two ascending lists of ids that have none in common into one ascending list."""
    used = 0
    out_offsets[0] = 0
    for text in range(len(offsets) - 1):
        i = offsets[text]
        j = other_offsets[text]
        while i < offsets[text + 1] or j < other_offsets[text + 1]:
            if j == other_offsets[text + 1] or (i < offsets[text + 1] and ids[i] < other_ids[j]):
                out[used] = ids[i]
                i += 1
            else:
                out[used] = other_ids[j]
                j += 1
            used += 1
        out_offsets[text + 1] = used


@kernel
def look_up(data, lows, highs, begins, count, trie, out):
    """Set out[i] to the trie's code of the i-th of `count` symbols, or to 0 if no entry has that symbol."""
    vocabulary = trie.vocabulary
    pool = trie.pool
    characters = trie.characters
    for first in range(0, count, _PREFETCHED_SYMBOLS):
        last = min(first + _PREFETCHED_SYMBOLS, count)
        for i in range(first, last):
            out[i] = tables.bucket_of_word(lows[i], highs[i], vocabulary)
            prefetch(vocabulary, out[i])
        for i in range(first, last):
            if (highs[i] == 4 << 56) & (lows[i] & 0xF0 == 0xE0) & (len(characters) != 0):
                out[i] = characters[tables.three_bytes(lows[i])]
            elif highs[i] < tables.HASHED:
                out[i] = tables.word_code(lows[i], highs[i], out[i], vocabulary)
            else:
                bucket, slot = tables.find_hashed(lows[i], highs[i], data, begins[i], vocabulary, pool)
                out[i] = tables.code_at(vocabulary, bucket, 2 * tables.WORDS_PER_BUCKET, slot)


@kernel
def first_steps(codes, count, trie, starts, buckets, nodes):
    """Take the first steps of the walks that start at each symbol of a group; return the number of levels filled.

    nodes[k, i] becomes the code of the node to which the symbols i to i + k lead, or 0. Stepping ends when few walks
    continue or all levels are filled. `starts` and `buckets` are scratch memory; they and `codes` must be longer than
    `count` by the number of levels.
    """
    going = count
    for i in range(count):
        nodes[0, i] = codes[i]
        starts[i] = i
    for level in range(1, len(nodes)):
        going = keep_parents(codes, nodes[level - 1], level, starts, going)
        if going * _SYMBOLS_PER_WALK < count:
            return level
        going = keep_hinted(codes, nodes[level - 1], level, trie, starts, buckets, going)
        nodes[level, :count] = 0
        for k in range(going):
            prefetch(trie.edges, buckets[k])
        for k in range(going):
            i = starts[k]
            key = edge_key(nodes[level - 1, i], codes[i + level])
            nodes[level, i] = edge_code(key, buckets[k], trie.edges)
    return len(nodes)


@inline
def keep_parents(codes, last, level, starts, going):
    """Keep the walks of starts[:going] whose node, in `last`, has children, and whose next symbol may follow a symbol.

    Return the number of walks kept.
    """
    kept = 0
    for k in range(going):
        i = starts[k]
        starts[kept] = i
        kept += last[i] >> 31 & codes[i + level] >> 30 & 1
    return kept


@inline
def keep_hinted(codes, last, level, trie, starts, buckets, going):
    """Keep the walks of starts[:going] whose next edge may exist because its bit in trie.hints is set.

    Return the number of walks kept. buckets[k] becomes the bucket in which to search for the edge of starts[k].
    """
    kept = 0
    for first in range(0, going, _PREFETCHED_SYMBOLS):
        end = min(first + _PREFETCHED_SYMBOLS, going)
        for k in range(first, end):
            i = starts[k]
            buckets[k] = tables.mixed_edge(edge_key(last[i], codes[i + level]))
            prefetch(trie.hints, tables.hint_of_mixed(buckets[k], trie.hints) >> 3)
        for k in range(first, end):
            mixed = buckets[k]
            bit = tables.hint_of_mixed(mixed, trie.hints)
            starts[kept] = starts[k]
            buckets[kept] = tables.bucket_of_mixed(mixed, trie.edges)
            kept += np.int64(trie.hints[bit >> 3]) >> (bit & 7) & 1
    return kept


@kernel
def walk(codes, nodes, bounds, first, trie, stamps, stamp, ids, ends):
    """Find the entries in a group's texts from `first` on, while `ids` has room for all entries of the next text.

    ids[ends[k]:ends[k + 1]] become the positions, in their list, of the entries in text k, ascending and distinct; the
    caller sets ends[first]. `look_up` made `codes`, and `first_steps` made `nodes`. `stamps` has an int32 per entry,
    none of which may equal `stamp` + k for a text k. Return the index of the first text that was not read.
    """
    edges, same = trie.edges, trie.same
    terminals, depth = trie.sizes[1], trie.sizes[2]
    positions = np.empty(_MAX_GATHERED, np.int32)
    space = np.empty(RANKED_IDS, np.int32)
    used = ends[first]
    for text in range(first, len(bounds) - 1):
        begin, end = bounds[text], bounds[text + 1] - 1
        most = (end - begin) * depth
        if used + (min(terminals, most) if len(same) == 0 else terminals) + RANKED_IDS > len(ids):
            return text
        if most + RANKED_IDS <= _MAX_GATHERED:
            size, seen = gather_positions(codes, nodes, len(nodes), begin, end, edges, terminals, positions)
            if seen & SHARED != 0:
                size = gather_same(same, positions, size)
            if size < 0:
                used = gather_once(codes, begin, end, edges, terminals, stamps, stamp + text, ids, used)
                used = append_same(same, ids, ends[text], used)
            elif size <= RANKED_IDS:
                used = append_ranked(positions, size, space, ids, used)
            else:
                used = append_sorted(positions, size, ids, used)
        else:
            used = gather_once(codes, begin, end, edges, terminals, stamps, stamp + text, ids, used)
            used = append_same(same, ids, ends[text], used)
        ends[text + 1] = used
    return len(bounds) - 1


@inline
def gather_positions(codes, nodes, levels, begin, end, edges, terminals, positions):
    """Write the positions of the entries in the symbols begin to end - 1 of a text to `positions`, possibly repeated.

    Return the number of positions, and the bitwise or of all codes seen. The levels that `first_steps` filled are read
    without a branch, as no processor can predict at which of their nodes an entry ends.
    """
    size = 0
    seen = 0
    for start in range(begin, end):
        code = 0
        for level in range(levels):
            code = nodes[level, start]
            seen |= code
            node = code & NUMBER
            positions[size] = node - 1
            size += (node > 0) & (node <= terminals)
        i = start + levels
        while code >= OPENS and codes[i] & FOLLOWS != 0:
            key = edge_key(code, codes[i])
            code = edge_code(key, bucket_of_edge(key, edges), edges)
            seen |= code
            node = code & NUMBER
            positions[size] = node - 1
            size += (node > 0) & (node <= terminals)
            i += 1
    return size, seen


@kernel
def gather_once(codes, begin, end, edges, terminals, stamps, stamp, ids, used):
    """Append the positions of the entries in a text's symbols, sorted and distinct, to ids[:used].

    Return the new `used`. This function is for long texts, and for deeply nested entries, whose repeated ids would need
    much space.
    """
    first = used
    for start in range(begin, end):
        code = codes[start]
        i = start + 1
        while code != 0:
            entry = (code & NUMBER) - 1
            if entry < terminals and stamps[entry] != stamp:
                stamps[entry] = stamp
                ids[used] = entry
                used += 1
            if code < OPENS or codes[i] & FOLLOWS == 0:
                break
            key = edge_key(code, codes[i])
            code = edge_code(key, bucket_of_edge(key, edges), edges)
            i += 1
    ids[first:used].sort()
    return used
