"""Find texts whose letters are all of scripts in which their language is not written."""

import numpy as np

from curation.kernels.trie.keys import decode
from runtime.kernels import lean


@lean
def find_foreign(offsets, data, pages, bits, written, foreign):
    """Set foreign[text] to whether the text has letters and none of their bits is among written[text].

    `pages` and `bits` are those of metadata.rules.scripts.
    """
    for text in range(len(foreign)):
        i, end, seen = offsets[text], offsets[text + 1], 0
        while i < end and seen & written[text] == 0:
            character, size = decode(data, i, end)
            seen |= bits[np.int64(pages[character >> 8]) << 8 | character & 255]
            i += size
        foreign[text] = seen != 0 and seen & written[text] == 0
