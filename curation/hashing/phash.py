"""Compute pHash: the signs of the 64 lowest frequencies of a grey picture of 32 × 32, against their median.

The bits are those of `imagehash.phash`, in the order of its hexadecimal form. Here the cosines are whole numbers, so
that sums are exact: where frequencies tie, as in a plain or mirrored picture, no rounding error decides a bit.
"""

import numpy as np

SIDE, KEPT = 32, 8  # pixels; frequencies in each direction, from the constant one up
_SCALE = 1 << 22  # of cosines: sums of 1024 pixels of 255 are below 2^62
_ANGLES = np.pi / (2 * SIDE) * np.outer(np.arange(KEPT), 2 * np.arange(SIDE) + 1)
_COSINES = np.rint(_SCALE * np.cos(_ANGLES)).astype(np.int64)


def phash(pixels: np.ndarray) -> bytes:
    """Return the 8 bytes of the hash of grey values, uint8[32, 32].

    >>> phash(np.zeros((32, 32), np.uint8)).hex(), phash(np.full((32, 32), 7, np.uint8)).hex()
    ('0000000000000000', '8000000000000000')
    """
    frequencies = (_COSINES @ pixels.astype(np.int64) @ _COSINES.T).ravel()
    # Above the median of an even number is what is above the lower one of the middle two: nothing is between them.
    lower_middle = np.partition(frequencies, KEPT * KEPT // 2 - 1)[KEPT * KEPT // 2 - 1]
    return np.packbits(frequencies > lower_middle).tobytes()
