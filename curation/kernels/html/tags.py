"""Read tags: where a name and each attribute begin and end, as the HTML standard's tokenizer has it."""

from curation.kernels.html.names import ATTRIBUTE_COLUMNS, ATTRIBUTE_NAMES, number_of
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at

_SPACE, _SLASH, _EQUALS, _GREATER, _QUOTE, _APOSTROPHE = (ord(character) for character in " /=>\"'")
_TAB, _LF, _FF, _CR = (ord(character) for character in "\t\n\f\r")
NO_ELEMENT = -1  # instead of a row: the values are not wanted


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
