"""Find where JSON tokens end, read links of the usual form, and skip members that are not needed, in a WAT file.

A *stop* is a byte at which a string may end, or which the functions for single tokens must look at. These functions
return -1 if a token is unusual. A usual link has only string members, the path first, no space between tokens, and no
escapes except of slashes. So four stops show where each name and its value are. String members and complete objects in
lists, which are most of a WAT file, are skipped. Any other JSON is left to `wat_images`, which looks at each token.
"""

import numpy as np

from curation.kernels.markup import is_license
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word, lowest, ones, trailing_zeros, without_lowest
from runtime.kernels.masks import WINDOW, license_mask, string_stops

# `pages` has these columns. A span is two columns: where it begins, without the quotes, and where it ends; its begin is
# -1 if it is missing. The spans of headers (an object) and of metas (members of a list) are kept only if they may hold
# signals. LICENCE is an index before which no licence is stated; -1 if no licence is stated at all.
READ, PAGE, BASE, HEADERS, METAS, IMAGE_LINKS, NO_TEXT, LICENCE, PAGE_COLUMNS = 0, 1, 3, 5, 7, 9, 10, 11, 12

# The columns of `images` are the record, the spans of url, alt, title and data-image-title, and the index after the
# object. An absent url is empty.
RECORD, URL, TEXTS, END, IMAGE_COLUMNS = 0, 1, 3, 9, 10

# A value's meaning depends on its name and on the object that it is in. Arrays come first, then objects, then strings.
OTHER_LIST, META_LIST, LINKS, OTHER, LINK, ROOT, ENVELOPE, PAYLOAD, RESPONSE, FIELDS, HTML, HEAD, HEADER = range(13)
PATH, BASE_HREF, TARGET, LINK_URL, ALT, TITLE, DATA_TITLE = range(13, 20)
_NAMES = {
    ROOT: {"Envelope": ENVELOPE},
    ENVELOPE: {"Payload-Metadata": PAYLOAD, "WARC-Header-Metadata": HEADER},
    PAYLOAD: {"HTTP-Response-Metadata": RESPONSE},
    RESPONSE: {"Headers": FIELDS, "HTML-Metadata": HTML},
    HTML: {"Head": HEAD, "Links": LINKS},
    HEADER: {"WARC-Target-URI": TARGET},
    HEAD: {"Base": BASE_HREF, "Metas": META_LIST},
    LINK: {"path": PATH, "url": LINK_URL, "alt": ALT, "title": TITLE, "data-image-title": DATA_TITLE},
}
_MAX_NAME_BYTES = 24  # No name that is looked for has more bytes.

# Bit k of `seen` says that a member with the meaning k was read. One more bit says that the link is an <img>.
IS_IMAGE = 1 << DATA_TITLE + 1
OF_LINK = sum(1 << of for of in _NAMES[LINK].values()) | IS_IMAGE
TEXT_BITS = 1 << ALT | 1 << TITLE | 1 << DATA_TITLE
NEEDED = 1 << LINKS | 1 << TARGET

# A well-formed string is ANY. A COMPLETE string has no lone surrogates. A PLAIN string has only escapes of slashes.
ANY, COMPLETE, PLAIN = 0, 1, 2
QUOTE = ord('"')
_STOPS_AHEAD = 8  # From any stop on, this many stops are looked at.
_STOPS_AT_ONCE = 8  # This many stops of a window are written without a branch.
_MAX_DIGITS = 18  # A number with more digits is left to the slow path.

_BACKSLASH, _LETTER_U, _MINUS, _ZERO = (ord(character) for character in "\\u-0")
_SPACES = sum(1 << ord(character) for character in " \t\n\r")
_ESCAPES = sum(1 << ord(character) - 64 for character in "\\bfnrt")
_TRUE, _NULL, _ALSE = (int.from_bytes(word, "little") for word in (b"true", b"null", b"alse"))

_COMMA, _OPEN, _CLOSE = (ord(character) for character in ",{}")
_IMAGE, _ESCAPED_IMAGE = (int.from_bytes(path, "little") for path in (b"IMG@/src", b"IMG@\\/sr"))
_BEGINS_LINK, _NEXT_LINK, _PATH_FOLLOWS = (int.from_bytes(w, "little") for w in (b'{"path":', b'"},{"pat', b'"path":"'))
_NEXT_MEMBER, _STRING_FOLLOWS = (int.from_bytes(word, "little") for word in (b'","', b'":"'))
_PATH_NAME, _WHOLE_PATH_NAME = (int.from_bytes(word, "little") for word in (b'path"', b'"path"'))
_3_BYTES = (1 << 24) - 1
_5_BYTES = (1 << 40) - 1
_6_BYTES = (1 << 48) - 1


def _words(name):
    return [int.from_bytes(name.encode()[k : k + 8], "little") for k in (0, 8, 16)]


# A row of _TABLE has the size of a name, its bytes as three integers, and its meaning. The names of the object `role`
# are the rows _FIRST[role]:_FIRST[role + 1].
_rows: list[list[int]] = []
_first: list[int] = []
for _role in range(HEADER + 1):
    _first.append(len(_rows))
    for _name, _of in _NAMES.get(_role, {}).items():
        _rows.append([len(_name), *_words(_name), _of])
