"""Find the images, bases, metas and language of a page in one pass over its tokens, in linear time.

Tags, and what is no tag, are read by the rules of the HTML standard's tokenizer. No tree is built: it may be as deep as
the page is long, and building it may take quadratic time. Instead a stack of frames, each the number of a tag name,
records whether the current token is in a template, in SVG, in MathML, or in HTML inside these. An end tag closes frames
only; other open elements are ignored. A name is held as two integers, its bytes in lower case; no name that is looked
for has more than 16 bytes.
"""

import numpy as np

from curation.kernels.licences import find_license
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at

RAW = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "plaintext")  # hold no tags
FOREIGN = ("svg", "math")
POINTS = (("foreignobject", "desc", "title"), ("mi", "mo", "mn", "ms", "mtext"))  # in these, HTML goes on
WANTED = ("img", "image", "base", "meta", "html", "source")
STATING = ("a", "area", "link", "script", "meta")  # wanted once more where they may state a licence
KINDS = (*WANTED, *(f"{name} license" for name in STATING))  # `content` of a script is its text
# Start tags that end SVG and MathML.
BREAKOUT = (
    *("b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em", "embed", "head", "hr"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "i", "img", "li", "listing", "menu", "meta", "nobr", "ol", "p", "pre"),
    *("ruby", "s", "small", "span", "strong", "strike", "sub", "sup", "table", "tt", "u", "ul", "var"),
)
OTHERS = ("template", "font", "picture", "noscript", "figure", *STATING[:3])
SETS = ("data-srcset", "data-lazy-srcset", "srcset")  # of an image or of a <source>, that of scripts first
OF_LICENCES = ("property", "itemprop", "rel", "type")  # attributes of elements that state licences
ATTRIBUTES = (  # the links of an image, then its texts, then others
    *("src", "data-src", "data-lazy-src", "data-original", *SETS),
    *("alt", "title", "data-image-title", "width", "height", "data-noai", "lang"),
    *("href", "charset", "http-equiv", "name", "content"),
    *("color", "face", "size"),  # a <font> with one of these ends SVG and MathML
)

# What an image has from other elements: the set of the <source> before it, the src of the <noscript> behind it, the
# href of the <a> around it, an empty value if it is in a <figure>. And the first other attribute that looks like the
# address of a picture, from its name on. No attribute has such a name.
OF_SOURCE, OF_NOSCRIPT, OF_LINK, OF_FIGURE, OF_OTHER = (
    "source srcset",
    "noscript src",
    "a href",
    "in figure",
    "other src",
)

# Columns of an element: its kind, of KINDS, and for each of SPANS where its value begins and ends, or -1 twice.
SPANS = (*ATTRIBUTES, OF_SOURCE, OF_NOSCRIPT, OF_LINK, OF_FIGURE, OF_OTHER, *OF_LICENCES)
KIND, VALUES = 0, 1
COLUMNS = VALUES + 2 * len(SPANS)
WANTED_COLUMNS = COLUMNS - 2 * len(OF_LICENCES)  # of the elements of WANTED, the others are not needed
_LONGEST = 16  # bytes of a name
_NUL = 255  # instead of 0, which fills the integers

IMG, IMAGE, BASE, META, HTML, SOURCE = range(len(WANTED))
SRC, HREF, CONTENT, CHARSET, LANG, COLOR, FACE, SIZE, SOURCE_SET, NOSCRIPT_SRC, LINK_HREF, IN_FIGURE, OTHER_SRC = (
    VALUES + 2 * SPANS.index(name)
    for name in (
        *("src", "href", "content", "charset", "lang", "color", "face", "size"),
        *(OF_SOURCE, OF_NOSCRIPT, OF_LINK, OF_FIGURE, OF_OTHER),
    )
)
FIRST_SET, FIRST_TEXT, TEXTS_END = (VALUES + 2 * ATTRIBUTES.index(name) for name in (SETS[0], "alt", "width"))

