"""Find the images, bases, metas and language of a page in one pass over its tokens.

No tree is built: it may be as deep as the page is long, and building it may take quadratic time. Instead a stack of
frames, each the number of a tag name, records whether the current token is in a template, in SVG, in MathML, or in HTML
inside these. An end tag closes frames only; other open elements are ignored.
"""

import numpy as np

from curation.kernels.html import names
from curation.kernels.html.tags import NO_ELEMENT, after_name, after_other, end_of_raw, is_space, read_attributes
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at

_LESS, _SLASH = (ord(character) for character in "</")


@lean
def find_elements(data, end, frames, elements):
    """Fill a row of `elements` for each wanted element of data[:end] outside of templates; return their number.

    An image has the set of the first <source> with one before it in its <picture>, and the src of an image without text
    in the <noscript> behind it. `frames` is for what is open, and has end // 4 + 2 rows; `elements` has end // 9 + 2.
    """
    # A plain 0 is a type of its own, for which Numba would compile what it is handed to once more.
    i, depth, templates, count = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    in_picture, source, source_end = False, np.int64(-1), np.int64(-1)
    image, after_image = np.int64(0), np.int64(-1)  # the row of the last image, and its end
    waiting = np.int64(NO_ELEMENT)  # in a noscript behind an image: the row of that image
    while i >= 0 and i + 1 < end:
        if byte_at(data, i) != _LESS:
            i += 1
            continue
        is_end = byte_at(data, i + 1) == _SLASH
        begin = i + 1 + is_end
        if begin >= end or not ord("a") <= byte_at(data, begin) | 32 <= ord("z"):
            i = after_other(data, i, end, depth > 0 and frames[depth - 1] != names.TEMPLATE)
            continue
        stop = after_name(data, begin, end)
        tag = names.number_of(data, begin, stop, names.TAG_NAMES)
        is_wanted = tag >= 0 and not is_end and (names.WANTED_KINDS[tag] >= 0 or tag == names.FONT)
        i, closes = read_attributes(data, stop, end, elements, count if is_wanted else NO_ELEMENT)
        if i < 0 or tag < 0:
            continue
        if is_end:
            depth, templates = after_end(frames, depth, tag, templates)
            waiting = NO_ELEMENT if tag == names.NOSCRIPT else waiting
            if tag == names.PICTURE:
                in_picture = False
                after_image = i if is_blank(data, after_image, begin - 2) else -1
            continue
        if is_foreign(frames, depth):
            if not names.IS_BREAKOUT[tag] and not (tag == names.FONT and is_styled(elements[count])):
                depth = depth if closes else in_foreign(frames, depth, tag)
                continue
            depth = html_depth(frames, depth)
        if tag == names.TEMPLATE or ((tag == names.SVG or tag == names.MATH) and not closes):
            frames[depth] = tag
            depth += 1
            templates += tag == names.TEMPLATE
        elif names.IS_RAW[tag]:
            i = end if tag == names.PLAINTEXT else end_of_raw(data, begin, stop, i, end, tag == names.SCRIPT)
        elif tag == names.PICTURE:
            in_picture, source = templates == 0, -1
        elif tag == names.NOSCRIPT:
            waiting = image if is_blank(data, after_image, begin - 1) else NO_ELEMENT
        elif is_wanted and templates == 0:
            kind, element = names.WANTED_KINDS[tag], elements[count]
            if kind == names.SOURCE:
                if in_picture and source < 0:
                    source, source_end = set_of(element)
                continue
            kept = is_kept(element, kind)
            if kind == names.IMG or kind == names.IMAGE:
                if waiting >= 0 and not has_text(element):
                    elements[waiting, names.NOSCRIPT_SRC] = element[names.SRC]
                    elements[waiting, names.NOSCRIPT_SRC + 1] = element[names.SRC + 1]
                if in_picture:
                    element[names.SOURCE_SET], element[names.SOURCE_SET + 1] = source, source_end
                    kept |= source >= 0
                in_picture, waiting, image, after_image = False, NO_ELEMENT, count, i if kept else -1
            element[names.KIND] = kind
            count += kept
    return count


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
    for column in range(names.FIRST_SET, names.FIRST_TEXT, 2):
        if begin < 0 and element[column] < element[column + 1]:
            begin, end = np.int64(element[column]), np.int64(element[column + 1])
    return begin, end


@inline
def has_text(element):
    """Return whether an image has a text that is not empty."""
    found = False
    for column in range(names.FIRST_TEXT, names.TEXTS_END, 2):
        found |= element[column] < element[column + 1]
    return found


@lean
def is_styled(element):
    """Return whether a <font> has an attribute that tells it from a font of SVG."""
    return element[names.COLOR] >= 0 or element[names.FACE] >= 0 or element[names.SIZE] >= 0


@lean
def is_kept(element, kind):
    """Return whether an element of this kind has an attribute for which it is wanted, an image a link or a text."""
    if kind == names.META:
        return element[names.CONTENT] >= 0 or element[names.CHARSET] >= 0
    if kind == names.HTML:
        return element[names.LANG] >= 0
    if kind == names.BASE:
        return element[names.HREF] >= 0
    found = False
    for column in range(names.VALUES, names.TEXTS_END, 2):
        found |= element[column] >= 0
    return found and kind >= 0


@lean
def is_foreign(frames, depth):
    """Return whether frames[:depth] end in SVG or MathML."""
    return depth > 0 and (frames[depth - 1] == names.SVG or frames[depth - 1] == names.MATH)


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
    if tag == top or names.IS_POINT[int(top == names.MATH), tag]:
        frames[depth] = tag
        depth += 1
    return depth


@lean
def after_end(frames, depth, tag, templates):
    """Return the depth and the number of templates after the end tag of `tag`."""
    top = frames[depth - 1] if depth else -1
    if tag == names.TEMPLATE and templates:
        while frames[depth - 1] != names.TEMPLATE:
            depth -= 1
        return depth - 1, templates - 1
    if is_foreign(frames, depth) and (tag == names.P or tag == names.BR):
        return html_depth(frames, depth), templates
    if tag == top:
        return depth - 1, templates
    if depth > 1 and top != names.TEMPLATE and is_foreign(frames, depth - 1) and tag == frames[depth - 2]:
        return depth - 2, templates  # </svg> where a <title> in it is open
    return depth, templates
