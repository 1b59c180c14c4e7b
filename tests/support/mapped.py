"""Where the memory of an array is."""

from mmap import mmap

import numpy as np


def is_mapped(array: np.ndarray) -> bool:
    """Say whether an array is part of a file that is mapped into memory, and cannot be written to."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return not array.flags.writeable and isinstance(memoryview(array.base).obj, mmap)
