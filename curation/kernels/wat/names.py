"""Numbers for the values of a WAT record, by name and enclosing object, and for the columns of pages and images."""

import numpy as np

from runtime.kernels import inline
from runtime.kernels.machine import load_word, lowest

# Columns of `pages`; a span is two columns, where it begins (-1: there is none) and ends, without the quotes. Those of
# headers, an object, and of metas, members of a list, are here only if they may hold signals.
READ, PAGE, BASE, HEADERS, METAS, IMAGE_LINKS, NO_TEXT, PAGE_COLUMNS = 0, 1, 3, 5, 7, 9, 10, 11

# Columns of `images`: the record, then the spans of url, alt, title and data-image-title. An absent url is empty.
RECORD, URL, TEXTS, IMAGE_COLUMNS = 0, 1, 3, 9

# Meanings of values, by their names and the objects they are in. The first are arrays, then objects, then strings.
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
_LONGEST = 24  # bytes of the longest name that counts


def _words(name):
    return [int.from_bytes(name.encode()[k : k + 8], "little") for k in (0, 8, 16)]


# The names of all objects, those of object `role` from _FIRST[role] on: size, bytes as three integers, what it names.
_TABLE = np.array([[len(name), *_words(name), of] for _, names in sorted(_NAMES.items()) for name, of in names.items()])
_FIRST = np.array([sum(len(_NAMES.get(role, ())) for role in range(end)) for end in range(HEADER + 2)])

# Bits of `seen`: one for each meaning, and one for a link that is an image.
IS_IMAGE = 1 << DATA_TITLE + 1
OF_LINK = sum(1 << of for of in _NAMES[LINK].values()) | IS_IMAGE
SAID = 1 << ALT | 1 << TITLE | 1 << DATA_TITLE
NEEDED = 1 << LINKS | 1 << TARGET


@inline
def meaning(data, begin, end, role):
    """Return the meaning of a value with the name data[begin:end] in an object."""
    size, of = end - begin, OTHER
    if size <= _LONGEST:
        first = load_word(data, begin) & lowest(min(8 * size, 64))
        for k in range(_FIRST[role], _FIRST[role + 1]):
            if _TABLE[k, 0] == size and _TABLE[k, 1] == first:
                second = load_word(data, begin + 8) & lowest(max(0, min(8 * size - 64, 64)))
                third = load_word(data, begin + 16) & lowest(max(0, min(8 * size - 128, 64)))
                if _TABLE[k, 2] == second and _TABLE[k, 3] == third:
                    of = _TABLE[k, 4]
    return of
