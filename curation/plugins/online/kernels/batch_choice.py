"""Choose the samples of a batch one by one, each with the largest gain; a sample is a list of entry ids."""

from runtime.kernels import inline, kernel


@inline
def gain(ids, start, stop, targets, masses):
    """Return the growth of the sum of t * m / (t + m) over all entries if ids[start:stop] share a mass of 1 evenly.

    For an entry, t is targets[id], and m is masses[id] before the growth.
    """
    share = 1.0 / max(stop - start, 1)
    total = 0.0
    for i in range(start, stop):
        target = targets[ids[i]]
        square = target * target
        if square > 0.0:
            both = target + masses[ids[i]]
            total += square * share / (both * (both + share))
    return total


@inline
def sift(heap, size, gains):
    """Move heap[0] down until no row below it has a larger gain, or an equal gain and a smaller number."""
    parent = 0
    row = heap[0]
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        other = child + 1
        if other < size:
            a, b = heap[child], heap[other]
            if gains[b] > gains[a] or (gains[b] == gains[a] and b < a):
                child = other
        below = heap[child]
        if gains[row] > gains[below] or (gains[row] == gains[below] and row < below):
            break
        heap[parent] = below
        parent = child
    heap[parent] = row


@kernel
def gather_ids(ids, begins, offsets, out):
    """Set out[offsets[row]:offsets[row + 1]] to the same number of `ids`, from ids[begins[row]] on."""
    for row in range(len(begins)):
        for i in range(offsets[row + 1] - offsets[row]):
            out[offsets[row] + i] = ids[begins[row] + i]


@kernel
def all_gains(ids, offsets, targets, masses, gains):
    """Set gains[row] to the gain of ids[offsets[row]:offsets[row + 1]]."""
    for row in range(len(gains)):
        gains[row] = gain(ids, offsets[row], offsets[row + 1], targets, masses)


@kernel
def choose_batch(ids, offsets, targets, masses, gains, heap, chosen):
    """Set chosen[i] to the row with the largest gain after chosen[:i], the first of equals; add its mass to `masses`.

    The caller sets `gains` to the gains for an empty batch, and `heap` to the rows sorted by gain, the largest first.
    Adding samples never raises a gain, even with rounding, so an updated gain above all outdated gains is the largest.
    """
    size = len(heap)
    for i in range(len(chosen)):
        while True:
            row = heap[0]
            gains[row] = gain(ids, offsets[row], offsets[row + 1], targets, masses)
            sift(heap, size, gains)
            if heap[0] == row:
                break
        chosen[i] = row
        share = 1.0 / max(offsets[row + 1] - offsets[row], 1)
        for j in range(offsets[row], offsets[row + 1]):
            masses[ids[j]] += share
        size -= 1
        heap[0] = heap[size]
        if size:
            sift(heap, size, gains)