_TABLE = np.array(_rows)
_FIRST = np.array([*_first, len(_rows)])


@inline
def meaning(data, begin, end, role):
    """Return the meaning of the value with the name data[begin:end] in an object of the meaning `role`."""
    size = end - begin
    of = OTHER
    if size <= _MAX_NAME_BYTES:
        first = load_word(data, begin) & lowest(min(8 * size, 64))
        for k in range(_FIRST[role], _FIRST[role + 1]):
            if _TABLE[k, 0] == size and _TABLE[k, 1] == first:
                second = load_word(data, begin + 8) & lowest(max(0, min(8 * size - 64, 64)))
                third = load_word(data, begin + 16) & lowest(max(0, min(8 * size - 128, 64)))
                if _TABLE[k, 2] == second and _TABLE[k, 3] == third:
                    of = _TABLE[k, 4]
    return of


@inline
def after_space(data, i):
    """Return the index of the first byte from data[i] on that is not white space; -1 if i is -1."""
    while i >= 0 and byte_at(data, i) <= 32 and _SPACES >> byte_at(data, i) & 1:
        i += 1
    return i


@lean
def find_stops(data, begin, end, stops):
    """Write the indices of all stops in data[begin:end] to `stops`, ascending; return the first index of `license`.

    `data` has a control byte at `end`, which is the last stop. _STOPS_AHEAD more indices follow, so that no reader runs
    out of them. `stops` needs room for all, and SLACK. Finding all stops at once takes half the time of searching from
    each quote on. `license` (or `licdomai`) is looked for here because its bytes are loaded anyway; without one, `end`
    is returned.
    """
    count = 0
    first = end
    for i in range(begin, end + 1, WINDOW):
        bits = string_stops(data, i)
        hits = license_mask(data, i)
        while hits != 0 and first == end:
            word = i + trailing_zeros(hits)
            first = word if word < end and is_license(data, word) else end
            hits = without_lowest(hits)
        more = ones(bits)
        # A window mostly has fewer stops; the next window overwrites the surplus indices.
        for k in range(_STOPS_AT_ONCE):
            stops[count + k] = i + trailing_zeros(bits)
            bits = without_lowest(bits)
        for k in range(_STOPS_AT_ONCE, more):
            stops[count + k] = i + trailing_zeros(bits)
            bits = without_lowest(bits)
        count += more
    stops[count : count + _STOPS_AHEAD] = end + WINDOW
    return first


@lean
def string_end(data, i, kind, stops, at):
    """Return the index in `stops` of the quote that ends the string from data[i] on; -1 if the string is not of `kind`.

    `kind` is ANY, COMPLETE or PLAIN. All of stops[:at] are before data[i].
    """
    while True:
        while stops[at] < i:
            at += 1
        byte = byte_at(data, stops[at])
        if byte != _BACKSLASH:
            return at if byte == QUOTE else -1
        size = escape_size(data, stops[at] + 1, kind)
        if size == 0 or kind == PLAIN:
            return -1
        i = stops[at] + 1 + size


@lean
def escape_size(data, i, kind):
    """Return the number of bytes of an escape, or a pair of surrogates, after its first backslash; 0 if not valid."""
    byte = byte_at(data, i)
    if byte == QUOTE or (byte >= 64 and byte < 128 and _ESCAPES >> (byte - 64) & 1):
        return 1
    code = hex_code(data, i)
    if code < 0:
        return 0
    if kind != COMPLETE or code & 0xF800 != 0xD800:
        return 5
    low = hex_code(data, i + 6) if byte_at(data, i + 5) == _BACKSLASH else -1
    return 11 if code < 0xDC00 and low & ~0x3FF == 0xDC00 else 0


@inline
def hex_code(data, i):
    """Return the number that `u` and four hexadecimal digits at data[i] spell; -1 if other bytes are at data[i]."""
    code = 0 if byte_at(data, i) == _LETTER_U else -1
    for k in range(1, 5):
        byte = byte_at(data, i + k)
        letter = (byte | 32) - ord("a")
        digit = byte - _ZERO if _ZERO <= byte <= _ZERO + 9 else letter + 10 if 0 <= letter < 6 else -1
        code = code << 4 | digit if code >= 0 and digit >= 0 else -1
    return code


@inline
def scalar_end(data, i):
    """Return the index after the short integer, true, false or null at data[i]; -1 if none is there."""
    word = load_word(data, i)
    end = -1
    if word & 0xFFFFFFFF == _TRUE or word & 0xFFFFFFFF == _NULL:
        end = i + 4
    elif word & 0xFF == ord("f") and word >> 8 & 0xFFFFFFFF == _ALSE:
        end = i + 5
    else:
        begin = i + (byte_at(data, i) == _MINUS)
        end = begin
        while end < begin + _MAX_DIGITS and _ZERO <= byte_at(data, end) <= _ZERO + 9:
            end += 1
        if end == begin or (byte_at(data, begin) == _ZERO and end > begin + 1):
            end = -1
    return end


