"""Hashes near those of sets are all found: as by comparing all pairs, on random and on adversarial hashes."""

import numpy as np
import pytest

from curation.plugins.gate.evaluation import HashesOfSets
from tests.naive.near_duplicates import naive_pairs
from tests.support.hash_kinds import HASHES

KINDS = [kind for kind, hashes in HASHES.items() if hashes.shape[1] == 1]


def by_all_pairs(own: list[np.ndarray], images: np.ndarray, distance: int) -> np.ndarray:
    """The mask of sets by comparing every image with every hash of each set."""
    out = np.zeros(len(images), np.uint64)
    for bit, hashes in enumerate(own):
        pairs = naive_pairs(np.concatenate([hashes, images]), distance)
        near = pairs[(pairs[:, 0] >= len(hashes)) & (pairs[:, 1] < len(hashes))][:, 0] - len(hashes)
        out[near] |= np.uint64(1 << bit)
    return out


@pytest.mark.parametrize("distance", [0, 1, 6, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_the_sets_near_an_image_are_those_by_all_pairs(kind, distance):
    hashes = HASHES[kind]
    own = [hashes[::5], hashes[::7], hashes[:0], np.repeat(hashes[:40], 3, axis=0)]
    images = np.concatenate([hashes[::2], HASHES["random"][:50], hashes[:3]])
    expected = by_all_pairs(own, images, distance)
    assert np.array_equal(HashesOfSets.of(own, distance).find(images, distance), expected)
    assert len(images) == 0 or not len(hashes) or expected.any()
