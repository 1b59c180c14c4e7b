"""Read tags and the values of their attributes byte by byte, and find the word by which a page may state a licence.

Tags, comments and CDATA are read by the rules of the HTML standard's tokenizer. Two integers hold a name, its bytes in
lower case; no name that is looked for has more than 16 bytes. The word is `license`, or `publicdomain` in an address of
Creative Commons.
"""

import numpy as np

from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word, lowest, trailing_zeros, without_lowest
from runtime.kernels.masks import SLACK, WINDOW, license_mask

_MAX_NAME_BYTES = 16
_NUL = 255  # The integers hold this byte for a zero byte in a name, because zeros fill them up.

_SPACE, _SLASH, _EQUALS, _LESS, _GREATER, _QUOTE, _APOSTROPHE = (ord(character) for character in " /=<>\"'")
_TAB, _LF, _FF, _CR = (ord(character) for character in "\t\n\f\r")
_DASH, _BANG, _QUESTION, _BACKSLASH, _COLON, _BRACKET, _COMMA = (ord(character) for character in "-!?\\:[,")

_LOWEST_BITS = 0x0101010101010101  # This has the lowest bit of each byte of a word.
_HIGHEST_BITS = -0x7F7F7F7F7F7F7F80

_LICENSE, _LICDOMAI = (int.from_bytes(word, "little") for word in (b"license", b"licdomai"))
_LOWER_BITS = 0x2020202020202020  # These bits make eight letters lower-case.
_PUB = len("pub")
# The beginning of a string is searched at most this many bytes before the word; the envelope before links is longer.
_MAX_BYTES_BEFORE = 100
_ORG = int.from_bytes(b"org", "little")
_REL, _NAME, _PROPERTY, _LINK = (int.from_bytes(end, "little") for end in (b"el", b"me", b"ty", b"nk"))
_TWO_LOWER_BITS = 0x2020  # These bits make two letters lower-case.


def _packed(name):
    return np.frombuffer(name.encode().ljust(_MAX_NAME_BYTES, b"\0"), "<i8")


def table_of(names):
    """Return the names, sorted by the two integers that hold a name's bytes, and these integers, int64[name, 2]."""
    ordered = sorted(names, key=lambda name: tuple(_packed(name)))
    integers = np.array([_packed(name) for name in ordered])
    # Numba takes a global array as read-only, and an attribute of a module as it is; kernels need one type for both.
    integers.flags.writeable = False
    return ordered, integers


def _bytes(text):
    return np.frombuffer(text.encode(), np.uint8)


_COMMENT, _CDATA, _CDATA_END, _TAG_END = map(_bytes, ("--", "[CDATA[", "]]>", ">"))


@inline
def lower(byte):
    return byte | 32 if ord("A") <= byte <= ord("Z") else byte


@lean
def name_index(data, begin, end, names):
    """Return the index in `names` of the name data[begin:end], in any case, or -1."""
    if end - begin > _MAX_NAME_BYTES:
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
        low += 1  # Several names may share their first eight bytes.
    return low if low < len(names) and names[low, 0] == first and names[low, 1] == second else -1


@inline
def is_without(data, i, byte):
    """Return whether none of the eight bytes data[i:i + 8] is `byte`."""
    others = load_word(data, i) ^ (_LOWEST_BITS * byte)
    return (others - _LOWEST_BITS) & ~others & _HIGHEST_BITS == 0


@inline
def is_space(byte):
    return byte == _SPACE or byte == _LF or byte == _TAB or byte == _CR or byte == _FF


@inline
def ends_name(byte):
    return is_space(byte) or byte == _SLASH or byte == _GREATER


@lean
def after_name(data, i, end):
    """Return the index at which the name of the tag at data[i] ends."""
    while i < end and not ends_name(byte_at(data, i)):
        i += 1
    return i


@inline
def is_blank(data, i, end):
    """Return whether data[i:end] is empty or only white space; false if i is below 0."""
    while 0 <= i < end and is_space(byte_at(data, i)):
        i += 1
    return i == end


