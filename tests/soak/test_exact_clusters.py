"""Vectors of any shape, size and nearness to one another get the centre with the lowest score."""

from fractions import Fraction

import numpy as np
import pytest

from curation.plugins.clustering import training as module
from curation.plugins.clustering.training import Centres

pytestmark = pytest.mark.soak


def made(random: np.random.Generator, rows: int, width: int) -> np.ndarray:
    """Vectors that are random, near one another, whole numbers, or of very different sizes."""
    kind = random.integers(0, 4)
    if kind == 0:
        return random.normal(size=(rows, width)).astype(np.float32)
    if kind == 1:
        return (random.normal(size=width) + random.normal(size=(rows, width)) * 1e-6).astype(np.float32)
    if kind == 2:
        return random.integers(-2, 3, (rows, width)).astype(np.float32)
    return (random.normal(size=(rows, width)) * 10.0 ** random.integers(-20, 15, (rows, 1))).astype(np.float32)


def exact_score(vector: np.ndarray, centre: np.ndarray, price: float) -> Fraction:
    differences = (Fraction(float(a)) - Fraction(float(b)) for a, b in zip(vector, centre, strict=True))
    return sum((each * each for each in differences), Fraction(float(price)))


@pytest.mark.parametrize("seed", range(300))
def test_no_other_centre_has_a_lower_score(seed, monkeypatch):
    random = np.random.default_rng(seed)
    width, number = int(random.integers(1, 40)), int(random.integers(1, 30))
    vectors, own = made(random, 20, width), made(random, number, width)
    if random.random() < 0.3:
        own[random.integers(0, number, number // 2)] = own[0]
    centres = Centres(own, random.choice([0.0, 1e-7, 1.0]) * random.integers(0, 3, number))
    numbers, squares = centres.assign(vectors)
    for vector, found, square in zip(vectors, numbers, squares, strict=True):
        scores = [exact_score(vector, *each) for each in zip(own, centres.prices, strict=True)]
        best = min(scores)
        # What float64 cannot tell apart may be either; of equal ones it is the first.
        assert scores[found] <= best * (1 + Fraction(1, 10**13))
        assert scores.index(scores[found]) == found or float(scores[found] - best) == 0
        assert square == pytest.approx(float(exact_score(vector, own[found], 0)), rel=1e-13)
    monkeypatch.setattr(module, "BLOCK", int(random.integers(1, 30)))
    again, own_squares = centres.assign(vectors)
    assert (again == numbers).all()
    assert (own_squares == squares).all()
