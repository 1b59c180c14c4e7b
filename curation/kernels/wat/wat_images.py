"""Find the images of WAT records in their JSON, in one pass over the bytes that decodes nothing.

A record is read here only if it is valid and in the usual format: no relevant name is escaped or repeated, links are
objects, values that should be strings are strings, numbers are short integers, and nesting is shallow. Any other record
is left to the slow path in `curation.inputs.crawl`, which can refuse it with a reason.
"""

import numpy as np

from curation.kernels.wat import tokens
from curation.kernels.wat.pages import mark_signals
from curation.kernels.wat.tokens import (
    ANY,
    COMPLETE,
    PLAIN,
    QUOTE,
    after_objects,
    after_space,
    after_strings,
    clear_image,
    close_link,
    find_stops,
    is_image,
    read_links,
    scalar_end,
    string_end,
)
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at
from runtime.kernels.masks import find_bytes

MAX_DEPTH = 60  # At most this many containers are nested.
_IMG = int.from_bytes(b"IMG@", "little")  # Each record with images has these bytes, whether slashes are escaped or not.
_COMMA, _COLON, _OPEN_LIST, _CLOSE_LIST, _OPEN, _CLOSE = (ord(character) for character in ",:[]{}")


@lean
def scan_records(data, begins, ends, stack, stops, pages, images):
    """Fill pages[k] from the record data[begins[k]:ends[k]], and a row of `images` for each image with a text.

    Return the number of these rows. `data` is laid out as in `curation.inputs.crawl.warc.MemberBlocks`. `stack` has
    MAX_DEPTH int64. `stops` has an int32 for each byte of the longest record, and SLACK. `images` has room for all rows
    that are possible, and one more.
    """
    # Numba has a separate type for a plain 0, and would compile `scan_record` a second time.
    count = np.int64(0)
    for record in range(len(begins)):
        begin, end = begins[record], ends[record]
        pages[record, tokens.PAGE : tokens.IMAGE_LINKS] = -1
        pages[record, tokens.IMAGE_LINKS :] = 0
        pages[record, tokens.READ] = 1
        pages[record, tokens.LICENCE] = -1
        if find_bytes(data, begin, end, _IMG, 4) < 0:
            continue
        license = find_stops(data, begin, end, stops)
        stop, rows = scan_record(data, begin, record, stack, stops, pages[record], images, count)
        pages[record, tokens.READ] = stop == end
        if stop == end:
            count = rows
            mark_signals(data, stops, pages[record])
            pages[record, tokens.LICENCE] = license if license < end else -1
    return count


@lean
def scan_record(data, begin, record, stack, stops, page, images, count):
    """Read the record from data[begin] on; return its end, or -1 if it is unusual, and the number of rows in `images`.

    In the code, `role` is the meaning of the container that is read, and `of` is the meaning of the next value. `seen`
    has a bit for each meaning seen. stops[at] is not after the byte that is read.
    """
    at = np.int64(0)
    depth = 0
    role = np.int64(tokens.OTHER_LIST)
    of = np.int64(tokens.ROOT)
    seen = np.int64(0)
    i = after_space(data, begin)
    while i >= 0:
        if of == tokens.LINK:
            i, at, count = read_links(data, i, stops, at, record, page, images, count)
        elif role <= tokens.META_LIST and of != tokens.ROOT:
            i, at = after_objects(data, i, stops, at)
        fresh = opens(byte_at(data, i), of) and depth < MAX_DEPTH
        if fresh:
            stack[depth] = role
            role = container(byte_at(data, i), of)
            depth += 1
            seen |= 1 << role
            if role == tokens.META_LIST or role == tokens.FIELDS:
                page[tokens.HEADERS if role == tokens.FIELDS else tokens.METAS] = i
            if role == tokens.LINK:
                seen &= ~tokens.OF_LINK
                clear_image(record, images, count)
            i = after_space(data, i + 1)
        else:
            i, at, seen = read_leaf(data, i, stops, at, of, seen, page, images, count)
            is_other_link = role == tokens.LINK and seen & (1 << tokens.PATH | tokens.IS_IMAGE) == 1 << tokens.PATH
            if is_other_link or role == tokens.OTHER or role == tokens.FIELDS:
                i, at = after_strings(data, i, stops, at, False)
        while i >= 0 and byte_at(data, i) == closing(role):
            if role == tokens.LINK:
                images[count, tokens.END] = i + 1
                count += close_link(seen, page)
            if role == tokens.META_LIST or role == tokens.FIELDS:
                page[(tokens.HEADERS if role == tokens.FIELDS else tokens.METAS) + 1] = i + 1
            depth -= 1
            if depth == 0:
                return (i + 1 if seen & tokens.NEEDED == tokens.NEEDED else -1), count
            role = stack[depth]
            fresh = False
            i = after_space(data, i + 1)
        if i >= 0:
            i, at, of = read_name(data, i, stops, at, role, seen, fresh)
    return -1, count


