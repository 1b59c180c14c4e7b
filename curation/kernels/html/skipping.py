"""Find where comments, CDATA sections and the text of raw elements end, as the HTML standard's tokenizer has it."""

import numpy as np

from curation.kernels.html.names import lower
from curation.kernels.html.tags import ends_name
from runtime.kernels import lean
from runtime.kernels.machine import byte_at

_DASH, _GREATER, _LESS, _SLASH, _BANG, _QUESTION = (ord(character) for character in "-></!?")


def _bytes(text):
    return np.frombuffer(text.encode(), np.uint8)


_COMMENT, _CDATA, _CDATA_END = map(_bytes, ("--", "[CDATA[", "]]>"))


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
        return after_cdata(data, i + 2 + len(_CDATA), end)
    is_comment = after == _BANG or after == _SLASH or after == _QUESTION
    return after_greater(data, i + 2, end) if is_comment else i + 1


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
def after_cdata(data, i, end):
    """Return the place behind the CDATA section whose text begins at data[i]."""
    while i < end and not says(data, i, end, _CDATA_END):
        i += 1
    return min(i + len(_CDATA_END), end)


@lean
def after_greater(data, i, end):
    """Return the place behind the next > from data[i] on."""
    while i < end and byte_at(data, i) != _GREATER:
        i += 1
    return min(i + 1, end)


@lean
def is_name(data, i, end, begin, stop):
    """Return whether the name at data[i] is data[begin:stop], in any case, and ends there."""
    k = 0
    while begin + k < stop and i + k < end and lower(byte_at(data, i + k)) == lower(byte_at(data, begin + k)):
        k += 1
    return begin + k == stop and i + k < end and ends_name(byte_at(data, i + k))


@lean
def end_of_text(data, begin, stop, i, end):
    """Return where the end tag of the raw element begins whose name is data[begin:stop] and whose text begins at i."""
    while i + 1 < end:
        if byte_at(data, i) == _LESS and byte_at(data, i + 1) == _SLASH and is_name(data, i + 2, end, begin, stop):
            return i
        i += 1
    return end


@lean
def end_of_script(data, begin, stop, i, end):
    """Return what `end_of_text` returns for a script: in a comment, a script in it hides its own end tag."""
    in_comment, in_script = False, False
    while i + 1 < end:
        byte, after = byte_at(data, i), byte_at(data, i + 1)
        if byte == _LESS and after == _SLASH and is_name(data, i + 2, end, begin, stop):
            if not in_script:
                return i
            in_script = False
        elif byte == _LESS and after == _BANG and not in_comment and says(data, i + 2, end, _COMMENT):
            in_comment = True
            i += 1
        elif byte == _LESS and in_comment and not in_script and is_name(data, i + 1, end, begin, stop):
            in_script = True
        elif byte == _DASH and after == _DASH and i + 2 < end and byte_at(data, i + 2) == _GREATER:
            in_comment, in_script = False, False
        i += 1
    return end
