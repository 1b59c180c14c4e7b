"""Train balanced k-means on a sample of vectors: plain k-means first, then with prices, then the coarse clusters.

All is a function of the vectors in their order and of the seed.
"""

from __future__ import annotations

import numpy as np

from curation.clustering.centres import Centres
from curation.clustering.prices import balanced
from curation.clustering.start import spread
from curation.kernels import clusters as kernels
from runtime.errors import InputError
from runtime.progress import advance

START_ROWS, MEAN_ROWS = 16, 256  # vectors for each centre, of which the first centres and the means are made
PLAIN, BALANCED = 12, 10  # turns of Lloyd's algorithm
TIMES, NEARLY_EQUAL = 5, 1.05  # of balancing at the end, unless the largest cluster has so much of the mean


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