_SPACE, _SLASH, _EQUALS, _LESS, _GREATER, _QUOTE, _APOSTROPHE = (ord(character) for character in " /=<>\"'")
_TAB, _LF, _FF, _CR = (ord(character) for character in "\t\n\f\r")
_DASH, _BANG, _QUESTION = (ord(character) for character in "-!?")
_JPG, _JPEG, _PNG, _WEBP, _AVIF = (int.from_bytes(end, "big") for end in (b"jpg", b"jpeg", b"png", b"webp", b"avif"))
NO_ELEMENT = -1  # instead of a row: the values are not wanted


def _packed(name):
    return np.frombuffer(name.encode().ljust(_LONGEST, b"\0"), "<i8")


def _table(names):
    """Return the names in order of their integers, and these integers."""
    ordered = sorted(names, key=lambda name: tuple(_packed(name)))
    integers = np.array([_packed(name) for name in ordered])
    integers.flags.writeable = False  # or it is of one type in its own module, and of another as a name of the module
    return ordered, integers


_TAGS, TAG_NAMES = _table({*RAW, *FOREIGN, *POINTS[0], *POINTS[1], *WANTED, *BREAKOUT, *OTHERS})
_ORDERED_ATTRIBUTES, ATTRIBUTE_NAMES = _table((*ATTRIBUTES, *OF_LICENCES))
ATTRIBUTE_COLUMNS = np.array([VALUES + 2 * SPANS.index(name) for name in _ORDERED_ATTRIBUTES])


def _tags(names):
    return np.array([name in names for name in _TAGS])


IS_RAW, IS_BREAKOUT = _tags(RAW), _tags(BREAKOUT)
IS_POINT = np.array([_tags(names) for names in POINTS])
WANTED_KINDS = np.array([WANTED.index(name) if name in WANTED else -1 for name in _TAGS])
STATING_KINDS = np.array([len(WANTED) + STATING.index(name) if name in STATING else -1 for name in _TAGS])
SCRIPT, PLAINTEXT, TEMPLATE, FONT, SVG, MATH, P, BR, PICTURE, NOSCRIPT, A, FIGURE = map(
    _TAGS.index,
    ("script", "plaintext", "template", "font", "svg", "math", "p", "br", "picture", "noscript", "a", "figure"),
)


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


