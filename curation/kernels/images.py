"""Compare strings of an image's rows: each with the one before, or all of an image for the smallest."""

import numpy as np

from runtime.kernels import inline, kernel
from runtime.kernels.machine import load_word


@inline
def common(data, begin, other, size):
    """Return the length of the common prefix of data[begin:begin + size] and data[other:other + size]."""
    k = 0
    while k + 8 <= size and load_word(data, begin + k) == load_word(data, other + k):
        k += 8
    while k < size and data[begin + k] == data[other + k]:
        k += 1
    return k


@kernel
def differs_from_last(offsets, data, order, places, out):
    """Set out[k] to whether the string of row order[places[k]] differs from that of row order[places[k] - 1]."""
    for k in range(len(out)):
        row, last = order[places[k]], order[places[k] - 1]
        size = offsets[row + 1] - offsets[row]
        alike = size == offsets[last + 1] - offsets[last]
        out[k] = not alike or common(data, offsets[row], offsets[last], size) < size


@kernel
def smallest(offsets, data, valid, order, bounds, out):
    """Set out[image] to the row in order[bounds[image]:bounds[image + 1]] with the smallest string; -1 without any.

    Rows that are not `valid` do not count.
    """
    for image in range(len(out)):
        best = np.int64(-1)
        for place in range(bounds[image], bounds[image + 1]):
            row = order[place]
            if not valid[row]:
                continue
            if best < 0:
                best = row
                continue
            begin, least = offsets[row], offsets[best]
            size, least_size = offsets[row + 1] - begin, offsets[best + 1] - least
            same = common(data, begin, least, min(size, least_size))
            if same == min(size, least_size):
                best = row if size < least_size else best
            elif data[begin + same] < data[least + same]:
                best = row
        out[image] = best
