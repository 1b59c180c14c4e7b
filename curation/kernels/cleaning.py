"""Find texts that may need cleaning, and URLs of the web."""

from runtime.kernels import inline, lean
from runtime.kernels.machine import lowest
from runtime.kernels.windows import SLACK, WINDOW, byte_at, odd_space

_SPACE, _SLASH, _COLON = (ord(character) for character in " /:")
_H, _T, _P, _S = (ord(letter) for letter in "htps")


@lean
def find_odd(offsets, data, odd):
    """Set odd[k] to whether cleaning may change text k: it has a space at an end, or white space that is no space.

    Texts within SLACK bytes of the end of `data` are all said to be odd.
    """
    for text in range(len(odd)):
        i, end = offsets[text], offsets[text + 1]
        found = i < end and (end + SLACK > len(data) or byte_at(data, i) == _SPACE or byte_at(data, end - 1) == _SPACE)
        while i < end and not found:
            found = odd_space(data, i) & lowest(min(end - i, 64)) != 0
            i += WINDOW
        odd[text] = found


@lean
def find_web(offsets, data, web):
    """Set web[k] to whether string k begins with `http://` or `https://`, in either case, and a host."""
    for row in range(len(web)):
        i, end = offsets[row], offsets[row + 1]
        web[row] = end - i > 7 and begins_http(data, i)
        if web[row]:
            i += 4 + (byte_at(data, i + 4) | 32 == _S)
            slashes = i + 3 < end and byte_at(data, i) == _COLON
            slashes = slashes and byte_at(data, i + 1) == _SLASH and byte_at(data, i + 2) == _SLASH
            web[row] = slashes and byte_at(data, i + 3) not in (_SLASH, ord("?"), ord("#"))


@inline
def begins_http(data, i):
    """Return whether data[i:i + 4] is `http` in either case."""
    letters = byte_at(data, i) | 32 == _H and byte_at(data, i + 1) | 32 == _T
    return letters and byte_at(data, i + 2) | 32 == _T and byte_at(data, i + 3) | 32 == _P
