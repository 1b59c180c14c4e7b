"""Each vector gets the centre with the lowest score, to the bit the same, whatever comes beside it."""

import numpy as np
import pytest

from curation.plugins.clustering import training as module
from curation.plugins.clustering.training import Centres, moved
from curation.plugins.near_duplicates.kernels import cosines as kernels
from tests.naive.clusters import naive_centre, naive_means, naive_scores, naive_square, naive_unit

pytestmark = pytest.mark.kernels

RANDOM = np.random.default_rng(0)


def grid(*shape: int) -> np.ndarray:
    """Small whole numbers: squares and their sums are exact, and ties many."""
    return RANDOM.integers(-2, 3, shape).astype(np.float32)


def unit(*shape: int) -> np.ndarray:
    vectors = RANDOM.normal(size=shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


NASTY = {  # vectors, centres
    "random": (unit(60, 19), unit(9, 19)),
    "ties": (grid(80, 3), grid(12, 3)),
    "equal centres": (unit(30, 8), np.repeat(unit(1, 8), 5, axis=0)),
    "equal vectors": (np.repeat(unit(1, 16), 20, axis=0), unit(7, 16)),
    "centres among vectors": ((some := unit(40, 24)), some[::5]),
    "zeros": (np.zeros((5, 7), np.float32), np.zeros((3, 7), np.float32)),
    "huge": (grid(30, 9) * np.float32(1e25), grid(6, 9) * np.float32(1e25)),
    "mixed sizes": (unit(30, 9) * np.float32(1e-25), np.concatenate([unit(3, 9), unit(3, 9) * np.float32(1e18)])),
    "one dimension": (grid(20, 1), grid(5, 1)),
    "one centre": (unit(20, 5), unit(1, 5)),
    "not contiguous": (np.asfortranarray(unit(50, 30))[::2, ::3], unit(8, 10)),
    "none": (unit(1, 4)[:0], unit(3, 4)),
    "nearly equal centres": (unit(40, 33), unit(1, 33) + RANDOM.normal(size=(8, 33)).astype(np.float32) * 1e-7),
}
PRICES = {"free": lambda number: np.zeros(number), "dear": lambda number: RANDOM.integers(0, 3, number).astype(float)}


@pytest.mark.parametrize("prices", PRICES)
@pytest.mark.parametrize("kind", NASTY)
def test_each_vector_gets_the_centre_with_the_lowest_score_of_equal_ones_the_first(kind, prices):
    vectors, own = NASTY[kind]
    centres = Centres(np.ascontiguousarray(own), PRICES[prices](len(own)))
    numbers, squares = centres.assign(vectors)
    for vector, number, square in zip(vectors, numbers, squares, strict=True):
        best = naive_scores(vector, own, centres.prices)
        score = naive_square(vector, own[number]) + centres.prices[number]
        assert score <= best[0][0] * (1 + 1e-14)
        if len(best) == 1 or best[1][0] == best[0][0] or best[1][0] > best[0][0] * (1 + 1e-12):
            assert number == naive_centre(vector, own, centres.prices)
        assert square == pytest.approx(naive_square(vector, own[number]), rel=1e-14)


@pytest.mark.parametrize("kind", NASTY)
def test_the_best_centres_come_in_order(kind):
    vectors, own = NASTY[kind]
    centres = Centres(np.ascontiguousarray(own), PRICES["dear"](len(own)))
    number = min(4, len(own))
    lists, squares = centres.nearest(vectors, number)
    for vector, found, own_squares in zip(vectors, lists, squares, strict=True):
        scores = [naive_square(vector, own[each]) + centres.prices[each] for each in found]
        assert len({*found.tolist()}) == number
        assert scores == pytest.approx([score for score, _ in naive_scores(vector, own, centres.prices)][:number])
        assert own_squares + centres.prices[found] == pytest.approx(scores)


@pytest.mark.parametrize("kind", ["nearly equal centres", "ties", "random"])
def test_answers_have_the_same_bits_in_any_block(kind, monkeypatch):
    vectors, own = NASTY[kind]
    vectors, centres = np.tile(vectors, (5, 1)), Centres(own, np.zeros(len(own)))
    numbers, squares = centres.assign(vectors)
    for block in (1, 7, 64):
        monkeypatch.setattr(module, "BLOCK", block)
        found, own_squares = centres.assign(vectors[::-1])
        assert (found[::-1] == numbers).all()
        assert (own_squares[::-1] == squares).all()


def test_wrong_products_as_of_other_threads_and_libraries_do_not_matter_within_the_slack():
    vectors, own = unit(50, 24), unit(10, 24)
    numbers, squares = Centres(own, np.zeros(10)).assign(vectors)
    wrong = (1 - 2 * (vectors @ own.T + RANDOM.uniform(-0.05, 0.05, (50, 10)))).astype(np.float32)
    found, own_squares = np.zeros((50, 1), np.int32), np.zeros((50, 1))
    kernels.nearest_centres(
        vectors, own, wrong, np.zeros(10), wrong.min(axis=1) + np.full(50, 0.21), found, own_squares
    )
    assert (found[:, 0] == numbers).all()
    assert (own_squares[:, 0] == squares).all()


def test_centres_move_to_the_weighted_mean_of_their_vectors():
    vectors, own, weights = unit(40, 6), np.concatenate([unit(4, 6), np.full((1, 6), 50, np.float32)]), np.arange(40.0)
    centres = Centres(own, np.zeros(5))
    means = naive_means(vectors, centres.assign(vectors)[0], weights, own)
    assert moved(vectors, weights, centres).vectors == pytest.approx(np.array(means), abs=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_vectors_get_length_1_whatever_their_size(kind):
    large = np.finfo(kind).max
    sizes = np.array([[1], [large], [1], [np.finfo(kind).tiny], [1]], kind)
    vectors = np.array([[3, 4], [1, -1], [0, 0], [1, 0], [1e-30, 1]], kind)
    out = np.empty(vectors.shape, np.float32)
    kernels.write_unit_vectors(vectors * sizes, out)
    assert out == pytest.approx(np.array([naive_unit(vector) for vector in vectors], np.float32), abs=1e-7)
