"""Find the images, bases, metas and language of a page in one pass over its tokens, in linear time.

No tree is built: it may be as deep as the page is long, and building it may take quadratic time. Instead, a stack of
frames, each the number of a tag name, records whether the current token is in a template, in SVG, in MathML, or in HTML
inside these. A second stack has the open CONTAINERS. Their tags and names (id, class, role, rel) tell where on the page
the images in them are; names are read once, at the first image. An end tag changes only these two stacks; other open
elements are ignored.
"""

import numpy as np

from curation.kernels.markup import (
    after_name,
    after_other,
    end_of_raw,
    ends_name,
    find_license,
    is_blank,
    is_space,
    is_without,
    lower,
    name_index,
    read_value,
    table_of,
)
from curation.kernels.places import ADVERT, BIT_OF, FIGURE, HEADER, bits_of_words, inner_bits
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at

# The content of a RAW element has no tags.
RAW = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "plaintext")
FOREIGN = ("svg", "math")
# In these elements of SVG and of MathML, HTML continues.
POINTS = (("foreignobject", "desc", "title"), ("mi", "mo", "mn", "ms", "mtext"))
WANTED = ("img", "image", "base", "meta", "html", "source")
STATING = ("a", "area", "link", "script", "meta")  # These get a further row where they may state a licence.
KINDS = (*WANTED, *(f"{name} license" for name in STATING))  # The `content` of a script is its text.
# These start tags end SVG and MathML.
BREAKOUT = (
    *("b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em", "embed", "head", "hr"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "i", "img", "li", "listing", "menu", "meta", "nobr", "ol", "p", "pre"),
    *("ruby", "s", "small", "span", "strong", "strike", "sub", "sup", "table", "tt", "u", "ul", "var"),
)
# The names of these elements tell where on the page their content is; all of them end with an end tag.
CONTAINERS = (
    *("div", "section", "article", "main", "nav", "aside", "header", "footer", "figure", "form", "table", "ul", "ol"),
)
OTHERS = ("template", "font", "picture", "noscript", *STATING[:3], *CONTAINERS)
SETS = ("data-srcset", "data-lazy-srcset", "srcset")  # The sets that scripts read come first.
OF_LICENCES = ("property", "itemprop", "rel", "type")  # Elements that state licences have these attributes.
OF_PLACES = ("id", "class", "role")  # These attributes, and rel, may tell where on the page an image is.
# The links of an image come first, then its texts, then other attributes.
ATTRIBUTES = (
    *("src", "data-src", "data-lazy-src", "data-original", *SETS),
    *("alt", "title", "data-image-title", "width", "height", "data-noai", "lang"),
    *("href", "charset", "http-equiv", "name", "content"),
    *("color", "face", "size"),  # A <font> with one of these ends SVG and MathML.
)

# An image also gets these values: the set of the <source> before it, the src of the <noscript> after it, the href of
# the <a> around it, and its first other attribute, with name and value, that looks like the address of a picture. No
# attribute has such a name.
OF_SOURCE, OF_NOSCRIPT, OF_LINK, OF_OTHER = ("source srcset", "noscript src", "a href", "other src")

# The columns of an element are its kind (an index of KINDS), the bits of where on the page it is, its surroundings (of
# `kernels.surroundings`), and two for each of SPANS: where the value begins and ends, or -1 twice. Four more columns of
# an image tell `surroundings.describe` where to look: where the image's tag ends, where the names of the open <a> and
# of the last heading begin, or -1, and a hash of the containers around it.
WANTED_SPANS = (*ATTRIBUTES, OF_SOURCE, OF_NOSCRIPT, OF_LINK, OF_OTHER)  # The elements of WANTED have only these.
SPANS = (*WANTED_SPANS, *OF_LICENCES, *OF_PLACES)
KIND, PLACES, SURROUNDINGS, VALUES = range(4)
AFTER, LINK, HEADING, BLOCK = range(VALUES + 2 * len(SPANS), VALUES + 2 * len(SPANS) + 4)
ELEMENT_COLUMNS = BLOCK + 1
WANTED_COLUMNS = VALUES + 2 * len(WANTED_SPANS)