@lean
def read_links(data, i, stops, at, record, page, images, count):
    """Read usual links from data[i] on, except the last link of the list.

    Return the index of the first link that is not read, the index in `stops` from which to continue, and the new
    `count` of images.
    """
    while stops[at] <= i:
        at += 1
    first = load_word(data, i) == _BEGINS_LINK and byte_at(data, i + 8) == QUOTE
    while first and byte_at(data, stops[at + 3]) == QUOTE:
        image = is_image(data, np.int64(stops[at + 2]) + 1, np.int64(stops[at + 3]))
        seen = 0
        if image:
            clear_image(record, images, count)
            last, seen = read_image(data, stops, at + 3, images[count])
        else:
            last = after_members(data, stops, at + 3)
        if load_word(data, stops[last]) != _NEXT_LINK or load_word(data, stops[last] + 4) != _PATH_FOLLOWS:
            break
        if image:
            images[count, END] = stops[last] + 2
            count += close_link(seen, page)
        at = last + 1
        i = np.int64(stops[at]) - 1
    return i, at, count


@inline
def after_members(data, stops, last):
    """Skip a link's plain members after stops[last]; return the index in `stops` of the last member's final quote."""
    while load_word(data, stops[last]) & _3_BYTES == _NEXT_MEMBER:
        is_path = load_word(data, stops[last + 1] + 1) & _5_BYTES == _PATH_NAME
        if is_path or not is_plain_member(data, stops, last):
            break
        last += 4
    return last


@inline
def read_image(data, stops, last, image):
    """Fill an image's row from its plain members.

    Return the index in `stops` of the last member's final quote, and the bits of the meanings seen.
    """
    seen = IS_IMAGE
    while load_word(data, stops[last]) & _3_BYTES == _NEXT_MEMBER:
        name_end = np.int64(stops[last + 2])
        of = meaning(data, np.int64(stops[last + 1]) + 1, name_end, LINK)
        if of == PATH or (of != OTHER and seen >> of & 1) or not is_plain_member(data, stops, last):
            break
        if of != OTHER:
            seen |= 1 << of
            column = URL + 2 * (of - LINK_URL)
            image[column] = name_end + 3
            image[column + 1] = stops[last + 4]
        last += 4
    return last, seen


@inline
def is_plain_member(data, stops, last):
    """Return whether the member that begins after stops[last] is a name and a string, both without escapes."""
    return load_word(data, stops[last + 2]) & _3_BYTES == _STRING_FOLLOWS and byte_at(data, stops[last + 4]) == QUOTE


@inline
def is_image(data, begin, end):
    """Return whether data[begin:end] is the path of an image, its slash escaped or not."""
    first = load_word(data, begin)
    size = end - begin
    escaped = size == 9 and first == _ESCAPED_IMAGE and byte_at(data, begin + 8) == ord("c")
    return escaped or (size == 8 and first == _IMAGE)


@inline
def clear_image(record, images, row):
    """Set row `row` of `images` to an image of the record `record` without any value."""
    images[row, RECORD] = record
    images[row, URL] = images[row, URL + 1] = 0
    for column in range(TEXTS, END):
        images[row, column] = -1


@inline
def close_link(seen, page):
    """Count a link in `page` if the bits `seen` say that it is an image; return 1 if the image has a text, else 0."""
    image = seen & IS_IMAGE != 0
    said = seen & TEXT_BITS != 0
    page[IMAGE_LINKS] += image
    page[NO_TEXT] += image and not said
    return np.int64(image and said)


@lean
def after_objects(data, i, stops, at):
    """Skip the next objects of a list that hold only strings.

    Return the index after them, and the index of a stop before that. The last object of a list, and objects that may
    be invalid, are not skipped.
    """
    while byte_at(data, i) == _OPEN and byte_at(data, i + 1) == QUOTE:
        behind, last = after_strings(data, i, stops, at, True)
        if behind < 0 or byte_at(data, behind) != _CLOSE or byte_at(data, behind + 1) != _COMMA:
            break
        i = after_space(data, behind + 2)
        at = last
    return i, at


@lean
def after_strings(data, i, stops, at, fresh):
    """Skip an object's next members that are strings, up to one named `path`.

    Return the index after them, and the index of a stop before that. A comma is before each member. With `fresh`, the
    object's brace is before the first member, which may be named `path`.
    """
    while i >= 0 and (fresh or byte_at(data, i) == _COMMA) and byte_at(data, i + 1) == QUOTE:
        while stops[at] <= i:
            at += 1
        name_end = np.int64(stops[at + 1])
        last = at + 3
        is_path = load_word(data, i + 1) & _6_BYTES == _WHOLE_PATH_NAME and not fresh
        if is_path or load_word(data, name_end) & _3_BYTES != _STRING_FOLLOWS:
            break
        if byte_at(data, stops[last]) != QUOTE:
            last = string_end(data, name_end + 3, ANY, stops, last)
            if last < 0:
                break
        i = np.int64(stops[last]) + 1
        at = last
        fresh = False
    return after_space(data, i), at
