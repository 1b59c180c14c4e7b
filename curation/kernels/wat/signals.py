"""Find out whether headers or metas may hold a signal, by the bytes with which signals begin.

What they do hold is read by `curation.inputs.crawl.wat_by_parser`.
"""

from runtime.kernels import lean
from runtime.kernels.machine import load_word, lowest, trailing_zeros, without_lowest
from runtime.kernels.searching import places_of_letters, places_of_two
from runtime.kernels.windows import WINDOW

_NOAI, _NOIM, _NOIN, _NONE, _TDM = (
    int.from_bytes(word, "little") for word in (b"noai", b"noim", b"noin", b"none", b"tdm-")
)
_ESCAPE = int.from_bytes(b"\\u00", "little")
_SMALL = 0x20202020  # makes letters small
_4_BYTES = (1 << 32) - 1


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
