"""Find prices of centres at which each centre gets about the same weight of vectors.

These are the prices of the transport problem: a centre with too many vectors gets dearer, one with too few cheaper.
"""

from __future__ import annotations

import numpy as np

from curation.clustering.centres import Centres
from curation.kernels import clusters as kernels

LIST = 32  # centres of which a vector chooses while prices change; then lists are made anew
ROUNDS, STEPS = 4, 200  # lists, and changes of prices with each
NEARLY = 0.005  # deviation of the largest or smallest size from the mean, at which nothing is left to do
FASTER, SLOWER = 1.2, 0.5  # by which a step grows while it goes on, and shrinks once it has gone too far


def balanced(vectors: np.ndarray, weights: np.ndarray, centres: Centres, rounds: int = ROUNDS) -> Centres:
    """Return the centres with prices that make the weights of their vectors as equal as can be."""
    for _ in range(rounds):
        lists, squares = centres.nearest(vectors, min(LIST, len(centres)))
        prices, off = _prices(lists, squares, weights, centres.prices)
        centres = Centres(centres.vectors, prices)
    return centres


def _prices(
    lists: np.ndarray, squares: np.ndarray, weights: np.ndarray, prices: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the best prices that were met, and how far the sizes are from equal."""
    sizes, out = np.empty(len(prices)), np.empty(len(lists), np.int32)
    mean = weights.sum() / len(prices)
    best, least = prices, np.inf
    step = np.full(len(prices), _typical_gap(squares))
    before = np.zeros(len(prices))
    for _ in range(STEPS):
        kernels.choose(lists, squares, prices, weights, sizes, out)
        off = sizes / mean - 1
        if np.abs(off).max() < least:
            best, least = prices, float(np.abs(off).max())
        if least < NEARLY:
            break
        turn = np.sign(off) * before
        step = np.where(turn > 0, step * FASTER, np.where(turn < 0, step * SLOWER, step))
        before = np.sign(off)
        prices = prices + step * np.clip(off, -1, 1)
        prices = prices - prices.min()
    return best, least


def _typical_gap(squares: np.ndarray) -> float:
    """Return by how much the second centre of a list is farther than the first, mostly."""
    return float(np.median(np.abs(squares[:, 1] - squares[:, 0]))) if squares.shape[1] > 1 else 0.0