@lean
def find_elements(data, end, frames, elements):
    """Fill a row of `elements` for each wanted element of data[:end] outside of templates; return their number.

    With it comes the number of those that may state a licence.

    An image has the set of the first <source> with one before it in its <picture>, the src of an image without text in
    the <noscript> behind it, and the href of the <a> that is open. `frames` is for what is open, and has end // 4 + 2
    rows; `elements` has end // 9 + 2.
    """
    # A plain 0 is a type of its own, for which Numba would compile what it is handed to once more.
    i, depth, templates, count = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    in_picture, source, source_end = False, np.int64(-1), np.int64(-1)
    image, after_image = np.int64(0), np.int64(-1)  # the row of the last image, and its end
    link, figures = np.int64(-1), np.int64(0)  # where the attributes of the open <a> begin; the open figures
    waiting = np.int64(NO_ELEMENT)  # in a noscript behind an image: the row of that image
    mention, stating = find_license(data, np.int64(0), end), np.int64(0)
    while i >= 0 and i + 1 < end:
        if byte_at(data, i) != _LESS:
            i += 1
            continue
        is_end = byte_at(data, i + 1) == _SLASH
        begin = i + 1 + is_end
        if begin >= end or not ord("a") <= byte_at(data, begin) | 32 <= ord("z"):
            i = after_other(data, i, end, depth > 0 and frames[depth - 1] != TEMPLATE)
            continue
        stop = after_name(data, begin, end)
        tag = number_of(data, begin, stop, TAG_NAMES)
        is_wanted = tag >= 0 and not is_end and (WANTED_KINDS[tag] >= 0 or tag == FONT)
        i, closes = read_attributes(data, stop, end, elements, count if is_wanted else NO_ELEMENT)
        if i < 0 or tag < 0:
            continue
        if is_end:
            depth, templates = after_end(frames, depth, tag, templates)
            waiting = NO_ELEMENT if tag == NOSCRIPT else waiting
            if (tag == A or tag == FIGURE) and templates == 0 and not is_foreign(frames, depth):
                link = -1 if tag == A else link
                figures -= tag == FIGURE and figures > 0
            if tag == PICTURE:
                in_picture = False
                after_image = i if is_blank(data, after_image, begin - 2) else -1
            continue
        if is_foreign(frames, depth):
            if not IS_BREAKOUT[tag] and not (tag == FONT and is_styled(elements[count])):
                depth = depth if closes else in_foreign(frames, depth, tag)
                continue
            depth = html_depth(frames, depth)
        text, text_end = i, i
        if IS_RAW[tag]:
            i = end if tag == PLAINTEXT else end_of_raw(data, begin, stop, i, end, tag == SCRIPT)
            text_end = i
        if mention < i:
            mention = find_license(data, begin, end) if mention < begin else mention
            if mention < i and templates == 0 and STATING_KINDS[tag] >= 0:
                read_attributes(data, stop, end, elements, count)
                if tag == SCRIPT:
                    elements[count, CONTENT], elements[count, CONTENT + 1] = text, text_end
                elements[count, KIND] = STATING_KINDS[tag]
                count += 1
                stating += 1
                if is_wanted:
                    read_attributes(data, stop, end, elements, count)
        if tag == TEMPLATE or ((tag == SVG or tag == MATH) and not closes):
            frames[depth] = tag
            depth += 1
            templates += tag == TEMPLATE
        elif tag == A:
            link = stop if templates == 0 else link
        elif tag == FIGURE:
            figures += templates == 0
        elif tag == PICTURE:
            in_picture, source = templates == 0, -1
        elif tag == NOSCRIPT:
            waiting = image if is_blank(data, after_image, begin - 1) else NO_ELEMENT
        elif is_wanted and templates == 0:
            kind, element = WANTED_KINDS[tag], elements[count]
            if kind == SOURCE:
                if in_picture and source < 0:
                    source, source_end = set_of(element)
                continue
            kept = is_kept(element, kind)
            if kind == IMG or kind == IMAGE:
                if waiting >= 0 and not has_text(element):
                    elements[waiting, NOSCRIPT_SRC] = element[SRC]
                    elements[waiting, NOSCRIPT_SRC + 1] = element[SRC + 1]
                if in_picture:
                    element[SOURCE_SET], element[SOURCE_SET + 1] = source, source_end
                    kept |= source >= 0
                if kept and link >= 0:  # read into the next row, which nothing has filled yet
                    read_attributes(data, link, end, elements, count + 1)
                    element[LINK_HREF], element[LINK_HREF + 1] = (
                        elements[count + 1, HREF],
                        elements[count + 1, HREF + 1],
                    )
                if figures > 0:
                    element[IN_FIGURE] = element[IN_FIGURE + 1] = 0
                in_picture, waiting, image, after_image = False, NO_ELEMENT, count, i if kept else -1
            element[KIND] = kind
            count += kept
    return count, stating


@inline
def is_blank(data, i, end):
    """Return whether white space alone, or nothing, is in data[i:end]; not where i is below 0."""
    while 0 <= i < end and is_space(byte_at(data, i)):
        i += 1
    return i == end


@inline
def set_of(element):
    """Return where the first set of a <source> that is not empty begins and ends, -1 twice if it has none."""
    begin, end = np.int64(-1), np.int64(-1)
    for column in range(FIRST_SET, FIRST_TEXT, 2):
        if begin < 0 and element[column] < element[column + 1]:
            begin, end = np.int64(element[column]), np.int64(element[column + 1])
    return begin, end


@inline
def has_text(element):
    """Return whether an image has a text that is not empty."""
    found = False
    for column in range(FIRST_TEXT, TEXTS_END, 2):
        found |= element[column] < element[column + 1]
    return found


@lean
def is_styled(element):
    """Return whether a <font> has an attribute that tells it from a font of SVG."""
    return element[COLOR] >= 0 or element[FACE] >= 0 or element[SIZE] >= 0


@lean
def is_kept(element, kind):
    """Return whether an element of this kind has an attribute for which it is wanted, an image a link or a text."""
    if kind == META:
        return element[CONTENT] >= 0 or element[CHARSET] >= 0
    if kind == HTML:
        return element[LANG] >= 0
    if kind == BASE:
        return element[HREF] >= 0
    found = False
    for column in range(VALUES, TEXTS_END, 2):
        found |= element[column] >= 0
    return found and kind >= 0


