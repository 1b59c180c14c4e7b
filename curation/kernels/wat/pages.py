"""Read the URLs of plain pages, and from each what its relative links begin with.

`Links` in `curation.inputs.crawl.links` says which URLs are plain.
"""

import numpy as np

from curation.kernels.cleaning import HTTP
from curation.kernels.wat.names import BASE, IMAGE_LINKS, PAGE, READ
from curation.kernels.wat.texts import PREFIXED, unescape
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word

_SLASH, _DOT, _COLON, _QUESTION, _HASH, _SEMICOLON, _DASH = (ord(character) for character in "/.:?#;-")
_OPEN, _CLOSE, _QUOTE, _SPACE, _DELETE = (ord(character) for character in '<>" \x7f')


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
    return byte == _OPEN or byte == _CLOSE


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
    return _SPACE < byte < _DELETE and byte != _QUOTE and byte != _HASH
