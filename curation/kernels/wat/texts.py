"""Write rows of URL and text from the spans that `links` found: undo escapes, resolve plain links, trim texts.

Links and texts that need more work are marked for the caller.
"""

import numpy as np

from curation.kernels.cleaning import HTTP, is_odd_link, is_odd_text
from curation.kernels.wat.names import RECORD, TEXTS, URL
from curation.kernels.wat.tokens import hex_code
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word, lowest, trailing_zeros
from runtime.kernels.masks import WINDOW, backslashes, copy_window

# Modes of a page: its images are left out; each of its links needs a look; the prefixes of its links are known.
LEFT_OUT, LOOKED_AT, PREFIXED = 0, 1, 2
PREFIXES = 6  # columns of `bounds`: where the prefixes begin and end that links of a page may have

# Columns of `rows`: the record, the kind of text, whether the caller has to resolve the link and to clean the text.
ROW_RECORD, ROW_KIND, ROW_ODD_LINK, ROW_ODD_TEXT, ROW_COLUMNS = 0, 1, 2, 3, 4

# Reasons that are counted.
EMPTY_TEXTS, EMPTY_URLS, OTHER_SCHEMES, REASONS = 0, 1, 2, 3

# Ways from a link to a URL: behind one of the page's three prefixes, as it is, by the slow path; or why there is none.
_DIRECTORY, _ROOT, _SCHEME, _AS_IS, _BY_LOOKING, _EMPTY, _NO_WEB = range(7)

_SPACE, _BACKSLASH, _SLASH, _COLON, _DOT, _QUERY = (ord(character) for character in " \\/:.?")


@lean
def write_rows(data, images, pages, link, url_strings, text_strings, rows, counts):
    """Append a row for each text of `images`; return the number of rows.

    `pages` is modes, prefixes and bounds: prefixes[bounds[k, 2 * j]:bounds[k, 2 * j + 1]] is what the links of record k
    begin with that are relative to its directory, its root and its scheme. Both strings are bytes and the ends of each.
    All outputs, and `link` for one link, have room for all, and SLACK.
    """
    modes, prefixes, bounds = pages
    urls, url_ends = url_strings
    texts, text_ends = text_strings
    count, used, written = 0, 0, np.int64(0)
    url_ends[0] = text_ends[0] = 0
    for image in range(len(images)):
        record = images[image, RECORD]
        if modes[record] == LEFT_OUT:
            continue
        size = unescape(data, np.int64(images[image, URL]), np.int64(images[image, URL + 1]), link, np.int64(0))
        way = way_of(link, size) if modes[record] == PREFIXED or size == 0 else _BY_LOOKING
        for kind in range(3):
            begin, end = np.int64(images[image, TEXTS + 2 * kind]), np.int64(images[image, TEXTS + 2 * kind + 1])
            if begin < 0:
                continue
            end = write_text(data, begin, end, texts, written)
            if end == written:
                counts[EMPTY_TEXTS] += 1
                continue
            odd = is_odd_text(texts, written, end)
            if way >= _EMPTY and not odd:  # an odd text may be empty when it is clean
                counts[EMPTY_URLS if way == _EMPTY else OTHER_SCHEMES] += 1
                continue
            used = write_url(prefixes, bounds, record, way, link, size, urls, used)
            written = end
            rows[count, ROW_RECORD], rows[count, ROW_KIND] = record, kind
            rows[count, ROW_ODD_LINK], rows[count, ROW_ODD_TEXT] = way >= _BY_LOOKING, odd
            count += 1
            url_ends[count], text_ends[count] = used, written
    return count


@lean
def unescape(data, begin, end, out, at):
    """Write the string data[begin:end] to out[at:] without its escapes; return where it ends there."""
    i = begin
    while i < end:
        copy_window(data, i, out, at)
        stops = backslashes(data, i) & lowest(min(end - i, 64))
        if stops == 0:
            size = min(end - i, WINDOW)
            i += size
            at += size
            continue
        size = trailing_zeros(stops)
        i += size + 1
        at += size
        byte = byte_at(data, i)
        if byte == ord("u"):
            i, at = write_code(data, i, out, at)
        else:
            out[at] = short_escape(byte)
            i += 1
            at += 1
    return at


@inline
def short_escape(byte):
    """Return the byte that an escape of one character means."""
    if byte >= ord("b"):
        byte = 10 if byte == ord("n") else 13 if byte == ord("r") else 9 if byte == ord("t") else byte
        byte = 8 if byte == ord("b") else 12 if byte == ord("f") else byte
    return byte


