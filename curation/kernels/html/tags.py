"""Read tags, and skip what is not a tag, by the rules of the HTML standard's tokenizer.

For a tag, find where its name and each attribute begin and end. For a comment, a CDATA section or the text of a raw
element, find where it ends.
"""

import numpy as np

from curation.kernels.html.names import ATTRIBUTE_COLUMNS, ATTRIBUTE_NAMES, lower, number_of
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at

_SPACE, _SLASH, _EQUALS, _LESS, _GREATER, _QUOTE, _APOSTROPHE = (ord(character) for character in " /=<>\"'")
_TAB, _LF, _FF, _CR = (ord(character) for character in "\t\n\f\r")
_DASH, _BANG, _QUESTION = (ord(character) for character in "-!?")
NO_ELEMENT = -1  # instead of a row: the values are not wanted


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
