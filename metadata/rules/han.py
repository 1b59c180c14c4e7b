"""Han characters that only Chinese or only Japanese writes today, by the character sets of both, and kana.

A character is Chinese if GB 2312 or Big5 has it among the frequent ones and JIS X 0208 lacks it; it is Japanese if
JIS X 0208 has it among the frequent ones and both others lack it. Most characters are neither: both languages write
them.
"""

from functools import lru_cache

import numpy as np
import regex

from metadata.rules.characters import paged

CHINESE, JAPANESE = 1, 2  # bits
NO_SIGN = "のノ"  # kana that Chinese names of shops are adorned with
# The first byte of the last character that a set counts among the frequent ones.
_LAST = {"gb2312": 0xD7, "big5": 0xC6, "euc_jp": 0xCF}


@lru_cache(maxsize=1)
def han_table() -> tuple[np.ndarray, np.ndarray]:
    """Return page numbers (int16), and the bits of each character (int64): those of code point `c` are at
    `pages[c >> 8] << 8 | c & 255`; kana have the bit of Japanese."""
    found = np.zeros(0x110000, np.int64)
    for code in range(0x4E00, 0xA000):
        found[code] = han_bits(chr(code))
    kana = regex.findall(
        r"[\p{Hiragana}\p{Katakana}]", "".join(map(chr, (*range(0x3000, 0x3200), *range(0xFF00, 0xFFA0))))
    )
    found[[ord(character) for character in kana if character not in NO_SIGN]] = JAPANESE
    pages, bits = paged(found)
    for array in (pages, bits):
        array.flags.writeable = False  # like Arrow's buffers: Numba compiles once
    return pages, bits


def han_bits(character: str) -> int:
    """Return the bits of a Han character.

    >>> [han_bits(character) for character in "们駅山"]
    [1, 2, 0]
    """
    frequent, known = {}, {}
    for name, last in _LAST.items():
        encoded = character.encode(name, "ignore")
        known[name] = len(encoded) == 2
        frequent[name] = known[name] and encoded[0] <= last
    if not known["euc_jp"]:
        return CHINESE if frequent["gb2312"] or frequent["big5"] else 0
    return JAPANESE if frequent["euc_jp"] and not (known["gb2312"] or known["big5"]) else 0