@lean
def write_code(data, i, out, at):
    """Write the character of an escape at data[i], a `u`, as UTF-8; return the places behind both. Surrogates pair."""
    code = hex_code(data, i)
    i += 5
    if code & 0xF800 == 0xD800:
        code = 0x10000 + ((code & 0x3FF) << 10 | hex_code(data, i + 1) & 0x3FF)
        i += 6
    more = (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)  # bytes after the first
    lead = 0 if more == 0 else 0xFF00 >> more + 1 & 0xFF
    out[at] = lead | code >> 6 * more
    for k in range(more):
        out[at + 1 + k] = 0x80 | code >> 6 * (more - 1 - k) & 0x3F
    return i, at + 1 + more


@inline
def write_text(data, begin, end, texts, at):
    """Write a text without escapes, and without spaces at its ends; return where it ends."""
    while begin < end and byte_at(data, begin) == _SPACE:
        begin += 1
    end = unescape(data, begin, end, texts, at)
    while end > at and byte_at(texts, end - 1) == _SPACE:
        end -= 1
    return end


@inline
def write_url(prefixes, bounds, record, way, link, size, urls, at):
    """Append a link, behind its prefix if it has one; return where it ends."""
    if way < _AS_IS:
        begin, end = bounds[record, 2 * way], bounds[record, 2 * way + 1]
        copy(prefixes, begin, end, urls, at)
        at += end - begin
    copy(link, 0, size, urls, at)
    return at + size


@inline
def copy(data, begin, end, out, at):
    """Set out[at:at + end - begin] to data[begin:end]."""
    for k in range(0, end - begin, WINDOW):
        copy_window(data, begin + k, out, at + k)


@lean
def way_of(link, size):
    """Return how a link becomes a URL: where it is plain as `Links.resolve` says, and else _BY_LOOKING."""
    if size == 0:
        return _EMPTY
    scheme, colon = scheme_of(link, size)
    if scheme == 0:
        return way_of_relative(link, size)
    if scheme == 1:
        return _NO_WEB
    if is_odd_link(link, 0, size) or byte_at(link, size - 1) == _SPACE:
        return _BY_LOOKING
    slashes = colon + 3 < size and byte_at(link, colon + 1) == _SLASH and byte_at(link, colon + 2) == _SLASH
    return _AS_IS if slashes and is_plain_host(link, colon + 3, size) else _BY_LOOKING


@inline
def scheme_of(link, size):
    """Return whether a link has no scheme (0), one that is not of the web (1), or http or https (2), and its colon."""
    i, scheme = 0, 0
    while i < size and is_of_scheme(byte_at(link, i), i):
        i += 1
    if 0 < i < size and byte_at(link, i) == _COLON:
        web = load_word(link, 0) & 0xFFFFFFFF | 0x20202020 == HTTP
        scheme = 2 if web and (i == 4 or (i == 5 and byte_at(link, 4) | 32 == ord("s"))) else 1
    return scheme, i


@inline
def is_of_scheme(byte, i):
    """Return whether a scheme may have the byte at its place i."""
    letter = ord("a") <= byte | 32 <= ord("z")
    return letter or (i > 0 and (ord("0") <= byte <= ord("9") or byte == ord("+") or byte == ord("-") or byte == _DOT))


@inline
def is_plain_host(link, i, size):
    """Return whether a host that surely can be begins at link[i]: ASCII, and not in brackets."""
    begin, byte = i, byte_at(link, i)
    while i < size and byte < 128 and byte not in (_SLASH, _QUERY, ord("#"), ord("["), ord("]")):
        i += 1
        byte = byte_at(link, i)
    return i > begin and (i == size or byte == _SLASH or byte == _QUERY or byte == ord("#"))


@lean
def way_of_relative(link, size):
    """Return the prefix of a link without scheme, or _BY_LOOKING where joining may alter more, as in `Links`."""
    first, last = byte_at(link, 0), byte_at(link, size - 1)
    odd = first == _QUERY or first == _SPACE or last == _QUERY or last == _DOT or last == _SPACE
    slash, colon, high = first == _SLASH, False, False
    for i in range(size):
        byte = byte_at(link, i)
        after = byte_at(link, i + 1) if i + 1 < size else 0
        odd |= byte < _SPACE or byte == ord(";") or byte == ord("#")
        odd |= byte == _DOT and (after == _SLASH or after == _QUERY)
        odd |= i > 0 and byte == _SLASH and after == _SLASH
        colon |= byte == _COLON
        high |= byte >= 128 or byte == ord("[") or byte == ord("]")
    if odd:
        return _BY_LOOKING
    if not slash:
        return _BY_LOOKING if colon else _DIRECTORY
    if size == 1 or byte_at(link, 1) != _SLASH:
        return _ROOT
    third = byte_at(link, 2) if size > 2 else _SLASH
    return _SCHEME if not high and third != _SLASH and third != _QUERY else _BY_LOOKING
