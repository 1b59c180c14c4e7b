"""Skip members of JSON that are not needed, and whole objects of lists, string by string.

Nearly all of a WAT file is skipped. JSON that is odd in any way is left to `links`, which looks at each token.
"""

import numpy as np

from curation.kernels.wat.tokens import ANY, QUOTE, after_space, string_end
from runtime.kernels import lean
from runtime.kernels.machine import byte_at, load_word

_COMMA, _OPEN, _CLOSE = (ord(character) for character in ",{}")
_PATH_NAME, _STRING_FOLLOWS = (int.from_bytes(word, "little") for word in (b'"path"', b'":"'))
_3_BYTES, _6_BYTES = (1 << 24) - 1, (1 << 48) - 1


@lean
def after_objects(data, i, stops, at):
    """Return the place behind the objects that follow in a list, as long as they are of strings.

    The last object of a list is left, as is any that may be unsound. With the place comes a stop before it.
    """
    while byte_at(data, i) == _OPEN and byte_at(data, i + 1) == QUOTE:
        behind, last = after_strings(data, i, stops, at, True)
        if behind < 0 or byte_at(data, behind) != _CLOSE or byte_at(data, behind + 1) != _COMMA:
            break
        i, at = after_space(data, behind + 2), last
    return i, at


@lean
def after_strings(data, i, stops, at, fresh):
    """Return the place behind the members that follow in an object, as long as they are strings and none is `path`.

    A comma is before each; `fresh`: before the first is the brace, and it may be `path`. With the place comes a stop
    before it.
    """
    while i >= 0 and (fresh or byte_at(data, i) == _COMMA) and byte_at(data, i + 1) == QUOTE:
        while stops[at] <= i:
            at += 1
        name_end, last = np.int64(stops[at + 1]), at + 3
        is_path = load_word(data, i + 1) & _6_BYTES == _PATH_NAME and not fresh
        if is_path or load_word(data, name_end) & _3_BYTES != _STRING_FOLLOWS:
            break
        if byte_at(data, stops[last]) != QUOTE:
            last = string_end(data, name_end + 3, ANY, stops, last)
            if last < 0:
                break
        i, at, fresh = np.int64(stops[last]) + 1, last, False
    return after_space(data, i), at