IMG, IMAGE, BASE, META, HTML, SOURCE = range(len(WANTED))
SRC, WIDTH, HEIGHT, HREF, CONTENT, CHARSET, LANG, COLOR, FACE, SIZE, REL, ID, CLASS, ROLE = (
    VALUES + 2 * SPANS.index(name)
    for name in (
        *("src", "width", "height", "href", "content", "charset", "lang", "color", "face", "size"),
        *("rel", "id", "class", "role"),
    )
)
SOURCE_SET, NOSCRIPT_SRC, LINK_HREF, OTHER_SRC = (
    VALUES + 2 * SPANS.index(name) for name in (OF_SOURCE, OF_NOSCRIPT, OF_LINK, OF_OTHER)
)
FIRST_SET, FIRST_TEXT, TEXTS_END = (VALUES + 2 * ATTRIBUTES.index(name) for name in (SETS[0], "alt", "width"))

_SPACE, _SLASH, _EQUALS, _LESS, _GREATER, _QUOTE, _QUESTION = (ord(character) for character in ' /=<>"?')
_JPG, _JPEG, _PNG, _WEBP, _AVIF = (int.from_bytes(end, "big") for end in (b"jpg", b"jpeg", b"png", b"webp", b"avif"))
NO_ELEMENT = -1  # This number in place of a row says that the values are not needed.

# The columns of an open container are the number of its tag, where its attributes begin, the bits of where on the page
# its content is, and a hash of its tag and class. The bits are -1 if bits and hash are not known yet.
TAG, BEGIN, BITS, NAMES = range(4)
CONTAINER_COLUMNS = NAMES + 1
BLOCK_CONTAINERS = 4  # Images are in one block if so many of their innermost containers are alike.
PRIME = 0x100000001B3
CLOSABLE_CONTAINERS = 64  # An end tag closes only one of this many containers that were opened last.

_TAGS, TAG_NAMES = table_of({*RAW, *FOREIGN, *POINTS[0], *POINTS[1], *WANTED, *BREAKOUT, *OTHERS})
_ORDERED_ATTRIBUTES, ATTRIBUTE_NAMES = table_of((*ATTRIBUTES, *OF_LICENCES, *OF_PLACES))
ATTRIBUTE_COLUMNS = np.array([VALUES + 2 * SPANS.index(name) for name in _ORDERED_ATTRIBUTES])


def _tags(names):
    return np.array([name in names for name in _TAGS])


IS_RAW = _tags(RAW)
IS_BREAKOUT = _tags(BREAKOUT)
IS_CONTAINER = _tags(CONTAINERS)
IS_HEADING = _tags(("h1", "h2", "h3", "h4", "h5", "h6"))
IS_POINT = np.array([_tags(names) for names in POINTS])
WANTED_KINDS = np.full(len(_TAGS), -1)
for _kind, _name in enumerate(WANTED):
    WANTED_KINDS[_TAGS.index(_name)] = _kind
STATING_KINDS = np.full(len(_TAGS), -1)
for _kind, _name in enumerate(STATING, len(WANTED)):
    STATING_KINDS[_TAGS.index(_name)] = _kind
SCRIPT, PLAINTEXT, TEMPLATE, FONT, SVG, MATH, P, BR, PICTURE, NOSCRIPT, A, H1 = map(
    _TAGS.index, ("script", "plaintext", "template", "font", "svg", "math", "p", "br", "picture", "noscript", "a", "h1")
)
TAG_BITS = np.zeros(len(_TAGS), np.int64)
for _name in CONTAINERS:
    TAG_BITS[_TAGS.index(_name)] = FIGURE if _name == "figure" else BIT_OF.get(_name, 0)


