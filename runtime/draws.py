"""Draw random numbers from the seed, a purpose and an image's uid: the only source of chance in the files of a run.

Retries, other partitionings and other clusters draw the same numbers. A run with a larger threshold keeps all images
that a run with a smaller one keeps.
"""

from hashlib import blake2b
from numbers import Integral

import numpy as np

from runtime.argument_types import typed
from runtime.arrow import Strings, present_uids, string_buffers
from runtime.errors import InputError
from runtime.kernels.hashes import number_keys, siphash


@typed
def draws(seed: int, purpose: str, uids: Strings, numbers: np.ndarray | None = None) -> np.ndarray:
    """Return one float64 in [0, 1) per uid; another seed or purpose gives independent numbers.

    A number is the top 53 bits of SipHash-2-4 over the uid's UTF-8 bytes. The key of 128 bits is the BLAKE2b of seed
    and purpose. Both hashes are standard and keyed for cryptographic use. A CRC, or a seed added to a plain hash, would
    give related numbers for two keys; here no relation can be found, even if uids differ in one digit only.

    `numbers`, one integer from 0 per uid, distinguish several draws of one uid. Draw 0 equals the draw without
    `numbers`; the others are made of the uid's hash by one step of mixing. InputError if a uid is null, or if the seed
    is no integer.
    """
    if not isinstance(seed, Integral):
        raise InputError(f"the seed is {seed!r}; it must be an integer")
    array = present_uids(uids)
    key = np.frombuffer(blake2b(f"{seed:d}/{purpose}".encode(), digest_size=16).digest(), "<u8")
    offsets, data = string_buffers(array)
    hashes = np.empty(len(array), np.uint64)
    siphash(data, offsets, *key, hashes)
    if numbers is not None:
        number_keys(hashes, numbers.astype(np.uint64), hashes)
    return (hashes >> np.uint64(11)) * 2.0**-53
