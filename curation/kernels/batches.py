"""Choose the samples of a batch one after the other, each with the largest gain; a sample is a list of entry ids."""

from runtime.kernels import inline, kernel


@inline
def gain(ids, start, stop, targets, masses):
    """The growth of the sum of t * m / (t + m) over all entries when ids[start:stop] share a mass of 1 evenly."""
    share, total = 1.0 / max(stop - start, 1), 0.0
    for i in range(start, stop):
        target = targets[ids[i]]
        square = target * target
        if square > 0.0:
            both = target + masses[ids[i]]
            total += square * share / (both * (both + share))
    return total


@inline
def sift(heap, size, gains):
    """Move heap[0] down until no row below it has a larger gain, or an equal one and a smaller number."""
    at = 0
    row = heap[0]
    while True:
        child = 2 * at + 1
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
        heap[at] = below
        at = child
    heap[at] = row


@kernel
def gather(ids, begins, offsets, out):
    """out[offsets[row]:offsets[row + 1]] = the ids from begins[row] on."""
    for row in range(len(begins)):
        for i in range(offsets[row + 1] - offsets[row]):
            out[offsets[row] + i] = ids[begins[row] + i]


@kernel
def all_gains(ids, offsets, targets, masses, gains):
    """gains[row] = the gain of ids[offsets[row]:offsets[row + 1]]."""
    for row in range(len(gains)):
        gains[row] = gain(ids, offsets[row], offsets[row + 1], targets, masses)


@kernel
def choose_batch(ids, offsets, targets, masses, gains, heap, chosen):
    """chosen[i] = the row with the largest gain after chosen[:i], the first of equal ones; masses grow.

    `gains` come as those of an empty batch, and `heap` as the rows in their order. No gain grows when samples are
    added, also as it is rounded: so one that is larger than all others were is the largest.
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
