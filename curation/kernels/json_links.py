"""Where the images of WAT records stand in their JSON: one walk over the bytes, in which nothing is decoded.

A record is read here only if it is sound and of the usual form: no name that counts is escaped or comes twice, links
are objects, what should be a string is one, numbers are short integers, nesting is shallow. Any other is left to the
slow path, which knows what to say of it.
"""

import numpy as np

from curation.kernels import inline, lean
from curation.kernels.json_masks import byte_at
from curation.kernels.json_skipping import after_objects, after_strings, is_image
from curation.kernels.json_tokens import ANY, PLAIN, QUOTE, WHOLE, after_space, find_stops, scalar_end, string_end
from curation.kernels.machine import load_word, lowest
from curation.kernels.searching import find_bytes

DEEPEST = 60  # containers within containers

# Columns of `pages`; a span is two columns, where it begins (-1: there is none) and ends, without the quotes.
READ, PAGE, BASE, IMAGE_LINKS, NO_TEXT, PAGE_COLUMNS = 0, 1, 3, 5, 6, 7

# Columns of `images`: the record, then the spans of url, alt, title and data-image-title. An absent url is empty.
RECORD, URL, TEXTS, IMAGE_COLUMNS = 0, 1, 3, 9

# What a value is, by its name and the object it is in. The first are arrays, the next objects, the last strings.
_OTHER_LIST, _LINKS, _OTHER, _LINK, _ROOT, _ENVELOPE, _PAYLOAD, _RESPONSE, _HTML, _HEAD, _HEADER = range(11)
_PATH, _BASE_HREF, _TARGET, _LINK_URL, _ALT, _TITLE, _DATA_TITLE = range(11, 18)
_NAMES = {
    _ROOT: {"Envelope": _ENVELOPE},
    _ENVELOPE: {"Payload-Metadata": _PAYLOAD, "WARC-Header-Metadata": _HEADER},
    _PAYLOAD: {"HTTP-Response-Metadata": _RESPONSE},
    _RESPONSE: {"HTML-Metadata": _HTML},
    _HTML: {"Head": _HEAD, "Links": _LINKS},
    _HEADER: {"WARC-Target-URI": _TARGET},
    _HEAD: {"Base": _BASE_HREF},
    _LINK: {"path": _PATH, "url": _LINK_URL, "alt": _ALT, "title": _TITLE, "data-image-title": _DATA_TITLE},
}
_LONGEST = 24  # bytes of a name that counts
_IMG = int.from_bytes(b"IMG@", "little")  # stands in each record that tells of images, escaped or not


def _words(name):
    return [int.from_bytes(name.encode()[k : k + 8], "little") for k in (0, 8, 16)]


# The names of all objects, those of object `role` from _FIRST[role] on: size, bytes as three integers, what it names.
_TABLE = np.array([[len(name), *_words(name), of] for _, names in sorted(_NAMES.items()) for name, of in names.items()])
_FIRST = np.array([sum(len(_NAMES.get(role, ())) for role in range(end)) for end in range(_HEADER + 2)])

# Bits of `seen`: one for each meaning, and one for a link that is an image.
_IS_IMAGE = 1 << _DATA_TITLE + 1
_OF_LINK = sum(1 << of for of in _NAMES[_LINK].values()) | _IS_IMAGE
_SAID = 1 << _ALT | 1 << _TITLE | 1 << _DATA_TITLE
_NEEDED = 1 << _LINKS | 1 << _TARGET

_COMMA, _COLON, _OPEN_LIST, _CLOSE_LIST, _OPEN, _CLOSE = (ord(character) for character in ",:[]{}")


@lean
def scan(data, begins, ends, stack, stops, pages, images):
    """Fill pages[k] for the JSON in data[begins[k]:ends[k]], and a row of `images` for each with a text; return rows.

    `data` is as `records.Blocks` has it. `stack` has DEEPEST int64, `stops` an int32 for
    each byte of the longest record, and SLACK. `images` has room for one row more than there can be.
    """
    count = 0
    for record in range(len(begins)):
        begin, end = begins[record], ends[record]
        pages[record, PAGE:IMAGE_LINKS] = -1
        pages[record, IMAGE_LINKS:] = 0
        pages[record, READ] = 1
        if find_bytes(data, begin, end, _IMG, 4) < 0:
            continue
        find_stops(data, begin, end, stops)
        found, rows = scan_record(data, begin, record, stack, stops, pages[record], images, count)
        pages[record, READ] = found == end
        if found == end:
            count = rows
    return count


