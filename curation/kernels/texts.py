"""Classify texts by kinds of bytes and scripts, and find rows that need no cleaning."""

import numpy as np

from curation.kernels.trie.tables import decode
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word, lowest
from runtime.kernels.masks import SLACK, WINDOW, odd_space, references

# The caller of find_marks gives bytes these marks, except SUFFIX, and may give bytes further marks.
LETTER, DOT, SUFFIX, DIGIT, SPACE = (np.uint16(1 << bit) for bit in range(5))
LOWERED = np.frombuffer(bytes(range(256)).lower(), np.uint8)  # It maps each byte to its lower case, in ASCII.

HTTP = int.from_bytes(b"http", "little")
_SPACE, _SLASH, _COLON = (ord(character) for character in " /:")


@lean
def find_marks(offsets, data, marks, out, digits, spaces):
    """Set out[text] (uint16) to the OR of the marks of all bytes, with SUFFIX if a LETTER follows a DOT.

    `marks` has the marks of each byte value. digits[text] and spaces[text], int32, are set to the numbers of bytes with
    DIGIT and with SPACE.
    """
    for text in range(len(out)):
        text_marks = np.uint16(0)
        last = np.uint16(0)
        own_digits = np.int32(0)
        own_spaces = np.int32(0)
        for i in range(offsets[text], offsets[text + 1]):
            mark = marks[data[i]]
            text_marks |= mark | ((last & DOT) << 1 & (mark & LETTER) << 2)
            own_digits += (mark & DIGIT) != 0
            own_spaces += (mark & SPACE) != 0
            last = mark
        out[text] = text_marks
        digits[text] = own_digits
        spaces[text] = own_spaces


@lean
def find_foreign(offsets, data, pages, bits, written, foreign):
    """Set foreign[text] to whether the text has letters, and none of them is of a script with a bit in written[text].

    `metadata.rules.letter_table` makes the tables `pages` and `bits`.
    """
    for text in range(len(foreign)):
        i = offsets[text]
        end = offsets[text + 1]
        seen = 0
        while i < end and seen & written[text] == 0:
            character, size = decode(data, i, end)
            seen |= bits[np.int64(pages[character >> 8]) << 8 | character & 255]
            i += size
        foreign[text] = seen != 0 and seen & written[text] == 0


@lean
def find_bits(offsets, data, pages, bits, out):
    """Set out[text] to the OR of the bits of all characters of the text, in tables as `find_foreign` reads them."""
    for text in range(len(out)):
        i = offsets[text]
        end = offsets[text + 1]
        seen = 0
        while i < end:
            character, size = decode(data, i, end)
            seen |= bits[np.int64(pages[character >> 8]) << 8 | character & 255]
            i += size
        out[text] = seen


@lean
def find_odd(offsets, data, odd):
    """Set odd[k] to whether cleaning may change text k, because it begins or ends with a space, or `is_odd_text`.

    Texts within SLACK bytes of the end of `data` always count as odd.
    """
    for text in range(len(odd)):
        i, end = offsets[text], offsets[text + 1]
        ends = i < end and (end + SLACK > len(data) or byte_at(data, i) == _SPACE or byte_at(data, end - 1) == _SPACE)
        odd[text] = ends or is_odd_text(data, i, end)


@inline
def is_odd_text(data, i, end):
    """Return whether a text may hold white space other than spaces, or a character reference."""
    odd = 0
    while i < end and odd == 0:
        odd = (odd_space(data, i) | references(data, i)) & lowest(min(end - i, 64))
        i += WINDOW
    return odd != 0


@inline
def is_odd_link(data, i, end):
    """Return whether a link may hold white space other than spaces."""
    odd = 0
    while i < end and odd == 0:
        odd = odd_space(data, i) & lowest(min(end - i, 64))
        i += WINDOW
    return odd != 0


@lean
def find_web(offsets, data, web):
    """Set web[k] to whether string k begins with `http://` or `https://`, in any case, and a host."""
    for row in range(len(web)):
        i, end = offsets[row], offsets[row + 1]
        web[row] = end - i > 7 and load_word(data, i) & 0xFFFFFFFF | 0x20202020 == HTTP
        if web[row]:
            i += 4 + (byte_at(data, i + 4) | 32 == ord("s"))
            slashes = i + 3 < end and byte_at(data, i) == _COLON
            slashes = slashes and byte_at(data, i + 1) == _SLASH and byte_at(data, i + 2) == _SLASH
            web[row] = slashes and byte_at(data, i + 3) not in (_SLASH, ord("?"), ord("#"))
