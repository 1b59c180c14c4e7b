"""Assign vectors to cluster centres, and sum the vectors of each cluster, exactly.

The score of a centre for a vector is their squared distance plus the centre's price (which balances the sizes of
clusters). The centre with the lowest score is chosen; ties go to the lower centre number. Products from a matrix
library, whose last bits vary, are only estimates that exclude most centres. The final scores are computed here, in
float64 and in one fixed order.
"""

import numpy as np

from curation.leaves.near_copies.kernels import total
from runtime.kernels import kernel


@kernel
def squared_distances(vectors, centres, number, out):
    """Write to out[row] the squared distance of vectors[row] to centres[number[row]]."""
    for row in range(len(out)):
        out[row] = total(vectors, row, centres, number[row], True)


@kernel
def nearest(vectors, centres, estimates, prices, limits, lists, squares):
    """Write to lists[row] the centres with the lowest scores, sorted by score, and to squares their squared distances.

    Centres with estimates[row, centre] > limits[row] are left out; NaN is not greater.
    """
    length = lists.shape[1]
    for row in range(len(lists)):
        held = 0
        for centre in range(len(prices)):
            if estimates[row, centre] > limits[row]:
                continue
            square = total(vectors, row, centres, centre, True)
            score = square + prices[centre]
            place = held
            while place > 0 and squares[row, place - 1] + prices[lists[row, place - 1]] > score:
                place -= 1
            if place < length:
                held = min(held + 1, length)
                for i in range(held - 1, place, -1):
                    lists[row, i], squares[row, i] = lists[row, i - 1], squares[row, i - 1]
                lists[row, place], squares[row, place] = centre, square


@kernel
def choose(lists, squares, prices, weights, sizes, out):
    """Write to out[row] the centre in lists[row] with the lowest score; sizes[centre] is the weight of its rows."""
    sizes[:] = 0.0
    for row in range(len(out)):
        best, own = np.inf, lists[row, 0]
        for i in range(lists.shape[1]):
            score = squares[row, i] + prices[lists[row, i]]
            if score < best or (score == best and lists[row, i] < own):
                best, own = score, lists[row, i]
        out[row] = own
        sizes[own] += weights[row]


@kernel
def add_up(vectors, number, weights, sums):
    """Add each vector, times its weight, to sums[number[row]], in the order of rows; the caller zeroes `sums`."""
    for row in range(len(number)):
        centre, weight = number[row], weights[row]
        for i in range(vectors.shape[1]):
            sums[centre, i] += weight * vectors[row, i]


@kernel
def normalise(vectors, out):
    """Write to out[row] vectors[row] scaled to length 1; a row of zeros stays zeros."""
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
