"""Read the URL of each page, find its headers and metas that may hold usage signals, and write rows of URL and text.

Rows are made of the spans that `wat_images` found: escapes are decoded, plain links are resolved, and texts are
trimmed. Links and texts that need more work are marked for the caller. `Links` in
`curation.inputs.crawl.page_candidates` defines plain URLs: the first part of such a URL is the prefix of relative
links. Signals are recognised by their first bytes; `curation.inputs.crawl.wat` reads them.
"""

import numpy as np

from curation.kernels.texts import HTTP, is_odd_link, is_odd_text
from curation.kernels.wat.tokens import (
    BASE,
    HEADERS,
    IMAGE_LINKS,
    METAS,
    PAGE,
    QUOTE,
    READ,
    RECORD,
    TEXTS,
    URL,
    after_space,
    after_strings,
    hex_code,
)
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word, lowest, trailing_zeros, without_lowest
from runtime.kernels.masks import WINDOW, backslashes, copy_window, mask_of_letters, mask_of_pair

# A page has one of three modes: its images are left out, the caller resolves its links, or the prefixes of its links
# are known.
LEFT_OUT, LOOKED_AT, PREFIXED = 0, 1, 2
PREFIXES = 6  # `bounds` has this many columns: where a page's three prefixes begin and end.

# The columns of `rows` are the record, the kind of text, whether the caller has to resolve the link and to clean the
# text, and the row of the image.
ROW_RECORD, ROW_KIND, ROW_ODD_LINK, ROW_ODD_TEXT, ROW_IMAGE, ROW_COLUMNS = 0, 1, 2, 3, 4, 5

# Texts without a row are counted under these reasons.
EMPTY_TEXTS, EMPTY_URLS, OTHER_SCHEMES, REASONS = 0, 1, 2, 3

# A link becomes a URL after one of the page's three prefixes, as it is, or by the slow path; the last two are reasons
# why it has no URL.
_DIRECTORY, _ROOT, _SCHEME, _AS_IS, _BY_LOOKING, _EMPTY, _NO_WEB = range(7)

_SLASH, _DOT, _COLON, _QUESTION, _HASH, _SEMICOLON, _DASH, _COMMA = (ord(character) for character in "/.:?#;-,")
_LESS, _GREATER, _OPEN, _CLOSE, _SPACE, _DELETE = (ord(character) for character in "<>{} \x7f")
_NOAI, _NOIM, _NOIN, _NOML, _NONE, _TDM, _USAG = (
    int.from_bytes(word, "little") for word in (b"noai", b"noim", b"noin", b"noml", b"none", b"tdm-", b"usag")
)
_ESCAPE = int.from_bytes(b"\\u00", "little")
_LOWER_BITS = 0x20202020  # These bits make four letters lower-case.
_4_BYTES = (1 << 32) - 1


@lean
def append_rows(data, images, pages, link, url_strings, text_strings, rows, counts):
    """Append a URL, a text and a row of `rows` for each text of `images`; return the number of rows.

    `pages` is modes, prefixes and bounds: prefixes[bounds[k, 2 * j]:bounds[k, 2 * j + 1]] is the text before links of
    record k that are relative to its directory (j = 0), root (1) or scheme (2). `url_strings` and `text_strings` are
    pairs of arrays: the bytes of all strings, and their ends. All outputs have room for all rows; `link`, scratch
    memory, has room for any link, and SLACK.
    """
    modes, prefixes, bounds = pages
    urls, url_ends = url_strings
    texts, text_ends = text_strings
    count = 0
    used = 0
    written = np.int64(0)
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
            end = append_text(data, begin, end, texts, written)
            if end == written:
                counts[EMPTY_TEXTS] += 1
                continue
            odd = is_odd_text(texts, written, end)
            if way >= _EMPTY and not odd:  # An odd text may turn out to be empty once it is clean.
                counts[EMPTY_URLS if way == _EMPTY else OTHER_SCHEMES] += 1
                continue
            used = write_url(prefixes, bounds, record, way, link, size, urls, used)
            written = end
            rows[count, ROW_RECORD] = record
            rows[count, ROW_KIND] = kind
            rows[count, ROW_ODD_LINK] = way >= _BY_LOOKING
            rows[count, ROW_ODD_TEXT] = odd
            rows[count, ROW_IMAGE] = image
            count += 1
            url_ends[count] = used
            text_ends[count] = written
    return count


