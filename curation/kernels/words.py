"""Look words up by a hash of 64 bits: in `keys`, an open table of a power of two, where 0 is an empty place, the bits.

Words are hashed by bytes or characters, and phrases by their words: two of a text's words and a listed one meet by
chance once in 10^16 texts.
"""

import numpy as np

from runtime.kernels import inline

BASIS, PRIME, SPREAD = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15)
PLACES = 1 << 16  # most places of a table


@inline
def joined(word, unit):
    """Return the hash of a word, BASIS at its beginning, with another byte or character."""
    return (word ^ np.uint64(unit)) * PRIME


@inline
def followed(phrase, word):
    """Return the hash of a phrase, 0 at its beginning, with another word."""
    return phrase * SPREAD + word


@inline
def bits_of(key, keys, bits):
    """Return the bits of a word or phrase, 0 if it is not listed."""
    place = np.int64((key * SPREAD) >> np.uint64(48)) & (len(keys) - 1)
    while keys[place] != 0 and keys[place] != key:
        place = (place + 1) & (len(keys) - 1)
    return bits[place]