@lean
def scan_record(data, begin, record, stack, stops, page, images, count):
    """Return the end of the JSON that begins at data[begin], or -1, and the number of images then.

    `role` is what the container is that is read, `of` what the value to come is, `seen` has a bit for each meaning.
    `at` is a stop that is not behind the place that is read.
    """
    at, depth, role, of, seen = 0, 0, _OTHER_LIST, _ROOT, 0
    i = after_space(data, begin)
    while i >= 0:
        if role < _OTHER and of != _ROOT:
            i, at = after_objects(data, i, stops, at, of == _LINK)
        fresh = opens(byte_at(data, i), of) and depth < DEEPEST
        if fresh:
            stack[depth], role = role, container(byte_at(data, i), of)
            depth += 1
            seen |= 1 << role
            if role == _LINK:
                seen &= ~_OF_LINK
                clear_image(record, images, count)
            i = after_space(data, i + 1)
        else:
            i, at, seen = read_leaf(data, i, stops, at, of, seen, page, images, count)
            if role == _OTHER or (role == _LINK and seen & (1 << _PATH | _IS_IMAGE) == 1 << _PATH):
                i, at = after_strings(data, i, stops, at, False)
        while i >= 0 and byte_at(data, i) == closing(role):
            count += close_link(seen, page) if role == _LINK else 0
            depth -= 1
            if depth == 0:
                return (i + 1 if seen & _NEEDED == _NEEDED else -1), count
            role, fresh = stack[depth], False
            i = after_space(data, i + 1)
        if i >= 0:
            i, at, of = read_name(data, i, stops, at, role, seen, fresh)
    return -1, count


@inline
def opens(byte, of):
    """Return whether the byte begins the container that a value should be; any is a value without meaning."""
    return (byte == _OPEN and _OTHER <= of <= _HEADER) or (byte == _OPEN_LIST and (of == _OTHER or of == _LINKS))


@inline
def container(byte, of):
    """Return what the container is that `byte` opens."""
    return _OTHER_LIST if byte == _OPEN_LIST and of == _OTHER else of


@inline
def closing(role):
    """Return the byte that ends a container."""
    return _CLOSE if role >= _OTHER else _CLOSE_LIST


@lean
def read_name(data, i, stops, at, role, seen, fresh):
    """Return where the next value of a container begins, or -1, a stop before it, and what the value is.

    A comma is before it unless `fresh`.
    """
    if not fresh:
        if byte_at(data, i) != _COMMA:
            return -1, at, 0
        i = after_space(data, i + 1)
    if role < _OTHER:
        return i, at, (_LINK if role == _LINKS else _OTHER)
    last = string_end(data, i + 1, PLAIN if role != _OTHER else ANY, stops, at) if byte_at(data, i) == QUOTE else -1
    if last < 0:
        return -1, at, 0
    end = stops[last]
    of = meaning(data, i + 1, end, role) if role != _OTHER else _OTHER
    i = after_space(data, end + 1)
    if byte_at(data, i) != _COLON or (of != _OTHER and seen >> of & 1):
        return -1, last, 0
    return after_space(data, i + 1), last, of


@inline
def meaning(data, begin, end, role):
    """Return what a value is that has the name data[begin:end] in an object."""
    size, of = end - begin, _OTHER
    if size <= _LONGEST:
        first = load_word(data, begin) & lowest(min(8 * size, 64))
        for k in range(_FIRST[role], _FIRST[role + 1]):
            if _TABLE[k, 0] == size and _TABLE[k, 1] == first:
                second = load_word(data, begin + 8) & lowest(max(0, min(8 * size - 64, 64)))
                third = load_word(data, begin + 16) & lowest(max(0, min(8 * size - 128, 64)))
                if _TABLE[k, 2] == second and _TABLE[k, 3] == third:
                    of = _TABLE[k, 4]
    return of


@lean
def read_leaf(data, i, stops, at, of, seen, page, images, count):
    """Return the place behind a value that is no container, or -1, a stop before it, and what is seen then."""
    if byte_at(data, i) != QUOTE:
        return after_space(data, scalar_end(data, i)) if of == _OTHER else -1, at, seen
    if _OTHER < of < _PATH or of == _LINKS:
        return -1, at, seen
    kind = ANY if of == _OTHER else PLAIN if of == _PATH else WHOLE
    last = string_end(data, i + 1, kind, stops, at)
    if last < 0:
        return -1, at, seen
    end = np.int64(stops[last])
    if of != _OTHER:
        seen |= 1 << of
        if of == _PATH:
            seen |= _IS_IMAGE if is_image(data, i + 1, end) else 0
        elif of <= _TARGET:
            column = BASE if of == _BASE_HREF else PAGE
            page[column], page[column + 1] = i + 1, end
        else:
            column = URL + 2 * (of - _LINK_URL)
            images[count, column], images[count, column + 1] = i + 1, end
    return after_space(data, end + 1), last, seen


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
    image, said = seen & _IS_IMAGE != 0, seen & _SAID != 0
    page[IMAGE_LINKS] += image
    page[NO_TEXT] += image and not said
    return np.int64(image and said)
