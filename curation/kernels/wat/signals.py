"""Find out whether headers or metas may hold a signal, by the bytes with which signals begin.

What they do hold is read by `curation.inputs.crawl.wat_by_parser`.
"""

import numpy as np

from curation.kernels.wat.skipping import after_strings
from curation.kernels.wat.tokens import QUOTE, after_space
from runtime.kernels import lean
from runtime.kernels.machine import byte_at, load_word, lowest, trailing_zeros, without_lowest
from runtime.kernels.masks import WINDOW, places_of_letters, places_of_two

_NOAI, _NOIM, _NOIN, _NONE, _TDM = (
    int.from_bytes(word, "little") for word in (b"noai", b"noim", b"noin", b"none", b"tdm-")
)
_ESCAPE = int.from_bytes(b"\\u00", "little")
_SMALL = 0x20202020  # makes letters small
_4_BYTES = (1 << 32) - 1
_COMMA, _OPEN, _CLOSE = (ord(character) for character in ",{}")


@lean
def may_signal(data, begin, end):
    """Return whether data[begin:end] may hold a signal: the beginning of one, or an escape, which may be any letter."""
    for i in range(begin, end, WINDOW):
        places = places_of_letters(data, i, _NOAI) | places_of_letters(data, i, _TDM) | places_of_two(data, i, _ESCAPE)
        places &= lowest(min(end - i, 64))
        while places != 0:
            word = load_word(data, i + trailing_zeros(places)) & _4_BYTES
            small = word | _SMALL
            if word == _ESCAPE or small == _NOAI or small == _NOIM or small == _NOIN or small == _NONE or small == _TDM:
                return True
            places = without_lowest(places)
    return False


@lean
def find_metas(data, begin, end, stops):
    """Return where the objects of the list data[begin:end] that may hold a signal begin and end, with all between them.

    -1 twice if none may; the bounds of all that is in the list, if it holds more than objects of strings.
    """
    if not may_signal(data, begin, end):
        return np.int64(-1), np.int64(-1)
    i, at, first, last = np.int64(begin + 1), np.int64(0), np.int64(-1), np.int64(-1)
    while byte_at(data, i) == _OPEN and byte_at(data, i + 1) == QUOTE:
        behind, at = after_strings(data, i, stops, at, True)
        if behind < 0 or byte_at(data, behind) != _CLOSE:
            break
        if may_signal(data, i, behind):
            first, last = i if first < 0 else first, behind + 1
        i = after_space(data, behind + 1)
        if byte_at(data, i) == _COMMA:
            i = after_space(data, i + 1)
    return (first, last) if i == end - 1 else (np.int64(begin + 1), np.int64(end - 1))
