"""Sort and deduplicate the entry ids found in one text, and add the ids of entries that have the same symbols."""

from runtime.kernels import inline, kernel
from runtime.kernels.machine import count_below

LANES = 32  # ids that are compared at once


@inline
def gather_same(same, found, size):
    """Append to found[:size] the entries with the same symbols as one of these; return their number, -1 if too many."""
    once = size
    for i in range(once):
        twin = same[found[i]]
        while twin >= 0 and size >= 0:
            found[size] = twin
            size = size + 1 if size + 1 < len(found) else -1
            twin = same[twin]
        if size < 0:
            break
    return size


@inline
def append_ranked(found, size, space, ids, used):
    """Append found[:size], at most LANES ids, sorted and each once, to ids[:used]; return their end.

    Each id goes to the position that is the number of smaller ones, without a branch.
    """
    taken = 0
    for i in range(size):
        rank = count_below(found, found[i], size)
        space[rank] = found[i]
        taken |= 1 << rank
    for i in range(size):
        ids[used] = space[i]
        used += taken >> i & 1
    return used


@kernel
def append_sorted(found, size, ids, used):
    """Append found[:size], sorted and each once, to ids[:used]; return their end."""
    found[:size].sort()
    for i in range(size):
        if i == 0 or found[i] != found[i - 1]:
            ids[used] = found[i]
            used += 1
    return used


@kernel
def append_same(same, ids, first, used):
    """Append to ids[:used] the entries with the same symbols as one of ids[first:used]; sort all, return their end."""
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
