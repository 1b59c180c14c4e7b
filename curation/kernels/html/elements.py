"""Find the images, bases, metas and language of a page in one pass over its tokens.

No tree is built: a tree may be as deep as the page is long, and the time for it the square of that.
"""

from curation.kernels.html.names import (
    BASE,
    CHARSET,
    COLOR,
    CONTENT,
    FACE,
    FONT,
    HREF,
    HTML,
    IS_BREAKOUT,
    IS_RAW,
    KIND,
    LANG,
    MATH,
    META,
    PLAINTEXT,
    SCRIPT,
    SIZE,
    SRC,
    SVG,
    TAG_NAMES,
    TEMPLATE,
    WANTED_KINDS,
    number_of,
)
from curation.kernels.html.nesting import after_end, html_depth, in_foreign, is_foreign
from curation.kernels.html.skipping import after_other, end_of_script, end_of_text
from curation.kernels.html.tags import NO_ELEMENT, after_name, read_attributes
from runtime.kernels import lean
from runtime.kernels.machine import byte_at

_LESS, _SLASH = (ord(character) for character in "</")


@lean
def find_elements(data, end, frames, elements):
    """Fill a row of `elements` for each wanted element of data[:end] outside of templates; return their number.

    `frames` is for what is open, and has end // 4 + 2 rows; `elements` has end // 9 + 2.
    """
    i, depth, templates, count = 0, 0, 0, 0
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
            continue
        if is_foreign(frames, depth):
            if not IS_BREAKOUT[tag] and not (tag == FONT and is_styled(elements[count])):
                depth = depth if closes else in_foreign(frames, depth, tag)
                continue
            depth = html_depth(frames, depth)
        if tag == TEMPLATE or ((tag == SVG or tag == MATH) and not closes):
            frames[depth] = tag
            depth += 1
            templates += tag == TEMPLATE
        elif IS_RAW[tag]:
            i = after_text(data, begin, stop, i, end, tag)
        elif is_wanted and templates == 0 and is_kept(elements[count], WANTED_KINDS[tag]):
            elements[count, KIND] = WANTED_KINDS[tag]
            count += 1
    return count


@lean
def is_styled(element):
    """Return whether a <font> has an attribute that tells it from a font of SVG."""
    return element[COLOR] >= 0 or element[FACE] >= 0 or element[SIZE] >= 0


@lean
def is_kept(element, kind):
    """Return whether an element of this kind has what it is wanted for."""
    if kind == META:
        return element[CONTENT] >= 0 or element[CHARSET] >= 0
    if kind == HTML:
        return element[LANG] >= 0
    return kind >= 0 and element[HREF if kind == BASE else SRC] >= 0


@lean
def after_text(data, begin, stop, i, end, tag):
    """Return where the text ends that begins at data[i] in the raw element `tag`, whose name is data[begin:stop]."""
    if tag == PLAINTEXT:
        return end
    return end_of_script(data, begin, stop, i, end) if tag == SCRIPT else end_of_text(data, begin, stop, i, end)
