"""Train balanced clusters on a sample of vectors: k-means, balanced k-means, then coarse clusters of the fine centres.

The paper is "MoDE: CLIP Data Experts via Clustering" (arXiv 2404.16030). A vector belongs to the centre with the least
squared distance plus price. A centre's price rises while the centre has too many vectors and falls while it has too
few; these are the prices of the transport problem. k-means++ chooses the first centres, with several candidates per
centre (Arthur and Vassilvitskii, 2007).

The result depends only on the vectors, their order and the seed. It is the same to the bit for any block size and any
matrix library: products of the library only exclude centres, and `kernels` computes the distances that decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from curation.plugins.near_duplicates.kernels import cosines as kernels
from curation.plugins.near_duplicates.vectors import require_cosine
from runtime.argument_types import require_integer, require_seed, require_share, typed
from runtime.draws import draws
from runtime.errors import InputError
from runtime.progress import advance
from runtime.storage.arrays import open_arrays, save_arrays

TextsOf = Literal["curated", "pool"]
FEWEST = 8  # the fewest training vectors per fine cluster
SIZED_BY = 8192  # the wanted number of training vectors per fine cluster, at which the sizes' random error is 1 %
MOST_FINE = 10**6  # the largest clusterings of image-text pairs had 100,000
MOST_BYTES = 2 << 30  # the most bytes of training vectors in the driver

BLOCK = 1024  # the number of vectors whose products are in memory together
LIST = 32  # the length of each vector's list of nearest centres, among which it chooses while prices change
ROUNDS, STEPS = 6, 200  # the most times that lists are computed, and the most price changes with each list
NEARLY = 0.002  # the root mean square of the sizes' relative deviations at which balancing stops
FASTER, SLOWER = 1.2, 0.5  # the factors of a step that keeps its direction, and of a step that reverses it
LARGEST = 4  # the largest step, in gaps between the nearest centre and the next
_UNIT = 2.0**-24  # the rounding error of a float32
_SMALL, _LARGE = 1e-12, 1e37  # the smallest length and the largest product for estimates in float32

CENTRES_NAME = "clusters.json"
CENTRES_VERSION = 1
CANDIDATES = 4  # the number of rows that are drawn for each first centre; the best of them becomes the centre
START_ROWS, MEAN_ROWS = 16, 256  # the vectors per centre from which first centres are drawn, and means are computed
PLAIN, BALANCED = 12, 10  # the number of iterations of Lloyd's algorithm without prices, and with prices
TIMES, NEARLY_EQUAL = 5, 1.05  # the most rounds of balancing at the end, and the largest / mean size that ends them


@typed
@dataclass(frozen=True)
class ClusterConfig:
    """The parameters of a clustering; the command line has the same defaults.

    fine: the number of fine clusters, each a group of images.
    coarse: the number of coarse clusters, each a group of fine clusters.
    seed: the seed of the sample and of the first centres.
    sample: the share of the manifest on which centres and prices are trained; larger for a small manifest.
    texts: the images that get a cluster: "curated", the images of the manifest, or "pool", all that a run matched.
    same_meaning: the least cosine of copies in a fine cluster; None: copies are not searched.
    looks: the number of clusterings in which copies are searched, one after the other; None: one.
    """

    fine: int = 1024  # as in the paper
    coarse: int = 4  # as in the paper
    seed: int = 0
    sample: float = 0.05
    texts: TextsOf = "curated"
    same_meaning: float | None = None
    looks: int | None = None

    def __post_init__(self) -> None:
        require_integer("fine", self.fine, 1, MOST_FINE)
        require_integer("coarse", self.coarse, 1, MOST_FINE)
        require_seed(self.seed)
        require_share("sample", self.sample)
        require_cosine("same_meaning", self.same_meaning)
        if self.looks is not None:
            require_integer("looks", self.looks, 1)
            if self.same_meaning is None:
                raise InputError("--looks is used only in a search for copies; ask for one by --same-meaning")
        if self.coarse > self.fine:
            raise InputError(
                f"{self.coarse:,} coarse clusters cannot be made of {self.fine:,} fine ones; ask for fewer (--coarse)"
            )

    def share(self, images: int, dimension: int) -> float:
        """Return the share, up to 1, of `images` images of the manifest whose vectors training uses."""
        wanted = max(self.sample * images, SIZED_BY * self.fine)
        return min(1.0, wanted / max(images, 1), MOST_BYTES / (4 * dimension * max(images, 1)))

    def require_enough(self, vectors: int) -> None:
        """Raise InputError if `vectors` training vectors are too few for the fine clusters."""
        if vectors < FEWEST * self.fine:
            most = vectors // FEWEST
            remedy = f"ask for at most {most:,} (--fine)" if most >= self.coarse else "curate more images"
            raise InputError(f"{vectors:,} embeddings are too few to train {self.fine:,} fine clusters; {remedy}")


@dataclass(frozen=True, eq=False)
class Centres:
    """Cluster centres, float32[centre, dimension], and their prices, float64[centre]."""

    vectors: np.ndarray
    prices: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    def assign(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of each vector's best centre (int32), and the squared distance to that centre (float64).

        `vectors` is float32[vector, dimension].
        """
        numbers, squares = self.nearest(vectors, 1)
        return numbers[:, 0], squares[:, 0]

    def nearest(self, vectors: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the `number` best centres of each vector, int32[vector, number], and their squared distances, float64.

        The best centre has the least sum of the squared distance and its own price.
        """
        lists = np.zeros((len(vectors), number), np.int32)
        squares = np.zeros((len(vectors), number))
        room = np.empty((min(BLOCK, len(vectors)), len(self)), np.float32)
        for begin in range(0, len(vectors), BLOCK):
            some = slice(begin, begin + BLOCK)
            block = np.ascontiguousarray(vectors[some], np.float32)
            with np.errstate(over="ignore", invalid="ignore"):  # After an overflow of float32, all centres are tried.
                estimates = np.matmul(block, self._doubled.T, out=room[: len(block)])
                estimates += self._bias
                least = (
                    np.partition(estimates, number - 1, axis=1)[:, number - 1] if number > 1 else estimates.min(axis=1)
                )
                limits = least + self._slack(block)
            kernels.nearest_centres(block, self.vectors, estimates, self.prices, limits, lists[some], squares[some])
        return lists, squares

    @cached_property
    def _doubled(self) -> np.ndarray:
        """The centres times -2. A vector's product with a row, plus the centre's `_bias`, is score - |vector|².

        A score is the squared distance of vector and centre, plus the centre's price.
        """
        return np.float32(-2) * self.vectors

    @cached_property
    def _bias(self) -> np.ndarray:
        vectors = self.vectors.astype(np.float64)
        with np.errstate(over="ignore"):
            return (np.einsum("ij,ij->i", vectors, vectors) + self.prices).astype(np.float32)

    @cached_property
    def _longest(self) -> float:
        return max(_SMALL, float(np.sqrt(np.square(self.vectors, dtype=np.float64).sum(axis=1).max())))

    def _slack(self, vectors: np.ndarray) -> np.ndarray:
        """Return for each vector twice the largest rounding error of its estimates, inf where these may overflow.

        A sum of n terms may be wrong by n rounding errors of float32.
        """
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        products = np.maximum(lengths, _SMALL).astype(np.float64) * self._longest
        units = (2 * vectors.shape[1] + 16) * products + 8 * float(np.abs(self._bias).max())
        return np.where(products < _LARGE, 2.04 * _UNIT * units, np.inf)


def balanced(vectors: np.ndarray, weights: np.ndarray, centres: Centres, rounds: int = ROUNDS) -> Centres:
    """Return the centres with new prices, chosen so that the clusters' sizes (sums of weights) are most equal.

    Prices are adapted in `rounds` rounds; each round computes the nearest centres of each vector again.
    """
    for _ in range(rounds):
        lists, squares = centres.nearest(vectors, min(LIST, len(centres)))
        prices = _prices(lists, squares, weights, centres.prices)
        if prices is centres.prices:  # No better prices were found, and none are in the same lists.
            break
        centres = Centres(centres.vectors, prices)
    return centres


def _prices(lists: np.ndarray, squares: np.ndarray, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the prices with the most equal sizes, after up to STEPS changes from `start`; `start` if none is better.

    `lists` and `squares` are the nearest centres of each vector and their squared distances. At each change, a centre's
    price moves by up to the centre's step. The step grows while the cluster stays too large, or too small; it shrinks
    when a cluster that was too large becomes too small, or the reverse.
    """
    sizes = np.empty(len(start))
    out = np.empty(len(lists), np.int32)
    mean = weights.sum() / len(start)
    gap = _gap(squares)
    reach = _reach(lists, squares, start)
    prices = start
    best = start
    least = np.inf
    step = np.full(len(start), gap)
    before = np.zeros(len(start))
    for _ in range(STEPS):
        kernels.choose_centres(lists, squares, prices, weights, sizes, out)
        off = sizes / mean - 1
        spread = float(np.sqrt(np.square(off).mean()))
        if spread < least:
            best = prices
            least = spread
        if least < NEARLY:
            break
        off[np.abs(sizes - mean) < 1] = 0  # A difference below one vector cannot be balanced.
        turn = np.sign(off) * before
        before = np.sign(off)
        step = np.where(turn > 0, step * FASTER, np.where(turn < 0, step * SLOWER, step)).clip(max=LARGEST * gap)
        prices = (prices + step * off.clip(-1, 1)).clip(start - reach, start + reach)
    return start if best is start else best - best.min()


def _gap(squares: np.ndarray) -> float:
    """Return the median over vectors of the gap between the two smallest squared distances; 0 for one centre."""
    nearest = np.sort(squares, axis=1)
    return float(np.median(nearest[:, 1] - nearest[:, 0])) if squares.shape[1] > 1 else 0.0


def _reach(lists: np.ndarray, squares: np.ndarray, prices: np.ndarray) -> float:
    """Return the largest change of a price after which about half of the vectors surely keep to their lists.

    It is half the median gap between the first and last scores in a list; infinity if the lists have all centres.
    """
    if lists.shape[1] == len(prices):
        return np.inf
    scores = squares[:, [0, -1]] + prices[lists[:, [0, -1]]]
    return float(np.median(scores[:, 1] - scores[:, 0])) / 2


@dataclass(frozen=True, eq=False)
class TrainedClusters:
    """Fine centres with prices, the coarse cluster of each fine one (int32), and the coarse centres (float32)."""

    fine: Centres
    coarse_of: np.ndarray
    coarse: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, fine: int, coarse: int, seed: int) -> TrainedClusters:
        """Return clusters trained on float32[vector, dimension]; `fine` and `coarse` are the numbers of clusters.

        Fine clusters are sorted by coarse cluster. InputError if too few vectors are distinct.
        """
        centres = train(vectors, np.ones(len(vectors)), fine, seed)
        sizes = np.bincount(centres.assign(vectors)[0], minlength=fine).astype(np.float64)
        above = train(centres.vectors, sizes, coarse, seed, mean_rows=fine)
        coarse_of, _ = above.assign(centres.vectors)
        order = np.argsort(coarse_of, kind="stable")
        return cls(Centres(centres.vectors[order], centres.prices[order]), coarse_of[order], above.vectors)

    def distances(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the fine cluster (int32) of each vector, and its distances (float32) to the fine and coarse centre."""
        fine, squares = self.fine.assign(vectors)
        to_coarse = _squares(vectors, self.coarse, self.coarse_of[fine])
        return fine, np.sqrt(squares).astype(np.float32), np.sqrt(to_coarse).astype(np.float32)

    def save(self, folder: Path) -> Path:
        """Write the clusters to a folder, for workers to open, and return the folder."""
        arrays = {"fine": self.fine.vectors, "prices": self.fine.prices}
        arrays |= {"coarse_of": self.coarse_of, "coarse": self.coarse}
        save_arrays(folder, CENTRES_NAME, {"version": CENTRES_VERSION}, arrays)
        return folder

    @classmethod
    def open(cls, folder: Path) -> TrainedClusters:
        """Return the clusters that `save` wrote to a folder."""
        _, arrays = open_arrays(folder, CENTRES_NAME, CENTRES_VERSION)
        return cls(Centres(arrays["fine"], arrays["prices"]), arrays["coarse_of"], arrays["coarse"])


def train(vectors: np.ndarray, weights: np.ndarray, number: int, seed: int, mean_rows: int = MEAN_ROWS) -> Centres:
    """Return `number` centres of float32[vector, dimension], to each of which about the same weight is assigned.

    Means are computed from the first `mean_rows` vectors per centre, and prices from all vectors. InputError if too few
    vectors are distinct.
    """
    some = vectors[: number * mean_rows]
    some_weights = weights[: number * mean_rows]
    rows = far_rows(some[: number * START_ROWS], number, seed)
    if len(rows) < number:
        raise InputError(f"{len(rows):,} distinct embeddings are too few for {number:,} clusters; ask for fewer")
    centres = Centres(some[rows], np.zeros(number))
    advance(total=PLAIN + BALANCED + 1)
    for _ in range(PLAIN):
        centres = moved(some, some_weights, centres)
        advance(done=1)
    for _ in range(BALANCED):
        centres = moved(some, some_weights, balanced(some, some_weights, centres, rounds=1))
        advance(done=1)
    return _settled(vectors, weights, centres)


def _settled(vectors: np.ndarray, weights: np.ndarray, centres: Centres) -> Centres:
    """Return the centres with balanced prices; balance up to TIMES times, until sizes are nearly equal."""
    for _ in range(TIMES):
        before, centres = centres, balanced(vectors, weights, centres)
        sizes = np.bincount(centres.assign(vectors)[0], weights, len(centres))
        if centres is before or sizes.max() <= NEARLY_EQUAL * sizes.mean():
            break
    return centres


def moved(vectors: np.ndarray, weights: np.ndarray, centres: Centres) -> Centres:
    """Return the centres moved to the weighted means of their vectors; a centre without vectors is not moved."""
    numbers, _ = centres.assign(vectors)
    sums = np.zeros(centres.vectors.shape)
    kernels.add_weighted(vectors, numbers, weights, sums)
    sizes = np.bincount(numbers, weights, len(centres))
    means = sums / np.where(sizes > 0, sizes, 1)[:, np.newaxis]
    return Centres(np.where((sizes > 0)[:, np.newaxis], means, centres.vectors).astype(np.float32), centres.prices)


def far_rows(vectors: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Return the row numbers of `number` vectors far from one another, by k-means++; fewer if fewer are distinct.

    Each row is the best of CANDIDATES rows, drawn with probabilities in proportion to the squared distance to the
    nearest row chosen before.
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
        best = int(np.argmin([distances.sum() for distances in lowered]))
        chosen.append(int(candidates[best]))
        squares = lowered[best]
    return np.array(chosen)


def _squares(vectors: np.ndarray, centres: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the squared distance (float64) of each vector to the centre centres[number[row]]."""
    out = np.empty(len(vectors))
    kernels.squared_distances(vectors, centres, number, out)
    return out
