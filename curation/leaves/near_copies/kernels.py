"""Find vectors by their cosines, exactly.

Products from a matrix library, whose last bits vary, are only estimates that exclude most pairs of vectors. The cosines
that decide are computed here, in float64 and in one fixed order.
"""

import numpy as np

from runtime.kernels import inline, kernel

SPAN = 64  # estimates that are compared in one loop


@inline
def product(vectors, row, others, other):
    """Return the dot product of vectors[row] and others[other] in float64; eight sums let the processor add several."""
    a = b = c = d = e = f = g = h = 0.0
    width = vectors.shape[1]
    whole = width - width % 8
    for i in range(0, whole, 8):
        a += np.float64(vectors[row, i]) * np.float64(others[other, i])
        b += np.float64(vectors[row, i + 1]) * np.float64(others[other, i + 1])
        c += np.float64(vectors[row, i + 2]) * np.float64(others[other, i + 2])
        d += np.float64(vectors[row, i + 3]) * np.float64(others[other, i + 3])
        e += np.float64(vectors[row, i + 4]) * np.float64(others[other, i + 4])
        f += np.float64(vectors[row, i + 5]) * np.float64(others[other, i + 5])
        g += np.float64(vectors[row, i + 6]) * np.float64(others[other, i + 6])
        h += np.float64(vectors[row, i + 7]) * np.float64(others[other, i + 7])
    for i in range(whole, width):
        a += np.float64(vectors[row, i]) * np.float64(others[other, i])
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@kernel
def squares(vectors, out):
    """Write the squared length of each vector to out[row]."""
    for row in range(len(out)):
        out[row] = product(vectors, row, vectors, row)


@kernel
def first_within(vectors, own, others, of_others, estimates, limits, lengths, cosine, is_own, found, cosines):
    """Write to found[row] the first row of `others` whose cosine with vectors[row] is at least `cosine`, or else -1.

    cosines[row] gets the cosine of the two. Only others with estimates[row, other] >= limits[row] * lengths[other] are
    tried; estimates are products. `own` and `of_others` are the squared lengths of vectors and others. If `is_own`, the
    others are the vectors themselves, and only earlier ones for which nothing was found are tried.
    """
    for row in range(len(found)):
        found[row] = -1
        last = row if is_own else len(others)
        for begin in range(0, last, SPAN):
            end = min(begin + SPAN, last)
            possible = 0
            for other in range(begin, end):
                possible += estimates[row, other] >= limits[row] * lengths[other]
            if possible == 0:
                continue
            for other in range(begin, end):
                if estimates[row, other] >= limits[row] * lengths[other] and not (is_own and found[other] >= 0):
                    exact = product(vectors, row, others, other) / np.sqrt(own[row] * of_others[other])
                    if exact >= cosine:
                        found[row], cosines[row] = other, exact
                        break
            if found[row] >= 0:
                break
