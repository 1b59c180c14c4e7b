"""Scripts of letters, by Unicode's property Script."""

from functools import lru_cache

import numpy as np
import regex

from metadata.rules.characters import paged

MOST = 62  # scripts that a table tells apart


@lru_cache(maxsize=1)
def letter_table(scripts: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return page numbers (int16), and the bit of each letter's script (int64): 1 << k for the k-th of `scripts`.

    The bit of code point `c` is at `pages[c >> 8] << 8 | c & 255`; 1 << MOST stands for all scripts that are not asked
    for. It is 0 for what is no letter, and for letters of no one script, such as the Japanese sign of length.
    """
    numbers = np.zeros(0x110000, np.int32)
    numbers[_letters(r"[^\p{Script=Common}\p{Script=Inherited}]")] = MOST + 1
    for number, script in enumerate(scripts):
        numbers[_letters(rf"\p{{Script={script}}}")] = number + 1
    pages, in_pages = paged(numbers)
    bits = np.where(in_pages > 0, np.left_shift(1, np.maximum(in_pages - 1, 0), dtype=np.int64), 0)
    for array in (pages, bits):
        array.flags.writeable = False  # like Arrow's buffers: Numba compiles once
    return pages, bits


def _letters(pattern: str) -> np.ndarray:
    """Return the code points of the letters that match."""
    found = "".join(regex.findall(f"{pattern}+", _all_letters()))
    return np.frombuffer(found.encode("utf-32-le"), np.uint32)


@lru_cache(maxsize=1)
def _all_letters() -> str:
    return "".join(regex.findall(r"\p{L}+", "".join(map(chr, range(0x110000)))))
