"""Find the paths and file names of URLs, and read them with %-escapes decoded."""

from string import hexdigits

import numpy as np

from runtime.kernels import inline, lean

_SLASH, _COLON, _QUERY, _FRAGMENT, _PERCENT, _POINT = (np.uint8(ord(character)) for character in "/:?#%.")

_BYTES = bytes(range(256))
LOWERED = np.frombuffer(_BYTES.lower(), np.uint8)
_DIGITS = np.array([int(chr(byte), 16) if byte in hexdigits.encode() else 16 for byte in _BYTES], np.uint8)  # 16: none


@inline
def is_escape(data, i, end):
    return data[i] == _PERCENT and i + 2 < end and _DIGITS[data[i + 1]] < 16 and _DIGITS[data[i + 2]] < 16


@inline
def byte_of(data, i, end):
    """Return the byte at data[i], or the one that a %-escape there means."""
    if is_escape(data, i, end):
        return np.uint8(_DIGITS[data[i + 1]] * 16 + _DIGITS[data[i + 2]])
    return data[i]


@inline
def size_of(data, i, end):
    return np.int64(3) if is_escape(data, i, end) else np.int64(1)


@inline
def path_of(data, begin, end):
    """Return where the path of a URL begins and ends, behind the host and before query and fragment."""
    i = begin
    while i < end and data[i] != _COLON:
        i += 1
    i += 3
    while i < end and data[i] != _SLASH and data[i] != _QUERY and data[i] != _FRAGMENT:
        i += 1
    first = min(i, end)
    last = first
    while last < end and data[last] != _QUERY and data[last] != _FRAGMENT:
        last += 1
    return first, last


@lean
def find_names(data, offsets, names):
    """names[row] = where the file name of a URL begins and ends, and where its ending begins; all after one another.

    The file name is the last part of the path; without an ending that place is the end.
    """
    for row in range(len(names)):
        begin, end = path_of(data, offsets[row], offsets[row + 1])
        first, dot = end, end
        i = end - 1
        while i >= begin and data[i] != _SLASH:
            if data[i] == _POINT and dot == end:
                dot = i
            i -= 1
        if i >= begin:
            first = i + 1
        names[row, 0], names[row, 1], names[row, 2] = first, end, dot if dot > first else end
