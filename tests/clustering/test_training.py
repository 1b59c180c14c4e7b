"""Clusters have nearly equal sizes, cost little more than plain k-means, and follow from vectors and seed alone."""

import numpy as np
import pytest

from curation.plugins.clustering.training import Centres, TrainedClusters, balanced, moved, train
from runtime.errors import InputError


def blobs(number: int, size: int, dimension: int = 16, width: float = 0.1) -> np.ndarray:
    """So many vectors around each of so many points, in any order."""
    random = np.random.default_rng(number)
    vectors = np.repeat(random.normal(size=(number, dimension)), size, axis=0)
    vectors += random.normal(size=vectors.shape) * width
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return random.permutation(vectors).astype(np.float32)


def sizes_of(centres: Centres, vectors: np.ndarray) -> np.ndarray:
    return np.bincount(centres.assign(vectors)[0], minlength=len(centres)) / (len(vectors) / len(centres))


def plain_inertia(vectors: np.ndarray, centres: Centres) -> float:
    """What Lloyd's algorithm without prices makes of these centres."""
    for _ in range(20):
        centres = moved(vectors, np.ones(len(vectors)), Centres(centres.vectors, np.zeros(len(centres))))
    return centres.assign(vectors)[1].sum()


def test_equal_groups_become_clusters_of_equal_size_that_cost_no_more_than_plain_ones():
    vectors = blobs(24, 100)
    centres = train(vectors, np.ones(len(vectors)), 24, seed=0)
    assert sizes_of(centres, vectors) == pytest.approx(1, abs=0.05)
    assert centres.assign(vectors)[1].sum() < 1.05 * plain_inertia(vectors, centres)


def test_clusters_are_of_equal_size_where_vectors_are_in_no_groups():
    vectors = blobs(1, 3000, width=1)
    centres = train(vectors, np.ones(len(vectors)), 12, seed=1)
    assert sizes_of(centres, vectors) == pytest.approx(1, abs=0.05)


def test_few_vectors_a_cluster_and_copies_of_one_vector_come_to_an_end():
    few = blobs(1, 400, width=1)
    assert sizes_of(train(few, np.ones(400), 40, seed=0), few).max() <= 1.5
    copies = np.concatenate([few, np.repeat(few[:1], 300, axis=0)])
    centres = train(copies, np.ones(700), 10, seed=0)
    assert np.isfinite(centres.prices).all()
    assert np.sort(sizes_of(centres, copies))[:-1].max() < 1.5


def test_a_price_falls_no_farther_than_lists_of_centres_can_see():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(1500, 16)).astype(np.float32)
    centres = np.concatenate([vectors[:100], 3 * vectors[100:110]])  # the last ones are in nobody's list
    found = balanced(vectors, np.ones(1500), Centres(centres, np.zeros(110)), rounds=1)
    assert sizes_of(found, vectors).max() < 2


def test_prices_make_weights_equal_rather_than_numbers():
    vectors, random = blobs(1, 2000, width=1), np.random.default_rng(0)
    weights = random.uniform(0, 5, 2000)
    centres = balanced(vectors, weights, Centres(vectors[:5], np.zeros(5)))
    found = np.bincount(centres.assign(vectors)[0], weights)
    assert found / found.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.slow
def test_coarse_clusters_have_fine_ones_that_follow_each_other_and_equal_sizes():
    vectors = blobs(32, 60)
    clusters = TrainedClusters.of(vectors, 32, 4, seed=0)
    assert (np.diff(clusters.coarse_of) >= 0).all()
    fine, distance, _ = clusters.distances(vectors)
    coarse = np.bincount(clusters.coarse_of[fine])
    assert coarse / coarse.mean() == pytest.approx(1, abs=0.1)
    assert distance == pytest.approx(np.linalg.norm(vectors - clusters.fine.vectors[fine], axis=1), abs=1e-6)


def test_training_is_a_function_of_vectors_and_seed(tmp_path):
    vectors = blobs(8, 50)
    once, again, other = (TrainedClusters.of(vectors, 8, 2, seed) for seed in (3, 3, 4))
    for name in ("vectors", "prices"):
        assert (getattr(once.fine, name) == getattr(again.fine, name)).all()
    assert (once.fine.vectors != other.fine.vectors).any()
    saved = TrainedClusters.open(once.save(tmp_path))
    assert (saved.distances(vectors)[0] == once.distances(vectors)[0]).all()


def test_more_clusters_than_different_vectors_are_refused():
    with pytest.raises(InputError, match="3 distinct embeddings are too few for 4 clusters"):
        train(np.repeat(blobs(1, 3), 20, axis=0), np.ones(60), 4, seed=0)


@pytest.mark.parametrize(("fine", "coarse"), [(1, 1), (3, 3), (3, 1)])
def test_one_cluster_and_as_many_coarse_as_fine_ones_work(fine, coarse):
    vectors = blobs(3, 20)
    clusters = TrainedClusters.of(vectors, fine, coarse, seed=0)
    assert {*clusters.coarse_of.tolist()} == {*range(coarse)}
    assert {*clusters.distances(vectors)[0].tolist()} == {*range(fine)}


@pytest.mark.slow
def test_prices_that_have_far_to_go_get_there():
    """More groups than clusters: plain k-means leaves most vectors to one centre, in the middle of all."""
    chance = np.random.default_rng(0)
    groups = chance.normal(size=(750, 384)).astype(np.float32)
    drawn = groups[chance.integers(0, len(groups), 2500)]
    vectors = drawn + 0.8 * chance.normal(size=drawn.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers, _ = train(vectors, np.ones(len(vectors)), 256, 0).assign(vectors)
    sizes = np.bincount(numbers, minlength=256)
    assert sizes.max() < 1.6 * sizes.mean()
    assert sizes.min() > 0.4 * sizes.mean()
