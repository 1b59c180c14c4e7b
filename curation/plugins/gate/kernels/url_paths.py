"""Find the paths and file names of URLs, and decode %-escapes in them."""

from string import hexdigits

import numpy as np

from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at

_SLASH, _COLON, _QUERY, _FRAGMENT, _PERCENT, _POINT = (np.uint8(ord(character)) for character in "/:?#%.")

_BYTES_AT_ONCE = 32
_NO_DIGIT = 16
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
for _digit in hexdigits:
    _DIGITS[ord(_digit)] = int(_digit, 16)


@inline
def is_escape(data, i, end):
    has_room = data[i] == _PERCENT and i + 2 < end
    return has_room and _DIGITS[data[i + 1]] < _NO_DIGIT and _DIGITS[data[i + 2]] < _NO_DIGIT


@inline
def byte_of(data, i, end):
    """Return the byte at data[i], decoded if a %-escape begins there."""
    if is_escape(data, i, end):
        return np.uint8(_DIGITS[data[i + 1]] * 16 + _DIGITS[data[i + 2]])
    return data[i]


@inline
def code_size(data, i, end):
    return np.int64(3) if is_escape(data, i, end) else np.int64(1)


@inline
def is_stop(byte):
    return byte == _QUERY or byte == _FRAGMENT


@lean
def find_paths(data, offsets, paths):
    """Set paths[row] to the begin of the host of the URL data[offsets[row]:offsets[row + 1]] and the end of its path.

    The path ends before query and fragment. For a URL without a host, both are the end of the URL.
    """
    for row in range(len(paths)):
        i, end = offsets[row], offsets[row + 1]
        while i < end and data[i] != _COLON:
            i += 1
        i = min(i + 3, end)
        paths[row, 0] = i
        stops = 0
        # The inner loop has a fixed length, so it becomes vector instructions.
        while stops == 0 and i + _BYTES_AT_ONCE <= end:
            for byte in data[i : i + _BYTES_AT_ONCE]:
                stops += (byte == _QUERY) | (byte == _FRAGMENT)
            if stops == 0:
                i += _BYTES_AT_ONCE
        while i < end and not is_stop(data[i]):
            i += 1
        paths[row, 1] = i


@lean
def find_names(data, paths, names):
    """Set names[row] to the begin and the end of a URL's file name, and the begin of the name's extension.

    The file name is the last part of the path; `find_paths` makes `paths`. For a name without an extension, the third
    number is the end.
    """
    for row in range(len(names)):
        host, end = paths[row, 0], paths[row, 1]
        dot = end
        i = end - 1
        while i >= host and byte_at(data, i) != _SLASH:
            if byte_at(data, i) == _POINT and dot == end:
                dot = i
            i -= 1
        first = i + 1 if i >= host else end
        names[row, 0] = first
        names[row, 1] = end
        names[row, 2] = dot if dot > first else end
