"""Read links of the usual form, and skip JSON members that are not needed, in a WAT file whose stops are known.

A *stop* is a byte at which a string may end, or which `tokens` must look at. A usual link has only string
members, the path first, no space between tokens, and no escapes except of slashes: so four stops show where each name
and its value are. String members, and whole objects in lists, are skipped: they are most of a WAT file. Any other JSON
is left to `links`, which looks at each token.
"""

import numpy as np

from curation.kernels.wat import names
from curation.kernels.wat.tokens import ANY, QUOTE, after_space, string_end
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word

_COMMA, _OPEN, _CLOSE = (ord(character) for character in ",{}")
_IMAGE, _ESCAPED_IMAGE = (int.from_bytes(path, "little") for path in (b"IMG@/src", b"IMG@\\/sr"))
_BEGINS_LINK, _NEXT_LINK, _PATH_FOLLOWS = (int.from_bytes(w, "little") for w in (b'{"path":', b'"},{"pat', b'"path":"'))
_NEXT_MEMBER, _STRING_FOLLOWS = (int.from_bytes(word, "little") for word in (b'","', b'":"'))
_PATH_NAME, _WHOLE_PATH_NAME = (int.from_bytes(word, "little") for word in (b'path"', b'"path"'))
_3_BYTES, _5_BYTES, _6_BYTES = (1 << 24) - 1, (1 << 40) - 1, (1 << 48) - 1


@lean
def read_links(data, i, stops, at, record, page, images, count):
    """Read the links that follow in their list; return the place of the first that is left, a stop before, and rows.

    The last link of a list is left.
    """
    while stops[at] <= i:
        at += 1
    first = load_word(data, i) == _BEGINS_LINK and byte_at(data, i + 8) == QUOTE
    while first and byte_at(data, stops[at + 3]) == QUOTE:
        image, seen = is_image(data, np.int64(stops[at + 2]) + 1, np.int64(stops[at + 3])), 0
        if image:
            clear_image(record, images, count)
            last, seen = read_image(data, stops, at + 3, images[count])
        else:
            last = after_members(data, stops, at + 3)
        if load_word(data, stops[last]) != _NEXT_LINK or load_word(data, stops[last] + 4) != _PATH_FOLLOWS:
            break
        count += close_link(seen, page) if image else 0
        at = last + 1
        i = np.int64(stops[at]) - 1
    return i, at, count


@inline
def after_members(data, stops, last):
    """Return the stop behind the last value of a link, or of those before an odd one; stops[last] is behind one."""
    while load_word(data, stops[last]) & _3_BYTES == _NEXT_MEMBER:
        is_path = load_word(data, stops[last + 1] + 1) & _5_BYTES == _PATH_NAME
        if is_path or not is_plain_member(data, stops, last):
            break
        last += 4
    return last


@inline
def read_image(data, stops, last, image):
    """Fill the row of an image as far as its members are plain; return the stop behind the last, and what is seen."""
    seen = names.IS_IMAGE
    while load_word(data, stops[last]) & _3_BYTES == _NEXT_MEMBER:
        name_end = np.int64(stops[last + 2])
        of = names.meaning(data, np.int64(stops[last + 1]) + 1, name_end, names.LINK)
        if of == names.PATH or (of != names.OTHER and seen >> of & 1) or not is_plain_member(data, stops, last):
            break
        if of != names.OTHER:
            seen |= 1 << of
            column = names.URL + 2 * (of - names.LINK_URL)
            image[column], image[column + 1] = name_end + 3, stops[last + 4]
        last += 4
    return last, seen


@inline
def is_plain_member(data, stops, last):
    """Return whether the member that begins behind stops[last] is a name and a string, both without escapes."""
    return load_word(data, stops[last + 2]) & _3_BYTES == _STRING_FOLLOWS and byte_at(data, stops[last + 4]) == QUOTE


@inline
def is_image(data, begin, end):
    """Return whether data[begin:end] is the path of an image, its slash escaped or not."""
    first, size = load_word(data, begin), end - begin
    escaped = size == 9 and first == _ESCAPED_IMAGE and byte_at(data, begin + 8) == ord("c")
    return escaped or (size == 8 and first == _IMAGE)


@inline
def clear_image(record, images, row):
    """Set a row to an image without any value."""
    images[row, names.RECORD] = record
    images[row, names.URL] = images[row, names.URL + 1] = 0
    for column in range(names.TEXTS, names.IMAGE_COLUMNS):
        images[row, column] = -1


@inline
def close_link(seen, page):
    """Count a link that is an image, in `page`; return 1 if it has a text, else 0."""
    image, said = seen & names.IS_IMAGE != 0, seen & names.SAID != 0
    page[names.IMAGE_LINKS] += image
    page[names.NO_TEXT] += image and not said
    return np.int64(image and said)


@lean
def after_objects(data, i, stops, at):
    """Return the place behind the objects that follow in a list, as long as they are of strings.

    The last object of a list is left, as is any that may be unsound. With the place comes a stop before it.
    """
    while byte_at(data, i) == _OPEN and byte_at(data, i + 1) == QUOTE:
        behind, last = after_strings(data, i, stops, at, True)
        if behind < 0 or byte_at(data, behind) != _CLOSE or byte_at(data, behind + 1) != _COMMA:
            break
        i, at = after_space(data, behind + 2), last
    return i, at


@lean
def after_strings(data, i, stops, at, fresh):
    """Return the place behind the members that follow in an object, as long as they are strings and none is `path`.

    A comma is before each; `fresh`: before the first is the brace, and it may be `path`. With the place comes a stop
    before it.
    """
    while i >= 0 and (fresh or byte_at(data, i) == _COMMA) and byte_at(data, i + 1) == QUOTE:
        while stops[at] <= i:
            at += 1
        name_end, last = np.int64(stops[at + 1]), at + 3
        is_path = load_word(data, i + 1) & _6_BYTES == _WHOLE_PATH_NAME and not fresh
        if is_path or load_word(data, name_end) & _3_BYTES != _STRING_FOLLOWS:
            break
        if byte_at(data, stops[last]) != QUOTE:
            last = string_end(data, name_end + 3, ANY, stops, last)
            if last < 0:
                break
        i, at, fresh = np.int64(stops[last]) + 1, last, False
    return after_space(data, i), at
