"""Read the URL of each page if it is plain, and find the headers and metas of a page that may hold usage signals.

`Links` in `curation.inputs.crawl.links` defines plain URLs: the prefixes of relative links can be cut from them.
Signals are recognised by their first bytes and read by `curation.inputs.crawl.wat_by_parser`.
"""

import numpy as np

from curation.kernels.cleaning import HTTP
from curation.kernels.wat.compact import after_strings
from curation.kernels.wat.names import BASE, HEADERS, IMAGE_LINKS, METAS, PAGE, READ
from curation.kernels.wat.texts import PREFIXED, unescape
from curation.kernels.wat.tokens import QUOTE, after_space
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word, lowest, trailing_zeros, without_lowest
from runtime.kernels.masks import WINDOW, places_of_letters, places_of_two

_SLASH, _DOT, _COLON, _QUESTION, _HASH, _SEMICOLON, _DASH, _COMMA = (ord(character) for character in "/.:?#;-,")
_LESS, _GREATER, _OPEN, _CLOSE, _SPACE, _DELETE = (ord(character) for character in "<>{} \x7f")
_NOAI, _NOIM, _NOIN, _NOML, _NONE, _TDM = (
    int.from_bytes(word, "little") for word in (b"noai", b"noim", b"noin", b"noml", b"none", b"tdm-")
)
_ESCAPE = int.from_bytes(b"\\u00", "little")
_SMALL = 0x20202020  # makes letters small
_4_BYTES = (1 << 32) - 1


@lean
def read_pages(data, pages, modes, urls, url_ends, prefixes):
    """Append to `urls` the URL of each page with images that is plain and has no base, an empty string for any other.

    Such a page's mode becomes PREFIXED, and where its directory, its root and its scheme begin and end in `urls` is
    written to its row of `prefixes`. `urls` has room for the bytes of all, and SLACK.
    """
    at = np.int64(0)
    url_ends[0] = 0
    for record in range(len(pages)):
        if pages[record, READ] and pages[record, IMAGE_LINKS] and pages[record, BASE] == pages[record, BASE + 1]:
            end = unescape(data, np.int64(pages[record, PAGE]), np.int64(pages[record, PAGE + 1]), urls, at)
            while end > at and is_bracket(byte_at(urls, end - 1)):
                end -= 1
            directory, root, scheme = parts_of(urls, at, end)
            if directory > 0:
                modes[record] = PREFIXED
                for k, stop in enumerate((directory, root, scheme)):
                    prefixes[record, 2 * k], prefixes[record, 2 * k + 1] = at, stop
                at = end
        url_ends[record + 1] = at


@inline
def is_bracket(byte):
    """Return whether the byte is one of those that old files put around a URL."""
    return byte == _LESS or byte == _GREATER


@inline
def parts_of(url, begin, end):
    """Return where the directory, the root and the scheme of a plain URL end; zeros if it is not plain."""
    scheme = begin + 4 if end - begin > 8 and load_word(url, begin) & 0xFFFFFFFF == HTTP else begin
    scheme += scheme > begin and byte_at(url, scheme) == ord("s")
    plain = scheme > begin and load_word(url, scheme) & 0xFFFFFF == _COLON | _SLASH << 8 | _SLASH << 16
    root = scheme + 3
    while plain and root < end and is_of_host(byte_at(url, root)):
        root += 1
    plain = plain and root > scheme + 3 and root < end and byte_at(url, root) == _SLASH
    i = directory = root + 1
    while plain and i < end and is_of_path(byte_at(url, i)):
        i += 1
        if i < end and byte_at(url, i) == _SLASH:
            plain = byte_at(url, directory) != _DOT
            i += 1
            directory = i
    if plain and i < end:
        plain = byte_at(url, i) == _QUESTION
        i += 1
    while plain and i < end:
        plain = is_of_query(byte_at(url, i))
        i += 1
    return (directory, root, scheme + 1) if plain else (0, 0, 0)


@inline
def is_of_host(byte):
    """Return whether the byte is a letter, a digit, a dot or a dash."""
    return ord("a") <= byte | 32 <= ord("z") or ord("0") <= byte <= ord("9") or byte == _DOT or byte == _DASH


@inline
def is_of_path(byte):
    """Return whether the byte may be in a name of a plain path."""
    odd = byte == _SLASH or byte == _QUESTION or byte == _HASH or byte == _SEMICOLON
    return _SPACE < byte < _DELETE and not odd


@inline
def is_of_query(byte):
    """Return whether the byte may be in the query of a plain URL."""
    return _SPACE < byte < _DELETE and byte != QUOTE and byte != _HASH


@inline
def mark_signals(data, stops, page):
    """Leave of the headers and metas of a page those that may hold signals."""
    if not may_signal(data, np.int64(page[HEADERS]), np.int64(page[HEADERS + 1])):
        page[HEADERS] = -1
    page[METAS], page[METAS + 1] = find_metas(data, np.int64(page[METAS]), np.int64(page[METAS + 1]), stops)


@lean
def may_signal(data, begin, end):
    """Return whether data[begin:end] may hold a signal: the beginning of one, or an escape, which may be any letter."""
    for i in range(begin, end, WINDOW):
        places = places_of_letters(data, i, _NOAI) | places_of_letters(data, i, _TDM) | places_of_two(data, i, _ESCAPE)
        places &= lowest(min(end - i, 64))
        while places != 0:
            word = load_word(data, i + trailing_zeros(places)) & _4_BYTES
            small = word | _SMALL
            is_index = small == _NOIM or small == _NOIN or small == _NONE
            if word == _ESCAPE or small == _NOAI or small == _NOML or is_index or small == _TDM:
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
