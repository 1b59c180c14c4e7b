"""Compare the strings of an image's rows: each string with the string before it, or all strings for the smallest."""

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
def differs_from_last(offsets, data, order, indices, out):
    """Set out[k] to whether row order[indices[k]] has another string than row order[indices[k] - 1]."""
    for k in range(len(out)):
        row, last = order[indices[k]], order[indices[k] - 1]
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
        for i in range(bounds[image], bounds[image + 1]):
            row = order[i]
            if not valid[row]:
                continue
            if best < 0:
                best = row
                continue
            begin, least = offsets[row], offsets[best]
            size = offsets[row + 1] - begin
            least_size = offsets[best + 1] - least
            same = common(data, begin, least, min(size, least_size))
            if same == min(size, least_size):
                best = row if size < least_size else best
            elif data[begin + same] < data[least + same]:
                best = row
        out[image] = best
