"""Find where single JSON tokens end: strings, numbers, white space; -1 means that the token is not read here."""

from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word, ones, trailing_zeros, without_lowest
from runtime.kernels.masks import WINDOW, string_stops

ANY, WHOLE, PLAIN = 0, 1, 2  # strings: well-formed; also without lone surrogates; without escapes but of slashes
QUOTE = ord('"')
_AHEAD = 8  # stops that are looked at from one on
_AT_ONCE = 8  # stops of a window that are written without a branch
MOST_DIGITS = 18  # of a number: longer ones are left to the slow path

_BACKSLASH, _LETTER_U, _MINUS, _ZERO = (ord(character) for character in "\\u-0")
_SPACES = sum(1 << ord(character) for character in " \t\n\r")
_ESCAPES = sum(1 << ord(character) - 64 for character in "\\bfnrt")
_TRUE, _NULL, _ALSE = (int.from_bytes(word, "little") for word in (b"true", b"null", b"alse"))


@inline
def after_space(data, i):
    """Return the place of the first byte from data[i] on that is no white space, -1 for -1."""
    while i >= 0 and byte_at(data, i) <= 32 and _SPACES >> byte_at(data, i) & 1:
        i += 1
    return i


@lean
def find_stops(data, begin, end, stops):
    """Write the places in data[begin:end] where a string may end or needs a look, ascending, and places behind.

    As many places behind are written as are ever looked at, the first a control at data[end]. Room is needed for all,
    and SLACK. Finding all stops at once takes half the time of a search from each quote on.
    """
    count = 0
    for i in range(begin, end + 1, WINDOW):
        bits = string_stops(data, i)
        more = ones(bits)
        for k in range(_AT_ONCE):  # mostly fewer: what is written too much is overwritten
            stops[count + k] = i + trailing_zeros(bits)
            bits = without_lowest(bits)
        for k in range(_AT_ONCE, more):
            stops[count + k] = i + trailing_zeros(bits)
            bits = without_lowest(bits)
        count += more
    stops[count : count + _AHEAD] = end + WINDOW


@lean
def string_end(data, i, kind, stops, at):
    """Return the place in `stops` of the quote that ends the string whose bytes begin at data[i]; -1 if not of `kind`.

    No stop before stops[at] is behind data[i].
    """
    while True:
        while stops[at] < i:
            at += 1
        byte = byte_at(data, stops[at])
        if byte != _BACKSLASH:
            return at if byte == QUOTE else -1
        size = escape_size(data, stops[at] + 1, kind)
        if size == 0 or kind == PLAIN:
            return -1
        i = stops[at] + 1 + size


@lean
def escape_size(data, i, kind):
    """Return the number of bytes of an escape behind its backslash, of both if it is one of a pair; 0 if it is none."""
    byte = byte_at(data, i)
    if byte == QUOTE or (byte >= 64 and byte < 128 and _ESCAPES >> (byte - 64) & 1):
        return 1
    code = hex_code(data, i)
    if code < 0:
        return 0
    if kind != WHOLE or code & 0xF800 != 0xD800:
        return 5
    low = hex_code(data, i + 6) if byte_at(data, i + 5) == _BACKSLASH else -1
    return 11 if code < 0xDC00 and low & ~0x3FF == 0xDC00 else 0


@inline
def hex_code(data, i):
    """Return the number that `u` and four hexadecimal digits at data[i] spell; -1 if other bytes are at data[i]."""
    code = 0 if byte_at(data, i) == _LETTER_U else -1
    for k in range(1, 5):
        byte = byte_at(data, i + k)
        letter = (byte | 32) - ord("a")
        digit = byte - _ZERO if _ZERO <= byte <= _ZERO + 9 else letter + 10 if 0 <= letter < 6 else -1
        code = code << 4 | digit if code >= 0 and digit >= 0 else -1
    return code


@inline
def scalar_end(data, i):
    """Return the place behind a short integer, true, false or null; -1 if it is none of these."""
    word = load_word(data, i)
    end = -1
    if word & 0xFFFFFFFF == _TRUE or word & 0xFFFFFFFF == _NULL:
        end = i + 4
    elif word & 0xFF == ord("f") and word >> 8 & 0xFFFFFFFF == _ALSE:
        end = i + 5
    else:
        begin = i + (byte_at(data, i) == _MINUS)
        end = begin
        while end < begin + MOST_DIGITS and _ZERO <= byte_at(data, end) <= _ZERO + 9:
            end += 1
        if end == begin or (byte_at(data, begin) == _ZERO and end > begin + 1):
            end = -1
    return end
