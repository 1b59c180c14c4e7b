"""Train balanced clusters on a sample of vectors: k-means, balanced k-means, then coarse clusters of its centres.

To balance, each centre has a price that is added to the squared distance to it; `centres` finds the prices. The first
centres are those of k-means++ with several candidates per centre (Arthur and Vassilvitskii, 2007). The result depends
only on the vectors, their order and the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.clustering.centres import Centres, balanced
from curation.kernels import clusters as kernels
from runtime.draws import draws
from runtime.errors import InputError
from runtime.progress import advance
from runtime.storage.arrays import open_arrays, save_arrays

NAME, VERSION = "clusters.json", 1
CANDIDATES = 4  # for each of the first centres
START_ROWS, MEAN_ROWS = 16, 256  # vectors for each centre, of which the first centres and the means are made
PLAIN, BALANCED = 12, 10  # turns of Lloyd's algorithm
TIMES, NEARLY_EQUAL = 5, 1.05  # of balancing at the end, unless the largest cluster has so much of the mean


@dataclass(frozen=True, eq=False)
class Clusters:
    """Fine centres with their prices, the coarse cluster of each, int32, and the coarse centres, float32."""

    fine: Centres
    coarse_of: np.ndarray
    coarse: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, fine: int, coarse: int, seed: int) -> Clusters:
        """Train on vectors; fine clusters of one coarse cluster have numbers that follow each other."""
        centres = train(vectors, np.ones(len(vectors)), fine, seed)
        sizes = np.bincount(centres.assign(vectors)[0], minlength=fine).astype(np.float64)
        above = train(centres.vectors, sizes, coarse, seed, mean_rows=fine)
        coarse_of, _ = above.assign(centres.vectors)
        order = np.argsort(coarse_of, kind="stable")
        return cls(Centres(centres.vectors[order], centres.prices[order]), coarse_of[order], above.vectors)

    def distances(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the fine cluster of each vector, its distance to that centre, and to the coarse one, float32."""
        fine, squares = self.fine.assign(vectors)
        to_coarse = _squares(vectors, self.coarse, self.coarse_of[fine])
        return fine, np.sqrt(squares).astype(np.float32), np.sqrt(to_coarse).astype(np.float32)

    def save(self, folder: Path) -> Path:
        """Write all to a folder, for workers to open."""
        arrays = {"fine": self.fine.vectors, "prices": self.fine.prices}
        save_arrays(folder, NAME, {"version": VERSION}, arrays | {"coarse_of": self.coarse_of, "coarse": self.coarse})
        return folder

    @classmethod
    def open(cls, folder: Path) -> Clusters:
        """Return what `save` wrote."""
        _, arrays = open_arrays(folder, NAME, VERSION)
        return cls(Centres(arrays["fine"], arrays["prices"]), arrays["coarse_of"], arrays["coarse"])


def train(vectors: np.ndarray, weights: np.ndarray, number: int, seed: int, mean_rows: int = MEAN_ROWS) -> Centres:
    """Return `number` centres of float32[vector, dimension], each with about the same weight of them."""
    some, own = vectors[: number * mean_rows], weights[: number * mean_rows]
    rows = spread(some[: number * START_ROWS], number, seed)
    if len(rows) < number:
        raise InputError(f"there are {len(rows):,} embeddings that differ, too few for {number:,} clusters")
    centres = Centres(some[rows], np.zeros(number))
    advance(total=PLAIN + BALANCED + 1)
    for _ in range(PLAIN):
        centres = moved(some, own, centres)
        advance(done=1)
    for _ in range(BALANCED):
        centres = moved(some, own, balanced(some, own, centres, rounds=1))
        advance(done=1)
    return _settled(vectors, weights, centres)


def _settled(vectors: np.ndarray, weights: np.ndarray, centres: Centres) -> Centres:
    """Return the centres with balanced prices; where these have far to go, they are balanced some times."""
    for _ in range(TIMES):
        before, centres = centres, balanced(vectors, weights, centres)
        sizes = np.bincount(centres.assign(vectors)[0], weights, len(centres))
        if centres is before or sizes.max() <= NEARLY_EQUAL * sizes.mean():
            break
    return centres


def moved(vectors: np.ndarray, weights: np.ndarray, centres: Centres) -> Centres:
    """Return the centres in the mean of their vectors; one without vectors stays where it is."""
    numbers, _ = centres.assign(vectors)
    sums = np.zeros(centres.vectors.shape)
    kernels.add_up(vectors, numbers, weights, sums)
    sizes = np.bincount(numbers, weights, len(centres))
    means = sums / np.where(sizes > 0, sizes, 1)[:, np.newaxis]
    return Centres(np.where((sizes > 0)[:, np.newaxis], means, centres.vectors).astype(np.float32), centres.prices)


def spread(vectors: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Return the rows of `number` vectors far from one another, fewer where no more are distinct.

    Each is the best of some candidates, drawn in proportion to the squared distance to the nearest chosen before.
    """
    chance = draws(seed, "first centres", pa.array(map(str, range(number * CANDIDATES)), pa.string()))
    all_to_one = np.zeros(len(vectors), np.int32)
    chosen = [int(chance[0] * len(vectors))]
    squares = _squares(vectors, vectors[chosen], all_to_one)
    for turn in range(1, number):
        ends = np.cumsum(squares)
        if not ends[-1] > 0:
            break
        some = chance[turn * CANDIDATES : (turn + 1) * CANDIDATES] * ends[-1]
        candidates = np.unique(np.searchsorted(ends, some, side="right"))
        lowered = [np.minimum(squares, _squares(vectors, vectors[[row]], all_to_one)) for row in candidates]
        best = int(np.argmin([each.sum() for each in lowered]))
        chosen.append(int(candidates[best]))
        squares = lowered[best]
    return np.array(chosen)


def _squares(vectors: np.ndarray, centres: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the squared distance of each vector to the centre with its number."""
    out = np.empty(len(vectors))
    kernels.squared_distances(vectors, centres, number, out)
    return out
