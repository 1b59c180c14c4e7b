"""Find the first vector whose cosine with each of others is at least a threshold, exactly.

Products from a matrix library, whose last bits vary, only narrow down the pairs. Cosines are computed here, in float64
and in one fixed order.
"""

import numpy as np

from runtime.kernels import inline, kernel

SPAN = 64  # estimates that are looked at together


@inline
def product(vectors, row, others, other):
    """The sum of the products of the numbers of two vectors, as eight sums, so that the processor adds several."""
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
    """out[row] = the square of the length of each vector."""
    for row in range(len(out)):
        out[row] = product(vectors, row, vectors, row)


@kernel
def first_within(vectors, own, others, of_others, estimates, limits, lengths, cosine, found, cosines):
    """found[row] = the first other vector with at least this cosine with vectors[row], cosines[row] = theirs; else -1.

    It is among those with estimates[row, other] not below limits[row] * lengths[other]. `own` and `of_others` are the
    squares of lengths.
    """
    for row in range(len(found)):
        found[row] = -1
        for begin in range(0, len(others), SPAN):
            end = min(begin + SPAN, len(others))
            possible = 0
            for other in range(begin, end):
                possible += estimates[row, other] >= limits[row] * lengths[other]
            if possible == 0:
                continue
            for other in range(begin, end):
                if estimates[row, other] >= limits[row] * lengths[other]:
                    exact = product(vectors, row, others, other) / np.sqrt(own[row] * of_others[other])
                    if exact >= cosine:
                        found[row], cosines[row] = other, exact
                        break
            if found[row] >= 0:
                break


@kernel
def lead(vectors, own, estimates, limits, lengths, cosine, found, cosines):
    """found[row] = the first vector before it that leads and has at least this cosine with it; -1 for one that leads.

    A vector leads if there is none; cosines[row] is that of both.
    """
    for row in range(len(found)):
        found[row] = -1
        for begin in range(0, row, SPAN):
            end = min(begin + SPAN, row)
            possible = 0
            for other in range(begin, end):
                possible += estimates[row, other] >= limits[row] * lengths[other]
            if possible == 0:
                continue
            for other in range(begin, end):
                if found[other] < 0 and estimates[row, other] >= limits[row] * lengths[other]:
                    exact = product(vectors, row, vectors, other) / np.sqrt(own[row] * own[other])
                    if exact >= cosine:
                        found[row], cosines[row] = other, exact
                        break
            if found[row] >= 0:
                break


@kernel
def equal_to(vectors, others, out):
    """out[row] = whether vectors[row] and vectors[others[row]] have the same numbers."""
    for row in range(len(out)):
        out[row] = True
        for i in range(vectors.shape[1]):
            if vectors[row, i] != vectors[others[row], i]:
                out[row] = False
                break
