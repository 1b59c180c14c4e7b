"""Read the heads of WARC records in the usual format: a version, `WARC-Type`, and fields of one line each.

The fields are other `WARC-` fields, `Content-Type`, and one `Content-Length`. Any other head is left to a parser that
knows all formats.
"""

import numpy as np

from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at

UNUSUAL, METADATA, RESPONSE, OTHER = range(4)  # These are the kinds of records.
KIND, BEGIN, END = 0, 1, 2  # A head has these columns: the record's kind, and where its block begins and ends.
HEAD_COLUMNS = 3

_CR, _LF, _COLON, _DASH, _ZERO = (ord(character) for character in "\r\n:-0")
_MAX_LENGTH_DIGITS = 8  # A content length has at most this many digits.
_LINE_ENDS = 4  # This many bytes follow a block.


def _bytes(text):
    return np.frombuffer(text.encode(), np.uint8)


_VERSION, _WARC_TYPE, _WARC, _TYPE = map(_bytes, ("WARC/1.", "\r\nWARC-Type: ", "WARC-", "Type"))
_CONTENT_TYPE, _CONTENT_LENGTH = map(_bytes, ("Content-Type", "Content-Length: "))
_METADATA, _RESPONSE, _END, _ENDS = map(_bytes, ("metadata\r", "response\r", "\r\n", "\r\n\r\n"))


@lean
def read_heads(data, begins, ends, heads):
    """Set heads[k] to KIND, and BEGIN and END of the block, of the record in the member data[begins[k]:ends[k]]."""
    for member in range(len(ends)):
        read_head(data, begins[member], ends[member], heads[member])


@lean
def read_head(data, begin, end, head):
    """Set `head` for the member data[begin:end]; its kind is UNUSUAL unless it is one record in the usual format."""
    kind, i = read_kind(data, begin, end)
    length = 0
    while i >= 0 and not says(data, i, end, _END):
        if says(data, i, end, _CONTENT_LENGTH) and length == 0:
            length, i = read_length(data, i + len(_CONTENT_LENGTH), end)
        else:
            i = after_field(data, i, end)
    i += len(_END)
    usual = i >= len(_END) and 0 < length == end - _LINE_ENDS - i and says(data, i + length, end, _ENDS)
    head[KIND] = kind if usual else UNUSUAL
    head[BEGIN] = i
    head[END] = i + length


@inline
def says(data, i, end, text):
    """Say whether data[i:end] begins with the bytes of `text`."""
    k = 0
    while k < len(text) and i + k < end and byte_at(data, i + k) == text[k]:
        k += 1
    return k == len(text)


@inline
def read_kind(data, i, end):
    """Return the kind of the record that begins at data[i], and where its third line begins: -1 in an unusual head."""
    line_end = i + len(_VERSION) + 1
    versioned = says(data, i, end, _VERSION) and byte_at(data, line_end - 1) & ~1 == _ZERO
    versioned = versioned and says(data, line_end, end, _WARC_TYPE)
    begin = line_end + len(_WARC_TYPE)
    stop = begin
    while stop < end and ord("a") <= byte_at(data, stop) <= ord("z"):
        stop += 1
    kind = METADATA if says(data, begin, end, _METADATA) else RESPONSE if says(data, begin, end, _RESPONSE) else OTHER
    return kind, stop + len(_END) if versioned and stop > begin and says(data, stop, end, _END) else -1


@inline
def read_length(data, i, end):
    """Return the length in the line from data[i] on, and where the next line begins: -1 if it has no plain length."""
    begin = i
    length = 0
    while i < min(end, begin + _MAX_LENGTH_DIGITS) and _ZERO <= byte_at(data, i) <= _ZERO + 9:
        length = 10 * length + byte_at(data, i) - _ZERO
        i += 1
    plain = i > begin and byte_at(data, begin) != _ZERO and says(data, i, end, _END)
    return length, i + len(_END) if plain else -1


@inline
def after_field(data, i, end):
    """Return the begin of the line after a field that is not needed; -1 if the line is not such a field."""
    begin = i + len(_WARC) if says(data, i, end, _WARC) else -1
    if begin >= 0 and not says(data, begin, end, _TYPE):
        i = begin
        while i < end and (ord("a") <= byte_at(data, i) | 32 <= ord("z") or byte_at(data, i) == _DASH):
            i += 1
    elif says(data, i, end, _CONTENT_TYPE):
        i += len(_CONTENT_TYPE)
    else:
        begin = i
    named = i > begin and i + 2 < end and byte_at(data, i) == _COLON and byte_at(data, i + 1) == ord(" ")
    i += 2
    if not named or not ord("!") <= byte_at(data, i) <= ord("~"):
        return -1
    while i < end and byte_at(data, i) != _CR and byte_at(data, i) != _LF:
        i += 1
    return i + len(_END) if says(data, i, end, _END) else -1