@lean
def find_elements(data, end, frames, opened, elements):
    """Fill a row of `elements` for each wanted element of data[:end] outside of templates.

    Return the number of rows, the number of rows of elements that may state a licence, and where the name of the first
    <h1> begins, or -1.

    The row of an image also has the srcset of the first <source> that has one before it in its <picture>, the src of an
    image without text in the <noscript> after it, the href of the open <a> around it, and the bits of where on the page
    it is. `frames` and `opened` are the stacks of open elements, with end // 4 + 2 rows each; `elements` has
    end // 9 + 2 rows.
    """
    # Numba has a separate type for a plain 0, and would compile each function that takes it a second time.
    i = np.int64(0)
    depth = np.int64(0)
    templates = np.int64(0)
    count = np.int64(0)
    in_picture = False
    source = np.int64(-1)
    source_end = np.int64(-1)
    image = np.int64(0)  # the row of the last image
    after_image = np.int64(-1)  # the index after the tag of the last image
    containers = np.int64(0)  # the number of open containers in `opened`
    link = np.int64(-1)  # where the attributes of the open <a> begin
    # The bits of the names of this <a>, and its href, are read once an image is in it.
    link_bits = np.int64(-1)
    # Where the names of the first <h1> and of the last heading begin.
    h1 = np.int64(-1)
    heading = np.int64(-1)
    href, href_end = np.int64(-1), np.int64(-1)
    waiting = np.int64(NO_ELEMENT)  # the row of the last image, in a noscript that follows the image
    mention = find_license(data, np.int64(0), end)
    stating = np.int64(0)
    while i >= 0 and i + 1 < end:
        if byte_at(data, i) != _LESS:
            i += 8 if i + 8 <= end and is_without(data, i, _LESS) else 1
            continue
        is_end = byte_at(data, i + 1) == _SLASH
        begin = i + 1 + is_end
        if begin >= end or not ord("a") <= byte_at(data, begin) | 32 <= ord("z"):
            i = after_other(data, i, end, depth > 0 and frames[depth - 1] != TEMPLATE)
            continue
        stop = after_name(data, begin, end)
        tag = name_index(data, begin, stop, TAG_NAMES)
        is_wanted = tag >= 0 and not is_end and (WANTED_KINDS[tag] >= 0 or tag == FONT)
        i, closes = read_attributes(data, stop, end, elements, count if is_wanted else NO_ELEMENT)
        if i < 0 or tag < 0:
            continue
        if is_end:
            depth, templates = after_end(frames, depth, tag, templates)
            waiting = NO_ELEMENT if tag == NOSCRIPT else waiting
            if (tag == A or IS_CONTAINER[tag]) and templates == 0 and not in_foreign_content(frames, depth):
                link = -1 if tag == A else link
                containers = containers if tag == A else after_container(opened, containers, tag)
            if tag == PICTURE:
                in_picture = False
                after_image = i if is_blank(data, after_image, begin - 2) else -1
            continue
        if in_foreign_content(frames, depth):
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
                    elements[count, CONTENT] = text
                    elements[count, CONTENT + 1] = text_end
                elements[count, KIND] = STATING_KINDS[tag]
                count += 1
                stating += 1
                if is_wanted:
                    read_attributes(data, stop, end, elements, count)
        if tag == TEMPLATE or ((tag == SVG or tag == MATH) and not closes):
            frames[depth] = tag
            depth += 1
            templates += tag == TEMPLATE
        elif IS_CONTAINER[tag] and templates == 0:
            opened[containers, TAG] = tag
            opened[containers, BEGIN] = stop
            opened[containers, BITS] = -1
            containers += 1
        elif tag == A and templates == 0:
            link = stop
            link_bits = -1
        elif IS_HEADING[tag] and templates == 0:
            heading = begin
            h1 = begin if tag == H1 and h1 < 0 else h1
        elif tag == PICTURE:
            in_picture = templates == 0
            source = -1
        elif tag == NOSCRIPT:
            waiting = image if is_blank(data, after_image, begin - 1) else NO_ELEMENT
        elif is_wanted and templates == 0:
            kind = WANTED_KINDS[tag]
            element = elements[count]
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
                    element[SOURCE_SET] = source
                    element[SOURCE_SET + 1] = source_end
                    kept |= source >= 0
                if kept:
                    bits = bits_inside(data, end, opened, containers, elements, count + 1)
                    if link >= 0:
                        if link_bits < 0:
                            # The next row is free to read them into, as nothing has filled it yet.
                            read_attributes(data, link, end, elements, count + 1)
                            href, href_end = elements[count + 1, HREF], elements[count + 1, HREF + 1]
                            link_bits = own_bits(data, elements[count + 1], np.int64(0))
                        element[LINK_HREF] = href
                        element[LINK_HREF + 1] = href_end
                        bits = inner_bits(bits, link_bits)
                    element[PLACES] = inner_bits(bits, own_bits(data, element, np.int64(0)))
                    element[AFTER] = i
                    element[LINK] = link - 1 if link >= 0 else -1  # The name `a` ends where the attributes begin.
                    element[HEADING] = heading
                    element[BLOCK] = block_of(opened, containers)
                in_picture = False
                waiting = NO_ELEMENT
                image = count
                after_image = i if kept else -1
            element[KIND] = kind
            count += kept
    return count, stating, h1


