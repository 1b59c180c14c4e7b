"""Assign each vector to a centre, and find a price per centre that makes all clusters about equally large.

A vector belongs to the centre with the least squared distance plus price. A centre's price rises while it has too many
vectors and falls while it has too few; these are the prices of the transport problem.

Results are the same to the bit, however vectors are cut into blocks and whichever matrix library multiplies them: its
products only narrow the choice of centres, and `kernels.clusters` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from curation.kernels import clusters as kernels

BLOCK = 1024  # vectors whose products are in memory together
LIST = 32  # centres of which a vector chooses while prices change; then lists are made anew
ROUNDS, STEPS = 6, 200  # lists, and changes of prices with each
NEARLY = 0.002  # root of the mean square of the sizes' deviations, at which nothing is left to do
FASTER, SLOWER = 1.2, 0.5  # by which a step grows while it goes on, and shrinks once it has gone too far
LARGEST = 4  # step, in gaps between the nearest centre and the next
_UNIT = 2.0**-24  # the rounding error of a float32
_SMALL, _LARGE = 1e-12, 1e37  # lengths below and products above are not float32's


@dataclass(frozen=True, eq=False)
class Centres:
    """Cluster centres, float32[centre, dimension], and the price of each, float64."""

    vectors: np.ndarray
    prices: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    def assign(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the centre of each of float32[vector, dimension], int32, and its squared distance, float64."""
        numbers, squares = self.nearest(vectors, 1)
        return numbers[:, 0], squares[:, 0]

    def nearest(self, vectors: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the `number` best centres of each vector, int32[vector, place], and their squared distances."""
        lists, squares = np.zeros((len(vectors), number), np.int32), np.zeros((len(vectors), number))
        room = np.empty((min(BLOCK, len(vectors)), len(self)), np.float32)
        for begin in range(0, len(vectors), BLOCK):
            some = slice(begin, begin + BLOCK)
            block = np.ascontiguousarray(vectors[some], np.float32)
            with np.errstate(over="ignore", invalid="ignore"):  # of float32: all centres are then in question
                estimates = np.matmul(block, self._doubled.T, out=room[: len(block)])
                estimates += self._bias
                limits = _least(estimates, number) + self._slack(block)
            kernels.nearest(block, self.vectors, estimates, self.prices, limits, lists[some], squares[some])
        return lists, squares

    @cached_property
    def _doubled(self) -> np.ndarray:
        """The centres times -2, which rounds nothing: a score, less the vector's square, is bias - 2 * product."""
        return np.float32(-2) * self.vectors

    @cached_property
    def _bias(self) -> np.ndarray:
        own = self.vectors.astype(np.float64)
        with np.errstate(over="ignore"):
            return (np.einsum("ij,ij->i", own, own) + self.prices).astype(np.float32)

    @cached_property
    def _longest(self) -> float:
        return max(_SMALL, float(np.sqrt(np.square(self.vectors, dtype=np.float64).sum(axis=1).max())))

    def _slack(self, vectors: np.ndarray) -> np.ndarray:
        """Return twice the most by which an estimate may be off: n terms, added in any order, lose n units."""
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        products = np.maximum(lengths, _SMALL).astype(np.float64) * self._longest
        units = (2 * vectors.shape[1] + 16) * products + 8 * float(np.abs(self._bias).max())
        return np.where(products < _LARGE, 2.04 * _UNIT * units, np.inf)


def balanced(vectors: np.ndarray, weights: np.ndarray, centres: Centres, rounds: int = ROUNDS) -> Centres:
    """Return the centres with prices that make the weights of their vectors as equal as can be."""
    for _ in range(rounds):
        lists, squares = centres.nearest(vectors, min(LIST, len(centres)))
        prices = _prices(lists, squares, weights, centres.prices)
        if prices is centres.prices:  # nothing better was met, nor would be in the same lists
            break
        centres = Centres(centres.vectors, prices)
    return centres


def _least(estimates: np.ndarray, number: int) -> np.ndarray:
    """Return the largest of the `number` least estimates of each row."""
    return estimates.min(axis=1) if number == 1 else np.partition(estimates, number - 1, axis=1)[:, number - 1]


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
