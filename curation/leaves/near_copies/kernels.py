"""Find vectors by their cosines, exactly.

Products from a matrix library, whose last bits vary, are only estimates that exclude most pairs of vectors. The cosines
that decide are computed here, in float64 and in one fixed order.
"""

import numpy as np

from runtime.kernels import inline, kernel

SPAN = 64  # estimates that are compared in one loop


@inline
def term(vectors, row, others, other, i, is_difference):
    """Return the product of two numbers in float64, or the square of their difference."""
    x, y = np.float64(vectors[row, i]), np.float64(others[other, i])
    return (x - y) * (x - y) if is_difference else x * y


@inline
def total(vectors, row, others, other, is_difference):
    """Return the sum of the terms of vectors[row] and others[other]; eight sums let the processor add several."""
    a = b = c = d = e = f = g = h = 0.0
    width = vectors.shape[1]
    whole = width - width % 8
    for i in range(0, whole, 8):
        a += term(vectors, row, others, other, i, is_difference)
        b += term(vectors, row, others, other, i + 1, is_difference)
        c += term(vectors, row, others, other, i + 2, is_difference)
        d += term(vectors, row, others, other, i + 3, is_difference)
        e += term(vectors, row, others, other, i + 4, is_difference)
        f += term(vectors, row, others, other, i + 5, is_difference)
        g += term(vectors, row, others, other, i + 6, is_difference)
        h += term(vectors, row, others, other, i + 7, is_difference)
    for i in range(whole, width):
        a += term(vectors, row, others, other, i, is_difference)
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@kernel
def squares(vectors, out):
    """Write the squared length of each vector to out[row]."""
    for row in range(len(out)):
        out[row] = total(vectors, row, vectors, row, False)


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
                    exact = total(vectors, row, others, other, False) / np.sqrt(own[row] * of_others[other])
                    if exact >= cosine:
                        found[row], cosines[row] = other, exact
                        break
            if found[row] >= 0:
                break