@lean
def read_value(data, i, end):
    """Read the value of the attribute whose name ends before data[i]; return the index after it, and its begin and end.

    For an attribute without a value, all three are the index at which the value would begin. The first is -1 if a quote
    is not closed.
    """
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
        while i + 8 <= end and is_without(data, i, quote):
            i += 8
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
    """Return the index after a comment, CDATA, or a plain <, where the < at data[i] does not begin a tag."""
    after = byte_at(data, i + 1)
    if after == _BANG and says(data, i + 2, end, _COMMENT):
        return after_comment(data, i + 2 + len(_COMMENT), end)
    if after == _BANG and may_be_cdata and says(data, i + 2, end, _CDATA):
        return after_text(data, i + 2 + len(_CDATA), end, _CDATA_END)
    is_comment = after == _BANG or after == _SLASH or after == _QUESTION
    return after_text(data, i + 2, end, _TAG_END) if is_comment else i + 1


@lean
def after_comment(data, i, end):
    """Return the index after the comment whose text begins at data[i]."""
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
    """Return the index after the next `text` from data[i] on, or `end` if there is none."""
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
    """Return the index of the end tag of a raw element, such as script, whose text begins at data[i], or `end`.

    The element's name is data[begin:stop]. By the HTML standard, after a script start tag in a comment in a script, the
    next script end tag does not end the element.
    """
    in_comment = False
    in_script = False
    while i + 1 < end:
        while not in_comment and i + 8 <= end and is_without(data, i, _LESS):
            i += 8
        byte = byte_at(data, i)
        after = byte_at(data, i + 1)
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
            in_comment = False
            in_script = False
        i += 1
    return end


@lean
def find_license(data, i, end):
    """Return where data[i:end] first has `license`, or `licdomain` as in `publicdomain`, in any case; else `end`."""
    while i + WINDOW + SLACK < end:
        hits = license_mask(data, i)
        while hits != 0:
            if is_license(data, i + trailing_zeros(hits)):
                return i + trailing_zeros(hits)
            hits = without_lowest(hits)
        i += WINDOW
    while i + 8 <= end:
        if is_license(data, i):
            return i
        i += 1
    return end


@inline
def is_license(data, i):
    """Return whether `license` or `licdomai` is at data[i], in any case."""
    word = load_word(data, i) | _LOWER_BITS
    return word & lowest(56) == _LICENSE or word == _LICDOMAI


@lean
def find_statement(data, i, end):
    """Return where the next `license` or `licdomain` that may state a licence begins in the JSON data[i:end], or `end`.

    Such a word is in an address, in a rel, in the name of a meta, or in the header Link.
    """
    i = find_license(data, i, end)
    while i < end and not is_in_address(data, i) and not is_in_naming_value(data, i):
        i = find_license(data, i + 1, end)
    return i


@inline
def is_in_address(data, i):
    """Return whether the word at data[i] begins the path of a host that ends in `org`; its slash may be escaped."""
    i -= 1 if byte_at(data, i + 3) | 32 == ord("e") else 1 + _PUB
    slash = byte_at(data, i) == _SLASH
    i -= byte_at(data, i - 1) == _BACKSLASH
    return slash and (load_word(data, i - 3) | _LOWER_BITS) & lowest(24) == _ORG


@inline
def is_in_naming_value(data, i):
    """Return whether the word at data[i] may be in the value of a rel, name, property or Link.

    A string in a list may be one of several values of Link. A long string, or a string with escaped quotes, may be the
    value of any of them.
    """
    first = max(_MAX_BYTES_BEFORE, i - _MAX_BYTES_BEFORE)
    while i > first and byte_at(data, i) != _QUOTE:
        i -= 1
    if i == first or byte_at(data, i - 1) == _BACKSLASH:
        return True
    i -= 1
    while i > first - _MAX_BYTES_BEFORE and (byte_at(data, i) <= _SPACE or byte_at(data, i) == _COLON):
        i -= 1
    if byte_at(data, i) == _BRACKET or byte_at(data, i) == _COMMA:
        return True
    key = load_word(data, i - 2) & lowest(16) if byte_at(data, i) == _QUOTE else 0
    return key == _REL or key == _NAME or key == _PROPERTY or key | _TWO_LOWER_BITS == _LINK
