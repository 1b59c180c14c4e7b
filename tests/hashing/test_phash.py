"""pHash has the bits of the package ImageHash, and those of the definition where that rounds."""

import imagehash
import numpy as np
import pytest
from PIL import Image

from curation.plugins.hashing.clip_hash import KEPT_FREQUENCIES, SIDE, phash
from tests.support.pictures import picture

RANDOM = np.random.default_rng(0)
GREY = {
    "noise": RANDOM.integers(0, 256, (50, SIDE, SIDE), dtype=np.uint8),
    "faint noise": RANDOM.integers(127, 130, (50, SIDE, SIDE), dtype=np.uint8),
    "two values": RANDOM.integers(0, 2, (50, SIDE, SIDE), dtype=np.uint8) * 255,
    "pictures": np.stack([np.asarray(picture(seed, SIDE, SIDE).convert("L")) for seed in range(50)]),
}


@pytest.mark.parametrize("kind", GREY)
def test_bits_are_those_of_imagehash(kind):
    for pixels in GREY[kind]:
        assert phash(pixels).hex() == str(imagehash.phash(Image.fromarray(pixels)))


@pytest.mark.parametrize("kind", [*GREY, "plain", "mirrored", "chessboard"])
def test_bits_are_those_of_the_definition(kind):
    for pixels in GREY.get(kind, tied(kind))[:10]:
        assert phash(pixels) == naive_phash(pixels)


def tied(kind: str) -> np.ndarray:
    """Return grey pictures in which many frequencies are the same."""
    half = RANDOM.integers(0, 256, (5, SIDE, SIDE // 2), dtype=np.uint8)
    board = (np.indices((SIDE, SIDE)) // 4).sum(axis=0) % 2 * 255
    made = {
        "plain": np.stack([np.full((SIDE, SIDE), value) for value in (0, 1, 128, 255)]),
        "mirrored": np.concatenate([half, half[:, :, ::-1]], axis=2),
        "chessboard": board[None],
    }
    return made.get(kind, half).astype(np.uint8)


def naive_phash(pixels: np.ndarray) -> bytes:
    """Return the hash by the definition of the DCT, number by number; rounding decides no bit."""
    angles = [[np.cos(np.pi * u * (2 * x + 1) / (2 * SIDE)) for x in range(SIDE)] for u in range(KEPT_FREQUENCIES)]
    found = [
        float(sum(angles[u][x] * angles[v][y] * float(pixels[x, y]) for x in range(SIDE) for y in range(SIDE)))
        for u in range(KEPT_FREQUENCIES)
        for v in range(KEPT_FREQUENCIES)
    ]
    middle = sorted(found)[KEPT_FREQUENCIES * KEPT_FREQUENCIES // 2 - 1 : KEPT_FREQUENCIES * KEPT_FREQUENCIES // 2 + 1]
    bits = [each > sum(middle) / 2 + 1e-7 for each in found]
    return int("".join(str(int(bit)) for bit in bits), 2).to_bytes(8, "big")
