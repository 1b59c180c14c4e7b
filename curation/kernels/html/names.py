"""The tag and attribute names that are looked for, and the columns of the table of a page's elements.

A name is held as two integers, its bytes in lower case; no name has more than 16 bytes.
"""

import numpy as np

from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at

RAW = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "plaintext")  # hold no tags
FOREIGN = ("svg", "math")
POINTS = (("foreignobject", "desc", "title"), ("mi", "mo", "mn", "ms", "mtext"))  # in these, HTML goes on
WANTED = ("img", "image", "base", "meta", "html", "source")
# Start tags that end SVG and MathML.
BREAKOUT = (
    *("b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em", "embed", "head", "hr"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "i", "img", "li", "listing", "menu", "meta", "nobr", "ol", "p", "pre"),
    *("ruby", "s", "small", "span", "strong", "strike", "sub", "sup", "table", "tt", "u", "ul", "var"),
)
OTHERS = ("template", "font", "picture", "noscript")
SETS = ("data-srcset", "data-lazy-srcset", "srcset")  # of an image or of a <source>, that of scripts first
ATTRIBUTES = (  # the links of an image, then its texts, then others
    *("src", "data-src", "data-lazy-src", "data-original", *SETS),
    *("alt", "title", "data-image-title", "width", "height", "data-noai", "lang"),
    *("href", "charset", "http-equiv", "name", "content"),
    *("color", "face", "size"),  # a <font> with one of these ends SVG and MathML
)

# What an image has from other elements: the set of the <source> before it, the src of the <noscript> behind it. No
# attribute has such a name.
OF_SOURCE, OF_NOSCRIPT = "source srcset", "noscript src"

# Columns of an element: its kind, of WANTED, and for each of SPANS where its value begins and ends, or -1 twice.
SPANS = (*ATTRIBUTES, OF_SOURCE, OF_NOSCRIPT)
KIND, VALUES = 0, 1
COLUMNS = VALUES + 2 * len(SPANS)
_LONGEST = 16  # bytes of a name
_NUL = 255  # instead of 0, which fills the integers


def _packed(name):
    return np.frombuffer(name.encode().ljust(_LONGEST, b"\0"), "<i8")


def _table(names):
    """Return the names in order of their integers, and these integers."""
    ordered = sorted(names, key=lambda name: tuple(_packed(name)))
    integers = np.array([_packed(name) for name in ordered])
    integers.flags.writeable = False  # or it is of one type in its own module, and of another as a name of the module
    return ordered, integers


_TAGS, TAG_NAMES = _table({*RAW, *FOREIGN, *POINTS[0], *POINTS[1], *WANTED, *BREAKOUT, *OTHERS})
_ORDERED_ATTRIBUTES, ATTRIBUTE_NAMES = _table(ATTRIBUTES)
ATTRIBUTE_COLUMNS = np.array([VALUES + 2 * ATTRIBUTES.index(name) for name in _ORDERED_ATTRIBUTES])


def _tags(names):
    return np.array([name in names for name in _TAGS])


IS_RAW, IS_BREAKOUT = _tags(RAW), _tags(BREAKOUT)
IS_POINT = np.array([_tags(names) for names in POINTS])
WANTED_KINDS = np.array([WANTED.index(name) if name in WANTED else -1 for name in _TAGS])
SCRIPT, PLAINTEXT, TEMPLATE, FONT, SVG, MATH, P, BR, PICTURE, NOSCRIPT = map(
    _TAGS.index, ("script", "plaintext", "template", "font", "svg", "math", "p", "br", "picture", "noscript")
)
IMG, IMAGE, BASE, META, HTML, SOURCE = range(len(WANTED))
SRC, HREF, CONTENT, CHARSET, LANG, COLOR, FACE, SIZE, SOURCE_SET, NOSCRIPT_SRC = (
    VALUES + 2 * SPANS.index(name)
    for name in ("src", "href", "content", "charset", "lang", "color", "face", "size", OF_SOURCE, OF_NOSCRIPT)
)
FIRST_SET, FIRST_TEXT, TEXTS_END = (VALUES + 2 * ATTRIBUTES.index(name) for name in (SETS[0], "alt", "width"))


@inline
def lower(byte):
    return byte | 32 if ord("A") <= byte <= ord("Z") else byte


@lean
def number_of(data, begin, end, names):
    """Return which of `names` data[begin:end] is in any case, or -1."""
    if end - begin > _LONGEST:
        return -1
    first, second = np.int64(0), np.int64(0)
    for k in range(end - begin):
        byte = lower(byte_at(data, begin + k))
        byte = byte if byte else np.int64(_NUL)
        if k < 8:
            first |= byte << (8 * k)
        else:
            second |= byte << (8 * (k - 8))
    low, high = 0, len(names)
    while low < high:
        middle = (low + high) >> 1
        if names[middle, 0] < first:
            low = middle + 1
        else:
            high = middle
    while low + 1 < len(names) and names[low, 0] == first and names[low, 1] < second:
        low += 1  # names may share their first eight bytes
    return low if low < len(names) and names[low, 0] == first and names[low, 1] == second else -1