@inline
def opens(byte, of):
    """Return whether `byte` opens a container as a value of the meaning `of` should be; any container for OTHER."""
    return (byte == _OPEN and tokens.OTHER <= of <= tokens.HEADER) or (
        byte == _OPEN_LIST and (of == tokens.OTHER or of == tokens.META_LIST or of == tokens.LINKS)
    )


@inline
def container(byte, of):
    """Return the meaning of the container that `byte` opens for a value of the meaning `of`."""
    return tokens.OTHER_LIST if byte == _OPEN_LIST and of == tokens.OTHER else of


@inline
def closing(role):
    """Return the byte that ends a container of the meaning `role`."""
    return _CLOSE if role >= tokens.OTHER else _CLOSE_LIST


@lean
def read_name(data, i, stops, at, role, seen, fresh):
    """Return where a container's next value begins, the index of a stop before it, and its meaning.

    The begin is -1 if the value is unusual. A comma is at data[i], before the value or its name, unless `fresh`.
    """
    if not fresh:
        if byte_at(data, i) != _COMMA:
            return -1, at, 0
        i = after_space(data, i + 1)
    if role < tokens.OTHER:
        return i, at, (tokens.LINK if role == tokens.LINKS else tokens.OTHER)
    kind = ANY if role == tokens.OTHER else PLAIN
    last = string_end(data, i + 1, kind, stops, at) if byte_at(data, i) == QUOTE else -1
    if last < 0:
        return -1, at, 0
    end = stops[last]
    of = tokens.meaning(data, i + 1, end, role) if role != tokens.OTHER else tokens.OTHER
    i = after_space(data, end + 1)
    if byte_at(data, i) != _COLON or (of != tokens.OTHER and seen >> of & 1):
        return -1, last, 0
    return after_space(data, i + 1), last, of


@lean
def read_leaf(data, i, stops, at, of, seen, page, images, count):
    """Read a value that is not a container.

    Return the index after it (-1 if it is unusual), the index of a stop before that, and the updated `seen`.
    """
    if byte_at(data, i) != QUOTE:
        return after_space(data, scalar_end(data, i)) if of == tokens.OTHER else -1, at, seen
    if of < tokens.PATH and of != tokens.OTHER:
        return -1, at, seen
    kind = ANY if of == tokens.OTHER else PLAIN if of == tokens.PATH else COMPLETE
    last = string_end(data, i + 1, kind, stops, at)
    if last < 0:
        return -1, at, seen
    end = np.int64(stops[last])
    if of != tokens.OTHER:
        seen |= 1 << of
        if of == tokens.PATH:
            seen |= tokens.IS_IMAGE if is_image(data, i + 1, end) else 0
        elif of <= tokens.TARGET:
            column = tokens.BASE if of == tokens.BASE_HREF else tokens.PAGE
            page[column] = i + 1
            page[column + 1] = end
        else:
            column = tokens.URL + 2 * (of - tokens.LINK_URL)
            images[count, column] = i + 1
            images[count, column + 1] = end
    return after_space(data, end + 1), last, seen