@lean
def after_container(opened, containers, tag):
    """Return how many containers are still open after an end tag `tag`.

    The end tag closes the innermost open container of that tag, and all containers in it. If that container is not
    among the CLOSABLE_CONTAINERS innermost ones, nothing is closed.
    """
    last = containers - 1
    while last >= 0 and last >= containers - CLOSABLE_CONTAINERS and opened[last, TAG] != tag:
        last -= 1
    return last if last >= 0 and last >= containers - CLOSABLE_CONTAINERS else containers


@lean
def bits_inside(data, end, opened, containers, elements, row):
    """Return the bits of the page inside the containers opened[:containers]; elements[row] is scratch memory."""
    marked = containers
    while marked > 0 and opened[marked - 1, BITS] < 0:
        marked -= 1
    bits = np.int64(opened[marked - 1, BITS]) if marked > 0 else np.int64(0)
    for k in range(marked, containers):
        read_attributes(data, np.int64(opened[k, BEGIN]), end, elements, row)
        bits = inner_bits(bits, own_bits(data, elements[row], TAG_BITS[opened[k, TAG]]))
        opened[k, BITS] = bits
        opened[k, NAMES] = hash_of_names(data, elements[row], opened[k, TAG])
    return bits


@lean
def hash_of_names(data, element, tag):
    """Return a hash of an element's tag and its class, without digits: items of a list are often numbered there."""
    value = np.int64(tag)
    for i in range(element[CLASS], element[CLASS + 1]):
        byte = byte_at(data, i)
        if not ord("0") <= byte <= ord("9"):
            value = (value + byte) * PRIME
    return value ^ value >> 32


@lean
def block_of(opened, containers):
    """Return a hash of the innermost BLOCK_CONTAINERS of opened[:containers], whose hashes are known."""
    value = np.int64(0)
    for k in range(max(containers - BLOCK_CONTAINERS, 0), containers):
        value = (value + opened[k, NAMES]) * PRIME
    return value ^ value >> 32


@lean
def own_bits(data, element, bits):
    """Return `bits` with the bits of the words in id, class, role and rel of an element.

    In rel, only words of ADVERT count. In role, the word `banner` means HEADER, not ADVERT.
    """
    bits |= bits_of_words(data, element[ID], element[ID + 1])
    bits |= bits_of_words(data, element[CLASS], element[CLASS + 1])
    bits |= bits_of_words(data, element[REL], element[REL + 1]) & ADVERT
    role = bits_of_words(data, element[ROLE], element[ROLE + 1])
    return bits | (role & ~ADVERT | HEADER if role & ADVERT else role)


