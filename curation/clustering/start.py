"""Choose vectors as first centres: k-means++ with several candidates for each (Arthur and Vassilvitskii, 2007)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curation.kernels import clusters as kernels
from runtime.draws import draws

CANDIDATES = 4


def spread(vectors: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Return the rows of `number` vectors far from one another, fewer where no more are distinct.

    Each is the best of some candidates, drawn in proportion to the squared distance to the nearest chosen before.
    """
    chance = draws(seed, "first centres", pa.array(map(str, range(number * CANDIDATES)), pa.string()))
    chosen = [int(chance[0] * len(vectors))]
    squares = np.full(len(vectors), np.inf)
    kernels.lower_distances(vectors, chosen[0], squares)
    for turn in range(1, number):
        ends = np.cumsum(squares)
        if not ends[-1] > 0:
            break
        some = chance[turn * CANDIDATES : (turn + 1) * CANDIDATES] * ends[-1]
        candidates = np.unique(np.searchsorted(ends, some, side="right"))
        lowered = [_lowered(vectors, candidate, squares) for candidate in candidates]
        best = int(np.argmin([each.sum() for each in lowered]))
        chosen.append(int(candidates[best]))
        squares = lowered[best]
    return np.array(chosen)


def _lowered(vectors: np.ndarray, centre: int, squares: np.ndarray) -> np.ndarray:
    lowered = squares.copy()
    kernels.lower_distances(vectors, centre, lowered)
    return lowered
