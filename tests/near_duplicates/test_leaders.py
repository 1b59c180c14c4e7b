"""Which vectors of a cluster stay: as the naive twin says, for any blocks, and exact where a product is not."""

import numpy as np
import pytest

from curation.plugins.near_duplicates import vectors as module
from curation.plugins.near_duplicates.vectors import LeastCosine, MeaningLeaders, scaled
from tests.naive.semantic_copies import naive_cosine, naive_leaders

pytestmark = pytest.mark.kernels


def groups(seed: int, rows: int, dimension: int, width: float) -> np.ndarray:
    """Vectors around some centres; some are equal, some a multiple of others."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(6, dimension))[random.integers(0, 6, rows)]
    vectors += width * random.normal(size=vectors.shape)
    vectors[rows // 2 : rows // 2 + rows // 8] = vectors[0]
    vectors[: rows // 10] *= 4
    return vectors.astype(np.float32)


def found(vectors: np.ndarray, cosine: float, parts: int = 1) -> tuple[list[int], np.ndarray]:
    """Return the place of each vector's leader, and their cosine; vectors come in some parts."""
    leaders = MeaningLeaders(vectors.shape[1], cosine)
    numbers, cosines = zip(*map(leaders.of, np.array_split(scaled(vectors), parts)), strict=True)
    numbers = np.concatenate(numbers)
    leaders.close()
    return np.unique(numbers, return_index=True)[1][numbers].tolist(), np.concatenate(cosines)


@pytest.mark.parametrize("cosine", [0.3, 0.9, 0.95, 0.999, 1.0])
@pytest.mark.parametrize(("dimension", "width"), [(1, 1.0), (2, 0.3), (12, 0.1), (37, 0.3)])
def test_leaders_are_those_of_the_naive_twin_for_any_blocks(cosine, dimension, width, monkeypatch):
    vectors = groups(dimension, 160, dimension, width)
    expected = naive_leaders(vectors, cosine)
    for first, block, chunk, held, parts in ((64, 1024, 4096, 1 << 20, 1), (1, 7, 5, 0, 3), (200, 200, 1, 200, 2)):
        for name, value in {
            "FIRST_BLOCK_VECTORS": first,
            "MAX_BLOCK_VECTORS": block,
            "CHUNK_VECTORS": chunk,
            "LEADER_BYTES": held,
        }.items():
            monkeypatch.setattr(module, name, value)
        leaders, cosines = found(vectors, cosine, parts)
        assert leaders == expected
        exact = [naive_cosine(vectors[row], vectors[leader]) for row, leader in enumerate(leaders)]
        np.testing.assert_allclose(cosines, exact, rtol=1e-14)


def test_a_cosine_that_is_met_exactly_is_that_of_a_copy():
    vectors = np.array([[3, 4], [4, 3], [30, 40], [-3, -4]], np.float32)
    assert found(vectors, 0.96)[0] == [0, 0, 0, 3]
    assert found(vectors, np.nextafter(0.96, 1))[0] == [0, 1, 0, 3]
    assert found(np.repeat(vectors[:1], 3, axis=0) * np.float32([[1], [2], [-1]]), 1.0)[0] == [0, 0, 2]


def test_products_that_round_to_the_wrong_side_decide_nothing():
    random = np.random.default_rng(0)
    near = random.normal(size=384) + 1e-4 * random.normal(size=(60, 384))
    vectors = near.astype(np.float32)
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    exact = [naive_cosine(vectors[row], vectors[other]) for row in range(60) for other in range(row)]
    products = [unit[row] @ unit[other] for row in range(60) for other in range(row)]
    middle = np.sort(exact)[len(exact) // 2 - 1 : len(exact) // 2 + 1].mean()
    assert 10 < np.sum((np.array(exact) >= middle) != (np.array(products) >= middle))  # what float32 gets wrong
    assert found(vectors, middle)[0] == naive_leaders(vectors, middle)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_scale_changes_nothing(kind):
    vectors = groups(3, 50, 8, 0.2).astype(kind)
    factors = {np.float16: (2.0**-10, 2.0**4), np.float32: (2.0**-120, 2.0**120), np.float64: (2.0**-1000, 2.0**1000)}
    wide = vectors * np.array(factors[kind], kind)[np.arange(len(vectors)) % 2, np.newaxis]
    single = vectors.astype(np.float32)
    assert found(wide.astype(np.float32) if kind == np.float16 else wide, 0.9)[0] == naive_leaders(single, 0.9)


def test_zero_vectors_are_no_block():
    assert found(np.empty((0, 4), np.float32), 0.9)[0] == []


def test_a_dense_cluster_is_compared_with_few(monkeypatch):
    compared = []

    def within(self, vectors, squares, candidates=None):
        compared.append(len(vectors) * len(candidates[0] if candidates else vectors))
        return whole(self, vectors, squares, candidates)

    whole = LeastCosine.within
    monkeypatch.setattr(LeastCosine, "within", within)
    random = np.random.default_rng(0)
    vectors = (np.ones(64) + 0.05 * random.normal(size=(20_000, 64))).astype(np.float32)
    assert len({*found(vectors, 0.9)[0]}) == 1
    assert sum(compared) < 2 * len(vectors)
    compared.clear()
    vectors[5:] = vectors[3]  # equal vectors are one
    assert len({*found(vectors, 0.9999)[0]}) == 5
    assert sum(compared) < 100