@lean
def is_foreign(frames, depth):
    """Return whether frames[:depth] end in SVG or MathML."""
    return depth > 0 and (frames[depth - 1] == SVG or frames[depth - 1] == MATH)


@lean
def html_depth(frames, depth):
    """Return how many of frames[:depth] are left when the SVG and MathML in which they end are closed."""
    while is_foreign(frames, depth):
        depth -= 1
    return depth


@lean
def in_foreign(frames, depth, tag):
    """Return the depth after the start of a tag in SVG or MathML that does not end these."""
    top = frames[depth - 1]
    if tag == top or IS_POINT[int(top == MATH), tag]:
        frames[depth] = tag
        depth += 1
    return depth


@lean
def after_end(frames, depth, tag, templates):
    """Return the depth and the number of templates after the end tag of `tag`."""
    top = frames[depth - 1] if depth else -1
    if tag == TEMPLATE and templates:
        while frames[depth - 1] != TEMPLATE:
            depth -= 1
        return depth - 1, templates - 1
    if is_foreign(frames, depth) and (tag == P or tag == BR):
        return html_depth(frames, depth), templates
    if tag == top:
        return depth - 1, templates
    if depth > 1 and top != TEMPLATE and is_foreign(frames, depth - 1) and tag == frames[depth - 2]:
        return depth - 2, templates  # </svg> where a <title> in it is open
    return depth, templates


def _bytes(text):
    return np.frombuffer(text.encode(), np.uint8)


_COMMENT, _CDATA, _CDATA_END, _TAG_END = map(_bytes, ("--", "[CDATA[", "]]>", ">"))


@inline
def is_space(byte):
    return byte == _SPACE or byte == _LF or byte == _TAB or byte == _CR or byte == _FF


@inline
def ends_name(byte):
    return is_space(byte) or byte == _SLASH or byte == _GREATER


@lean
def after_name(data, i, end):
    """Return where the name of the tag at data[i] ends."""
    while i < end and not ends_name(byte_at(data, i)):
        i += 1
    return i


@lean
def read_attributes(data, i, end, elements, row):
    """Return the place behind the tag whose name ends at data[i], and whether it closes itself; -1 if it never ends.

    The values of known attributes are entered in elements[row], the first of each name.
    """
    if row >= 0:
        elements[row] = -1
    while True:
        slashed = False
        while i < end and (is_space(byte_at(data, i)) or byte_at(data, i) == _SLASH):
            slashed = byte_at(data, i) == _SLASH
            i += 1
        if i >= end:
            return -1, False
        if byte_at(data, i) == _GREATER:
            return i + 1, slashed
        begin = i
        i += 1  # a name may begin with =
        while i < end and not ends_name(byte_at(data, i)) and byte_at(data, i) != _EQUALS:
            i += 1
        known = number_of(data, begin, i, ATTRIBUTE_NAMES) if row >= 0 else -1
        i, value, stop = read_value(data, i, end)
        if i < 0:
            return -1, False
        if known >= 0 and elements[row, ATTRIBUTE_COLUMNS[known]] < 0:
            elements[row, ATTRIBUTE_COLUMNS[known]] = value
            elements[row, ATTRIBUTE_COLUMNS[known] + 1] = stop
        elif known < 0 <= row and elements[row, OTHER_SRC] < 0 and is_picture(data, value, stop):
            elements[row, OTHER_SRC], elements[row, OTHER_SRC + 1] = begin, stop


@lean
def is_picture(data, i, end):
    """Return whether data[i:end] looks like the address of a picture: a path with its ending, then at most a query."""
    slash, dot = False, np.int64(-1)
    while i < end and byte_at(data, i) != _QUESTION:
        byte = byte_at(data, i)
        if byte <= _SPACE or byte == ord("{") or byte == _QUOTE:
            return False
        slash |= byte == _SLASH
        dot = i if byte == ord(".") else dot
        i += 1
    ending = np.int64(0)
    if slash and dot >= 0 and 3 <= i - dot - 1 <= 4:
        for k in range(dot + 1, i):
            ending = ending << 8 | lower(byte_at(data, k))
    return ending == _JPG or ending == _JPEG or ending == _PNG or ending == _WEBP or ending == _AVIF


