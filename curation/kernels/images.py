"""The loops that bring the texts of an image together."""

import numpy as np

from curation.kernels import inline, kernel


@kernel
def rank_texts(new_image, new_text, out):
    """out[row] = place of the row's text among the distinct texts of its image, 0 and up; rows come sorted."""
    rank = 0
    for row in range(len(out)):
        if new_image[row]:
            rank = 0
        elif new_text[row]:
            rank += 1
        out[row] = rank


@inline
def less(data, begin, end, other_begin, other_end):
    """Return whether data[begin:end] comes before data[other_begin:other_end], byte by byte."""
    for i in range(min(end - begin, other_end - other_begin)):
        if data[begin + i] != data[other_begin + i]:
            return data[begin + i] < data[other_begin + i]
    return end - begin < other_end - other_begin


@kernel
def smallest(offsets, data, valid, order, bounds, out):
    """out[image] = the row in order[bounds[image]:bounds[image + 1]] with the smallest string; -1 if none is valid."""
    for image in range(len(out)):
        best = np.int64(-1)
        for place in range(bounds[image], bounds[image + 1]):
            row = order[place]
            if not valid[row]:
                continue
            if best < 0 or less(data, offsets[row], offsets[row + 1], offsets[best], offsets[best + 1]):
                best = row
        out[image] = best
