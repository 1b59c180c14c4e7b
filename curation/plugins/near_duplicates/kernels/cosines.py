"""Find vectors by their cosines, exactly.

Products from a matrix library, whose last bits vary, are only estimates that exclude most pairs of vectors. The cosines
that decide are computed here, in float64 and in one fixed order.
"""

import numpy as np

from runtime.kernels import inline, kernel

SPAN = 64  # the estimates that are compared in one loop


@inline
def term(vectors, row, others, other, i, is_difference):
    """Return the product of the i-th numbers of two vectors or, if `is_difference`, their squared difference."""
    x = np.float64(vectors[row, i])
    y = np.float64(others[other, i])
    return (x - y) * (x - y) if is_difference else x * y


@inline
def total(vectors, row, others, other, is_difference):
    """Return the scalar product of vectors[row] and others[other] or, if `is_difference`, their squared distance.

    The order of additions is fixed; eight partial sums let the processor add several numbers at once.
    """
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
def first_within(vectors, of_vectors, others, of_others, estimates, limits, lengths, cosine, is_own, first, cosines):
    """Write to first[row] the first row of `others` whose cosine with vectors[row] is at least `cosine`, or else -1.

    cosines[row] gets the cosine of the two. Only others with estimates[row, other] >= limits[row] * lengths[other] are
    tried; estimates are inexact scalar products. `of_vectors` and `of_others` are the squared lengths of vectors and
    others. If `is_own`, the others are the vectors themselves, and only earlier vectors whose `first` is -1 are tried.
    """
    for row in range(len(first)):
        first[row] = -1
        last = row if is_own else len(others)
        for begin in range(0, last, SPAN):
            end = min(begin + SPAN, last)
            possible = 0
            for other in range(begin, end):
                possible += estimates[row, other] >= limits[row] * lengths[other]
            if possible == 0:
                continue
            for other in range(begin, end):
                if estimates[row, other] >= limits[row] * lengths[other] and not (is_own and first[other] >= 0):
                    exact = total(vectors, row, others, other, False) / np.sqrt(of_vectors[row] * of_others[other])
                    if exact >= cosine:
                        first[row] = other
                        cosines[row] = exact
                        break
            if first[row] >= 0:
                break


@kernel
def squared_distances(vectors, centres, number, out):
    """Write to out[row] the squared distance of vectors[row] to centres[number[row]]."""
    for row in range(len(out)):
        out[row] = total(vectors, row, centres, number[row], True)


@kernel
def nearest_centres(vectors, centres, estimates, prices, limits, lists, squares):
    """Write the centres with the lowest scores to lists[row], sorted by score, and their squared distances to squares.

    A score is a squared distance plus a price. Centres with estimates[row, centre] > limits[row] are left out; NaN is
    not greater.
    """
    length = lists.shape[1]
    for row in range(len(lists)):
        held = 0
        for centre in range(len(prices)):
            if estimates[row, centre] > limits[row]:
                continue
            square = total(vectors, row, centres, centre, True)
            score = square + prices[centre]
            rank = held
            while rank > 0 and squares[row, rank - 1] + prices[lists[row, rank - 1]] > score:
                rank -= 1
            if rank < length:
                held = min(held + 1, length)
                for i in range(held - 1, rank, -1):
                    lists[row, i] = lists[row, i - 1]
                    squares[row, i] = squares[row, i - 1]
                lists[row, rank] = centre
                squares[row, rank] = square


@kernel
def choose_centres(lists, squares, prices, weights, sizes, out):
    """Write to out[row] the centre in lists[row] with the lowest score, and to sizes[centre] the weight of its rows.

    `nearest_centres` makes `lists` and `squares`, and defines the score.
    """
    sizes[:] = 0.0
    for row in range(len(out)):
        best = np.inf
        chosen = lists[row, 0]
        for i in range(lists.shape[1]):
            score = squares[row, i] + prices[lists[row, i]]
            if score < best or (score == best and lists[row, i] < chosen):
                best = score
                chosen = lists[row, i]
        out[row] = chosen
        sizes[chosen] += weights[row]


@kernel
def add_weighted(vectors, number, weights, sums):
    """Add weights[row] times vectors[row] to sums[number[row]], in the order of rows; the caller zeroes `sums`."""
    for row in range(len(number)):
        centre = number[row]
        weight = weights[row]
        for i in range(vectors.shape[1]):
            sums[centre, i] += weight * vectors[row, i]


@kernel
def write_unit_vectors(vectors, out):
    """Write vectors[row], scaled to length 1, to out[row]; a row of zeros stays zeros."""
    for row in range(len(vectors)):
        largest = 0.0
        for i in range(vectors.shape[1]):
            largest = max(largest, abs(vectors[row, i]))
        total = 0.0
        for i in range(vectors.shape[1]):
            share = vectors[row, i] / largest if largest > 0.0 else 0.0
            total += share * share
        for i in range(vectors.shape[1]):
            out[row, i] = vectors[row, i] / largest / np.sqrt(total) if largest > 0.0 else 0.0