@lean
def unescape(data, begin, end, out, at):
    """Write the JSON string data[begin:end], with its escapes decoded, to out[at:]; return where it ends in `out`."""
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
    """Return the byte that an escape of one character, `byte`, means."""
    if byte >= ord("b"):
        byte = 10 if byte == ord("n") else 13 if byte == ord("r") else 9 if byte == ord("t") else byte
        byte = 8 if byte == ord("b") else 12 if byte == ord("f") else byte
    return byte


@lean
def write_code(data, i, out, at):
    """Write to out[at:] the character whose escape, or pair of escapes, has its `u` at data[i].

    Return the indices after it in `data` and in `out`.
    """
    code = hex_code(data, i)
    i += 5
    if code & 0xF800 == 0xD800:
        code = 0x10000 + ((code & 0x3FF) << 10 | hex_code(data, i + 1) & 0x3FF)
        i += 6
    more = (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)  # This many bytes follow the first.
    lead = 0 if more == 0 else 0xFF00 >> more + 1 & 0xFF
    out[at] = lead | code >> 6 * more
    for k in range(more):
        out[at + 1 + k] = 0x80 | code >> 6 * (more - 1 - k) & 0x3F
    return i, at + 1 + more


@inline
def append_text(data, begin, end, texts, at):
    """Write a text to texts[at:], decoded, and without spaces at its ends; return where it ends in `texts`."""
    while begin < end and byte_at(data, begin) == _SPACE:
        begin += 1
    end = unescape(data, begin, end, texts, at)
    while end > at and byte_at(texts, end - 1) == _SPACE:
        end -= 1
    return end


@inline
def write_url(prefixes, bounds, record, way, link, size, urls, at):
    """Write a link to urls[at:], after the page's prefix if `way` names one; return the link's end in `urls`."""
    if way < _AS_IS:
        begin, end = bounds[record, 2 * way], bounds[record, 2 * way + 1]
        copy_bytes(prefixes, begin, end, urls, at)
        at += end - begin
    copy_bytes(link, 0, size, urls, at)
    return at + size


@inline
def copy_bytes(data, begin, end, out, at):
    """Set out[at:at + end - begin] to data[begin:end]."""
    for k in range(0, end - begin, WINDOW):
        copy_window(data, begin + k, out, at + k)


@lean
def way_of(link, size):
    """Return the way from a link to its URL by the rules of `Links.resolve`; _BY_LOOKING if the link is not plain."""
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
    """Return the scheme's kind (0 without one, 2 for http and https, 1 for others), and the index of its colon."""
    i = 0
    scheme = 0
    while i < size and is_of_scheme(byte_at(link, i), i):
        i += 1
    if 0 < i < size and byte_at(link, i) == _COLON:
        web = load_word(link, 0) & 0xFFFFFFFF | 0x20202020 == HTTP
        scheme = 2 if web and (i == 4 or (i == 5 and byte_at(link, 4) | 32 == ord("s"))) else 1
    return scheme, i


@inline
def is_of_scheme(byte, i):
    """Return whether a scheme may have `byte` as its character number i, from 0."""
    letter = ord("a") <= byte | 32 <= ord("z")
    return letter or (i > 0 and (ord("0") <= byte <= ord("9") or byte == ord("+") or byte == ord("-") or byte == _DOT))


@inline
def is_plain_host(link, i, size):
    """Return whether a host begins at link[i] that is surely valid: ASCII, and not in brackets."""
    begin = i
    byte = byte_at(link, i)
    while i < size and byte < 128 and byte not in (_SLASH, _QUESTION, ord("#"), ord("["), ord("]")):
        i += 1
        byte = byte_at(link, i)
    return i > begin and (i == size or byte == _SLASH or byte == _QUESTION or byte == ord("#"))


@lean
def way_of_relative(link, size):
    """Return the way of a link without scheme: the prefix, or _BY_LOOKING if `Links` might alter the joined URL."""
    first, last = byte_at(link, 0), byte_at(link, size - 1)
    odd = first == _QUESTION or first == _SPACE or last == _QUESTION or last == _DOT or last == _SPACE
    slash = first == _SLASH
    colon = False
    high = False
    for i in range(size):
        byte = byte_at(link, i)
        after = byte_at(link, i + 1) if i + 1 < size else 0
        odd |= byte < _SPACE or byte == ord(";") or byte == ord("#")
        odd |= byte == _DOT and (after == _SLASH or after == _QUESTION)
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
    return _SCHEME if not high and third != _SLASH and third != _QUESTION else _BY_LOOKING