@lean
def read_value(data, i, end):
    """Return the place behind an attribute whose name ends at data[i], and where its value begins and ends."""
    while i < end and is_space(byte_at(data, i)):
        i += 1
    if i >= end or byte_at(data, i) != _EQUALS:
        return i, i, i
    i += 1
    while i < end and is_space(byte_at(data, i)):
        i += 1
    quote = byte_at(data, i) if i < end else 0
    if quote == _QUOTE or quote == _APOSTROPHE:
        begin = i + 1
        i = begin
        while i < end and byte_at(data, i) != quote:
            i += 1
        return (i + 1 if i < end else -1), begin, i
    begin = i
    while i < end and not is_space(byte_at(data, i)) and byte_at(data, i) != _GREATER:
        i += 1
    return i, begin, i


@lean
def says(data, i, end, text):
    """Return whether data[i:end] begins with the bytes of `text`."""
    k = 0
    while k < len(text) and i + k < end and byte_at(data, i + k) == text[k]:
        k += 1
    return k == len(text)


@lean
def after_other(data, i, end, may_be_cdata):
    """Return the place behind what begins with the < at data[i] and is no tag: a comment, or a character of text."""
    after = byte_at(data, i + 1)
    if after == _BANG and says(data, i + 2, end, _COMMENT):
        return after_comment(data, i + 2 + len(_COMMENT), end)
    if after == _BANG and may_be_cdata and says(data, i + 2, end, _CDATA):
        return after_text(data, i + 2 + len(_CDATA), end, _CDATA_END)
    is_comment = after == _BANG or after == _SLASH or after == _QUESTION
    return after_text(data, i + 2, end, _TAG_END) if is_comment else i + 1


@lean
def after_comment(data, i, end):
    """Return the place behind the comment whose text begins at data[i]."""
    if i < end and byte_at(data, i) == _GREATER:
        return i + 1
    if i + 1 < end and byte_at(data, i) == _DASH and byte_at(data, i + 1) == _GREATER:
        return i + 2
    while i + 2 < end:
        if byte_at(data, i) == _DASH and byte_at(data, i + 1) == _DASH:
            if byte_at(data, i + 2) == _GREATER:
                return i + 3
            if i + 3 < end and byte_at(data, i + 2) == _BANG and byte_at(data, i + 3) == _GREATER:
                return i + 4
        i += 1
    return end


@lean
def after_text(data, i, end, text):
    """Return the place behind the next `text` from data[i] on, the end if there is none."""
    while i < end and not says(data, i, end, text):
        i += 1
    return min(i + len(text), end)


@lean
def is_name(data, i, end, begin, stop):
    """Return whether the name at data[i] is data[begin:stop], in any case, and ends there."""
    k = 0
    while begin + k < stop and i + k < end and lower(byte_at(data, i + k)) == lower(byte_at(data, begin + k)):
        k += 1
    return begin + k == stop and i + k < end and ends_name(byte_at(data, i + k))


@lean
def end_of_raw(data, begin, stop, i, end, is_script):
    """Return where the end tag of the raw element begins whose name is data[begin:stop] and whose text begins at i.

    In a comment in a script, another script hides its own end tag.
    """
    in_comment, in_script = False, False
    while i + 1 < end:
        byte, after = byte_at(data, i), byte_at(data, i + 1)
        if byte == _LESS and after == _SLASH and is_name(data, i + 2, end, begin, stop):
            if not in_script:
                return i
            in_script = False
        elif is_script and byte == _LESS and after == _BANG and not in_comment and says(data, i + 2, end, _COMMENT):
            in_comment = True
            i += 1
        elif in_comment and byte == _LESS and not in_script and is_name(data, i + 1, end, begin, stop):
            in_script = True
        elif in_comment and byte == _DASH and after == _DASH and i + 2 < end and byte_at(data, i + 2) == _GREATER:
            in_comment, in_script = False, False
        i += 1
    return end