@inline
def set_of(element):
    """Return begin and end of the first attribute in SETS of a <source> that is not empty; -1 twice without one."""
    begin, end = np.int64(-1), np.int64(-1)
    for column in range(FIRST_SET, FIRST_TEXT, 2):
        if begin < 0 and element[column] < element[column + 1]:
            begin, end = np.int64(element[column]), np.int64(element[column + 1])
    return begin, end


@inline
def has_text(element):
    """Return whether an image has a text that is not empty."""
    any_text = False
    for column in range(FIRST_TEXT, TEXTS_END, 2):
        any_text |= element[column] < element[column + 1]
    return any_text


@lean
def is_styled(element):
    """Return whether a <font> has an attribute that makes it end SVG or MathML: color, face or size."""
    return element[COLOR] >= 0 or element[FACE] >= 0 or element[SIZE] >= 0


@lean
def is_kept(element, kind):
    """Return whether an element has an attribute that makes it wanted; for an image, any link or text will do."""
    if kind == META:
        return element[CONTENT] >= 0 or element[CHARSET] >= 0
    if kind == HTML:
        return element[LANG] >= 0
    if kind == BASE:
        return element[HREF] >= 0
    any_value = False
    for column in range(VALUES, TEXTS_END, 2):
        any_value |= element[column] >= 0
    return any_value and kind >= 0


@lean
def in_foreign_content(frames, depth):
    """Return whether the innermost of frames[:depth] is SVG or MathML."""
    return depth > 0 and (frames[depth - 1] == SVG or frames[depth - 1] == MATH)


@lean
def html_depth(frames, depth):
    """Return how many of frames[:depth] are left when the innermost frames of SVG or MathML are closed."""
    while in_foreign_content(frames, depth):
        depth -= 1
    return depth


@lean
def in_foreign(frames, depth, tag):
    """Return the depth of `frames` after the start tag `tag` in SVG or MathML, if the tag does not end these."""
    top = frames[depth - 1]
    if tag == top or IS_POINT[int(top == MATH), tag]:
        frames[depth] = tag
        depth += 1
    return depth


@lean
def after_end(frames, depth, tag, templates):
    """Return the depth of `frames` and the number of open templates after the end tag `tag`."""
    top = frames[depth - 1] if depth else -1
    if tag == TEMPLATE and templates:
        while frames[depth - 1] != TEMPLATE:
            depth -= 1
        return depth - 1, templates - 1
    if in_foreign_content(frames, depth) and (tag == P or tag == BR):
        return html_depth(frames, depth), templates
    if tag == top:
        return depth - 1, templates
    if depth > 1 and top != TEMPLATE and in_foreign_content(frames, depth - 1) and tag == frames[depth - 2]:
        return depth - 2, templates  # </svg> or </math> closes an open child, such as <title>, as well.
    return depth, templates


@lean
def read_attributes(data, i, end, elements, row):
    """Return the index after the tag whose name ends at data[i], or -1 if it never ends, and whether it closes itself.

    The spans of the values of known attributes go into elements[row]; of attributes with the same name, the first
    counts.
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
        i += 1  # The first byte of a name may be =.
        while i < end and not ends_name(byte_at(data, i)) and byte_at(data, i) != _EQUALS:
            i += 1
        attribute = name_index(data, begin, i, ATTRIBUTE_NAMES) if row >= 0 else -1
        i, value, stop = read_value(data, i, end)
        if i < 0:
            return -1, False
        if attribute >= 0 and elements[row, ATTRIBUTE_COLUMNS[attribute]] < 0:
            elements[row, ATTRIBUTE_COLUMNS[attribute]] = value
            elements[row, ATTRIBUTE_COLUMNS[attribute] + 1] = stop
        elif attribute < 0 <= row and elements[row, OTHER_SRC] < 0 and is_picture_address(data, value, stop):
            elements[row, OTHER_SRC] = begin
            elements[row, OTHER_SRC + 1] = stop


@lean
def is_picture_address(data, i, end):
    """Return whether data[i:end] looks like a picture's address: a path with a picture's ending, then maybe a query."""
    slash = False
    dot = np.int64(-1)
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
