"""Tell which kinds of bytes each text holds, so that a regular expression looks at few texts."""

import numpy as np

from runtime.kernels import lean


@lean
def find_marks(offsets, data, marks, out):
    """out[text] = the marks of all bytes of the text together; marks, of each byte value, and out are uint8."""
    for text in range(len(out)):
        found = np.uint8(0)
        for i in range(offsets[text], offsets[text + 1]):
            found |= marks[data[i]]
        out[text] = found
