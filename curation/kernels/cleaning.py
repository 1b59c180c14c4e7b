"""Find the rows that need no cleaning: texts that are already clean, and URLs with http or https and a host."""

from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word, lowest
from runtime.kernels.masks import SLACK, WINDOW, odd_space, references

HTTP = int.from_bytes(b"http", "little")
_SPACE, _SLASH, _COLON = (ord(character) for character in " /:")


@lean
def find_odd(offsets, data, odd):
    """Set odd[k] to whether cleaning may change text k: it has a space at an end, or `is_odd_text`.

    Texts within SLACK bytes of the end of `data` always count as odd.
    """
    for text in range(len(odd)):
        i, end = offsets[text], offsets[text + 1]
        ends = i < end and (end + SLACK > len(data) or byte_at(data, i) == _SPACE or byte_at(data, end - 1) == _SPACE)
        odd[text] = ends or is_odd_text(data, i, end)


@inline
def is_odd_text(data, i, end):
    """Return whether a text may hold white space other than spaces, or a character reference."""
    found = 0
    while i < end and found == 0:
        found = (odd_space(data, i) | references(data, i)) & lowest(min(end - i, 64))
        i += WINDOW
    return found != 0


@inline
def is_odd_link(data, i, end):
    """Return whether a link may hold white space other than spaces."""
    found = 0
    while i < end and found == 0:
        found = odd_space(data, i) & lowest(min(end - i, 64))
        i += WINDOW
    return found != 0


@lean
def find_web(offsets, data, web):
    """Set web[k] to whether string k begins with `http://` or `https://`, in either case, and a host."""
    for row in range(len(web)):
        i, end = offsets[row], offsets[row + 1]
        web[row] = end - i > 7 and load_word(data, i) & 0xFFFFFFFF | 0x20202020 == HTTP
        if web[row]:
            i += 4 + (byte_at(data, i + 4) | 32 == ord("s"))
            slashes = i + 3 < end and byte_at(data, i) == _COLON
            slashes = slashes and byte_at(data, i + 1) == _SLASH and byte_at(data, i + 2) == _SLASH
            web[row] = slashes and byte_at(data, i + 3) not in (_SLASH, ord("?"), ord("#"))
