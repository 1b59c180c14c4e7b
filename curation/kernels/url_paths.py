"""Find words and file names in the paths of URLs, with %-escapes decoded."""

from string import hexdigits

import numpy as np

from curation.kernels.exclusion import place_among
from runtime.kernels import inline, lean

_SLASH, _COLON, _QUERY, _FRAGMENT, _PERCENT, _POINT = (np.uint8(ord(character)) for character in "/:?#%.")
_U, _EIGHT = np.uint64, np.uint64(8)
_NOTHING = np.uint64(0)
_OTHER, _LOWER, _UPPER = range(3)  # letters outside ASCII count as lower case


_BYTES = bytes(range(256))
LOWERED = np.frombuffer(_BYTES.lower(), np.uint8)
_DIGITS = np.array([int(chr(byte), 16) if byte in hexdigits.encode() else 16 for byte in _BYTES], np.uint8)  # 16: none
_CLASSES = np.full(256, _OTHER, np.uint8)
_CLASSES[ord("A") : ord("Z") + 1] = _UPPER
_CLASSES[ord("a") : ord("z") + 1] = _CLASSES[128:] = _LOWER


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


@inline
def is_listed(words, high, low, size):
    """Return whether a word of `size` bytes is in words[:, 0:2], which ascend."""
    return 0 < size <= 16 and place_among(words, 0, len(words), high, low) >= 0


@inline
def with_byte(high, low, byte):
    return (high << _EIGHT) | (low >> _U(56)), (low << _EIGHT) | _U(byte)


@lean
def find_url_words(data, offsets, words, out):
    """out[row] = whether a word of the path of URL data[offsets[row]:offsets[row + 1]] is listed, in any case.

    Words are runs of letters, and end before an upper-case letter behind a lower-case one, and before the last
    upper-case letter of several that a lower-case one follows. The bytes of a listed word are two numbers in `words`,
    uint64[word, 2].
    """
    for row in range(len(out)):
        i, end = path_of(data, offsets[row], offsets[row + 1])
        found = False
        high, low, size = _NOTHING, _NOTHING, 0
        before_high, before_low = _NOTHING, _NOTHING  # the word without its last byte
        last = _OTHER
        while i < end and not found:
            byte = byte_of(data, i, end)
            kind = _CLASSES[byte]
            if kind == _OTHER or (kind == _UPPER and last == _LOWER):
                found = is_listed(words, high, low, size)
                high, low, size = _NOTHING, _NOTHING, 0
            elif kind == _LOWER and last == _UPPER and size > 1:
                found = is_listed(words, before_high, before_low, size - 1)
                high, low, size = _NOTHING, low & _U(255), 1
            if kind != _OTHER:
                before_high, before_low = high, low
                high, low = with_byte(high, low, LOWERED[byte])
                size += 1
            last = kind
            i += size_of(data, i, end)
        out[row] = found or is_listed(words, high, low, size)


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
