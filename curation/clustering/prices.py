"""Find prices of centres at which each centre gets about the same weight of vectors.

These are the prices of the transport problem: a centre with too many vectors gets dearer, one with too few cheaper.
"""

from __future__ import annotations

import numpy as np

from curation.clustering.centres import Centres
from curation.kernels import clusters as kernels

LIST = 32  # centres of which a vector chooses while prices change; then lists are made anew
ROUNDS, STEPS = 6, 200  # lists, and changes of prices with each
NEARLY = 0.002  # root of the mean square of the sizes' deviations, at which nothing is left to do
FASTER, SLOWER = 1.2, 0.5  # by which a step grows while it goes on, and shrinks once it has gone too far
LARGEST = 4  # step, in gaps between the nearest centre and the next


def balanced(vectors: np.ndarray, weights: np.ndarray, centres: Centres, rounds: int = ROUNDS) -> Centres:
    """Return the centres with prices that make the weights of their vectors as equal as can be."""
    for _ in range(rounds):
        lists, squares = centres.nearest(vectors, min(LIST, len(centres)))
        prices = _prices(lists, squares, weights, centres.prices)
        if prices is centres.prices:  # nothing better was met, nor would be in the same lists
            break
        centres = Centres(centres.vectors, prices)
    return centres


def _prices(lists: np.ndarray, squares: np.ndarray, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the best prices that were met on the way, each centre's step adapted to how its size follows."""
    sizes, out = np.empty(len(start)), np.empty(len(lists), np.int32)
    mean, gap, reach = weights.sum() / len(start), _gap(squares), _reach(lists, squares, start)
    prices, best, least = start, start, np.inf
    step, before = np.full(len(start), gap), np.zeros(len(start))
    for _ in range(STEPS):
        kernels.choose(lists, squares, prices, weights, sizes, out)
        off = sizes / mean - 1
        spread = float(np.sqrt(np.square(off).mean()))
        if spread < least:
            best, least = prices, spread
        if least < NEARLY:
            break
        off[np.abs(sizes - mean) < 1] = 0  # no vector can be cut
        turn, before = np.sign(off) * before, np.sign(off)
        step = np.where(turn > 0, step * FASTER, np.where(turn < 0, step * SLOWER, step)).clip(max=LARGEST * gap)
        prices = (prices + step * off.clip(-1, 1)).clip(start - reach, start + reach)
    return start if best is start else best - best.min()


def _gap(squares: np.ndarray) -> float:
    """Return by how much the next centre of a vector is farther than the nearest, mostly."""
    nearest = np.sort(squares, axis=1)
    return float(np.median(nearest[:, 1] - nearest[:, 0])) if squares.shape[1] > 1 else 0.0


def _reach(lists: np.ndarray, squares: np.ndarray, prices: np.ndarray) -> float:
    """Return by how much prices may change, so that most vectors would choose no centre that is not in their list."""
    if lists.shape[1] == len(prices):
        return np.inf
    scores = squares[:, [0, -1]] + prices[lists[:, [0, -1]]]
    return float(np.median(scores[:, 1] - scores[:, 0])) / 2
