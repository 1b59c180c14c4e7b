"""Among a hundred thousand random and adversarial hashes no pair within the distance is missed."""

import numpy as np
import pytest

from curation.plugins.gate.evaluation import HashesOfSets
from curation.plugins.near_duplicates.index import words_of
from tests.naive.near_duplicates import naive_pairs
from tests.support.near_duplicates import pairs_within

pytestmark = pytest.mark.soak
RANDOM = np.random.default_rng(0)


def random_hashes(number: int) -> np.ndarray:
    return words_of(RANDOM.bytes(number * 8), 64)


def near(hashes: np.ndarray, number: int, flips: int) -> np.ndarray:
    found = hashes[RANDOM.integers(0, len(hashes), number)]
    for _ in range(flips):
        found[:, 0] ^= np.uint64(1) << RANDOM.integers(0, 64, number).astype(np.uint64)
    return found


@pytest.mark.parametrize("k", [4, 6, 10])
def test_no_pair_is_missed_among_a_hundred_thousand_hashes(k):
    varied = random_hashes(40_000)
    alike_but_for_20_bits = random_hashes(10_000) & np.uint64(0x00F0_0F00_00F0_0FF0)
    parts = [varied, near(varied, 40_000, k), near(varied[:20], 10_000, 4), alike_but_for_20_bits]
    hashes = RANDOM.permutation(np.unique(np.concatenate(parts), axis=0))
    found = np.concatenate([*pairs_within(hashes, k, len(hashes))])
    expected = naive_pairs(hashes, k)
    assert len(expected) > 40_000
    assert len(found) == len(expected)
    assert np.array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


@pytest.mark.parametrize("k", [4, 8])
def test_no_image_near_an_evaluation_set_is_missed_among_a_hundred_thousand_hashes(k):
    own = random_hashes(20_000)
    alike = random_hashes(5_000) & np.uint64(0x00F0_0F00_00F0_0FF0)
    images = np.concatenate(
        [near(own, 40_000, k), near(own, 10_000, k + 2), random_hashes(10_000), near(alike, 5_000, 2)]
    )
    both = [np.concatenate([own, alike]), own[:100]]
    expected = np.zeros(len(images), np.uint64)
    for bit, hashes in enumerate(both):
        pairs = naive_pairs(np.concatenate([hashes, images]), k)
        rows = pairs[(pairs[:, 0] >= len(hashes)) & (pairs[:, 1] < len(hashes))][:, 0] - len(hashes)
        expected[rows] |= np.uint64(1 << bit)
    assert 45_000 < (expected != 0).sum() < len(images)
    assert np.array_equal(HashesOfSets.of(both, k).find(images, k), expected)
