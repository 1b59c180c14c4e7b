"""Copies that were stored or scaled anew are near their pictures, and different pictures are not."""

import io

import numpy as np
import pytest

from curation.plugins.hashing.clip_hash import hash_picture
from tests.support.photographs import COPIES, pictures

RECOMMENDED = 4  # docs/how-to/near-copies.md


def hash_of(image) -> int:
    file = io.BytesIO()
    image.save(file, "PNG")
    return int.from_bytes(hash_picture(file.getvalue())["phash"], "big")


@pytest.fixture(scope="module")
def hashes() -> list[tuple]:
    """Pictures with their hashes: with the packages of the tests tiles of one photograph, and drawn ones."""
    return [(image, hash_of(image)) for image in pictures(drawn=40)[-56:]]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "share"), [("JPEG, quality 75", 0.9), ("half as large", 0.9), ("10 % wider", 0.9),
    ("grey", 1), ("1 % cut off at each side", 0.7)])  # fmt: skip
def test_most_copies_are_near_their_pictures(hashes, kind, share):
    apart = [(own ^ hash_of(COPIES[kind](image))).bit_count() for image, own in hashes]
    assert np.mean(np.array(apart) <= RECOMMENDED) >= share


def test_different_pictures_are_not_near_each_other(hashes):
    own = [each for _, each in hashes]
    assert min((a ^ b).bit_count() for number, a in enumerate(own) for b in own[:number]) > RECOMMENDED