@lean
def read_pages(data, pages, modes, urls, url_ends, prefixes):
    """Append to `urls` the URL of each page that has images, no base and a plain URL; an empty string for other pages.

    The mode of such a page becomes PREFIXED, and its row of `prefixes` gets begin and end, in `urls`, of its directory,
    its root and its scheme. `urls` has room for the bytes of all URLs, and SLACK.
    """
    at = np.int64(0)
    url_ends[0] = 0
    for record in range(len(pages)):
        if pages[record, READ] and pages[record, IMAGE_LINKS] and pages[record, BASE] == pages[record, BASE + 1]:
            end = unescape(data, np.int64(pages[record, PAGE]), np.int64(pages[record, PAGE + 1]), urls, at)
            while end > at and is_bracket(byte_at(urls, end - 1)):
                end -= 1
            directory, root, scheme = prefix_ends(urls, at, end)
            if directory > 0:
                modes[record] = PREFIXED
                for k, stop in enumerate((directory, root, scheme)):
                    prefixes[record, 2 * k] = at
                    prefixes[record, 2 * k + 1] = stop
                at = end
        url_ends[record + 1] = at


@inline
def is_bracket(byte):
    """Return whether the byte is < or >; old files have these around a URL."""
    return byte == _LESS or byte == _GREATER


@inline
def prefix_ends(url, begin, end):
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
    """Return whether the byte may be in the name of a folder or a file in a plain URL."""
    odd = byte == _SLASH or byte == _QUESTION or byte == _HASH or byte == _SEMICOLON
    return _SPACE < byte < _DELETE and not odd


@inline
def is_of_query(byte):
    """Return whether the byte may be in the query of a plain URL."""
    return _SPACE < byte < _DELETE and byte != QUOTE and byte != _HASH


@inline
def mark_signals(data, stops, page):
    """Set the spans of a page's headers and metas to the parts that may hold signals, or to -1."""
    if not may_signal(data, np.int64(page[HEADERS]), np.int64(page[HEADERS + 1])):
        page[HEADERS] = -1
    page[METAS], page[METAS + 1] = find_metas(data, np.int64(page[METAS]), np.int64(page[METAS + 1]), stops)


@lean
def may_signal(data, begin, end):
    """Return whether data[begin:end] may hold a usage signal: the first letters of one, or an escape of any letter."""
    for i in range(begin, end, WINDOW):
        hits = mask_of_letters(data, i, _NOAI) | mask_of_letters(data, i, _TDM)
        hits |= mask_of_letters(data, i, _USAG) | mask_of_pair(data, i, _ESCAPE)
        hits &= lowest(min(end - i, 64))
        while hits != 0:
            word = load_word(data, i + trailing_zeros(hits)) & _4_BYTES
            lower = word | _LOWER_BITS
            is_index = lower == _NOIM or lower == _NOIN or lower == _NONE
            if word == _ESCAPE or lower == _NOAI or lower == _NOML or is_index or lower == _TDM or lower == _USAG:
                return True
            hits = without_lowest(hits)
    return False


@lean
def find_metas(data, begin, end, stops):
    """Return the span from the first to the last object in the list data[begin:end] that may hold a signal.

    The span is -1 twice if no object may hold one, and everything between the list's brackets if a member is not an
    object of only strings.
    """
    if not may_signal(data, begin, end):
        return np.int64(-1), np.int64(-1)
    i = np.int64(begin + 1)
    at = np.int64(0)
    first = np.int64(-1)
    last = np.int64(-1)
    while byte_at(data, i) == _OPEN and byte_at(data, i + 1) == QUOTE:
        behind, at = after_strings(data, i, stops, at, True)
        if behind < 0 or byte_at(data, behind) != _CLOSE:
            break
        if may_signal(data, i, behind):
            first = i if first < 0 else first
            last = behind + 1
        i = after_space(data, behind + 1)
        if byte_at(data, i) == _COMMA:
            i = after_space(data, i + 1)
    return (first, last) if i == end - 1 else (np.int64(begin + 1), np.int64(end - 1))
