"""Read 32 hexadecimal digits as 128 bits."""

import numpy as np

from runtime.kernels import lean

DIGITS = 32
NO_DIGIT = 16


def _values(digits):
    """Return the value of each byte as a digit; `digits` are those from 0 to 15, perhaps in several spellings."""
    values = np.full(256, NO_DIGIT, np.uint8)
    values[list(digits.encode())] = [int(digit, 16) for digit in digits]
    return values


LOWER_CASE = _values("0123456789abcdef")
EITHER_CASE = _values("0123456789abcdefABCDEF")


@lean
def read_digits(data, offsets, values, out, read):
    """out[row, 0:2] = the 128 bits that data[offsets[row]:offsets[row + 1]] spells; read[row] = whether it does.

    They are spelled by 32 bytes that `values`, a table of 256, has digits for; out is uint64.
    """
    for row in range(len(out)):
        begin = offsets[row]
        read[row] = offsets[row + 1] - begin == DIGITS
        if not read[row]:
            continue
        seen = np.uint8(0)
        for half in range(2):
            value = np.uint64(0)
            for i in range(begin + 16 * half, begin + 16 * half + 16):
                digit = values[data[i]]
                seen |= digit
                value = value << np.uint64(4) | np.uint64(digit)
            out[row, half] = value
        read[row] = seen < NO_DIGIT
