"""Read the links of the usual form: strings, the path first, nothing between tokens, no escapes but of slashes.

The stops show where their names and values are, four stops for each pair. A link that is odd in any way is left to
`links`.
"""

import numpy as np

from curation.kernels.wat.names import (
    IMAGE_COLUMNS,
    IMAGE_LINKS,
    IS_IMAGE,
    LINK,
    LINK_URL,
    NO_TEXT,
    OTHER,
    PATH,
    RECORD,
    SAID,
    TEXTS,
    URL,
    meaning,
)
from curation.kernels.wat.tokens import QUOTE
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word

_IMAGE, _ESCAPED_IMAGE = (int.from_bytes(path, "little") for path in (b"IMG@/src", b"IMG@\\/sr"))
_BEGINS_LINK, _NEXT_LINK, _PATH_FOLLOWS = (int.from_bytes(w, "little") for w in (b'{"path":', b'"},{"pat', b'"path":"'))
_NEXT_MEMBER, _STRING_FOLLOWS, _PATH_NAME = (int.from_bytes(word, "little") for word in (b'","', b'":"', b'path"'))
_3_BYTES, _5_BYTES = (1 << 24) - 1, (1 << 40) - 1


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
    seen = IS_IMAGE
    while load_word(data, stops[last]) & _3_BYTES == _NEXT_MEMBER:
        name_end = np.int64(stops[last + 2])
        of = meaning(data, np.int64(stops[last + 1]) + 1, name_end, LINK)
        if of == PATH or (of != OTHER and seen >> of & 1) or not is_plain_member(data, stops, last):
            break
        if of != OTHER:
            seen |= 1 << of
            column = URL + 2 * (of - LINK_URL)
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
    """Make a row that of an image without anything."""
    images[row, RECORD] = record
    images[row, URL] = images[row, URL + 1] = 0
    for column in range(TEXTS, IMAGE_COLUMNS):
        images[row, column] = -1


@inline
def close_link(seen, page):
    """Count a link that is an image, in `page`; return 1 if it has a text, else 0."""
    image, said = seen & IS_IMAGE != 0, seen & SAID != 0
    page[IMAGE_LINKS] += image
    page[NO_TEXT] += image and not said
    return np.int64(image and said)
