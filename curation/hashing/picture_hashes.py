"""Hash one picture: the bytes of its file with SHA-256, and its visible content with pHash and PDQ.

A pHash compares the 64 lowest frequencies of a grey picture of 32 × 32 pixels with their median, one bit each. The bits
equal those of `imagehash.phash`, in the order of its hexadecimal form. Here the cosines are integers, so sums are
exact: if frequencies tie, as in a plain or mirrored picture, no rounding error decides a bit.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from curation.tars.pictures import decoded, flattened, strict_about_size

if TYPE_CHECKING:
    from PIL import Image

SIDE, KEPT = 32, 8  # pixels; frequencies in each direction, from the constant one up
_SCALE = 1 << 22  # of cosines: sums of 1024 pixels of 255 are below 2^62
_ANGLES = np.pi / (2 * SIDE) * np.outer(np.arange(KEPT), 2 * np.arange(SIDE) + 1)
_COSINES = np.rint(_SCALE * np.cos(_ANGLES)).astype(np.int64)


def hash_picture(data: bytes, with_pdq: bool = False) -> dict[str, Any]:
    """Return width, height, sha256, hashes and status of a picture; what cannot be known is None."""
    with strict_about_size():
        found = decoded(data, partial(_hashes, with_pdq=with_pdq))
    hashes = dict.fromkeys(("phash", "phash_mirrored", "pdq"))
    row = {"width": found.width, "height": found.height, **hashes, "status": found.status}
    return row | {"sha256": sha256(data).hexdigest()} | (found.seen or {})


def _hashes(image: Image.Image, with_pdq: bool) -> dict[str, bytes | None]:
    from PIL import Image

    flat = flattened(image)
    small = np.asarray(flat.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    return {"phash": phash(small), "phash_mirrored": phash(small[:, ::-1]), "pdq": _pdq(flat) if with_pdq else None}


def _pdq(flat: Image.Image) -> bytes:
    bits, _ = import_module("pdqhash").compute(np.asarray(flat.convert("RGB")))
    return np.packbits(bits.astype(bool)).tobytes()


def phash(pixels: np.ndarray) -> bytes:
    """Return the 8 bytes of the hash of grey values, uint8[32, 32].

    >>> phash(np.zeros((32, 32), np.uint8)).hex(), phash(np.full((32, 32), 7, np.uint8)).hex()
    ('0000000000000000', '8000000000000000')
    """
    frequencies = (_COSINES @ pixels.astype(np.int64) @ _COSINES.T).ravel()
    # Above the median of an even number is what is above the lower one of the middle two: nothing is between them.
    lower_middle = np.partition(frequencies, KEPT * KEPT // 2 - 1)[KEPT * KEPT // 2 - 1]
    return np.packbits(frequencies > lower_middle).tobytes()
