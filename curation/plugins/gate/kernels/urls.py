"""Find URLs of listed hosts, and URLs whose file or folder is named like a part of a page, such as a button."""

import numpy as np

from curation.kernels.texts import LOWERED
from curation.plugins.gate.kernels.phrases import BASIS, extended_hash, listed_bits
from curation.plugins.gate.kernels.url_paths import byte_of, code_size
from runtime.kernels import inline, lean

# The flags of a listed word say where in a name it counts; `image_rules.PLACES` explains them.
ANY, EDGE, ONLY, BESIDE, FOLDER, FOLDERS, NO, PICTURE = (np.uint8(1 << bit) for bit in range(8))
HOST = ANY  # the flag of a listed host, which has a dot, unlike any word
MAX_NAME_WORDS = 5  # The first and last word count as EDGE only in names of at most this length; longer names describe.

_SLASH, _DOT = (np.uint8(ord(character)) for character in "/.")

_NONE = np.uint8(0)

_OTHER, _LOWER, _UPPER = range(3)  # Letters outside ASCII count as lower case.
_CLASSES = np.full(256, _OTHER, np.uint8)
_CLASSES[ord("A") : ord("Z") + 1] = _UPPER
_CLASSES[ord("a") : ord("z") + 1] = _LOWER
_CLASSES[128:] = _LOWER
_PARTS = np.array([kind == _OTHER and chr(byte) not in "/.%" for byte, kind in enumerate(_CLASSES)])


@inline
def last_dot(data, begin, end):
    """Return the index of the last dot in the last part of the path data[begin:end], or -1 without a dot."""
    i = end - 1
    while i >= begin and data[i] != _SLASH:
        if data[i] == _DOT:
            return i
        i -= 1
    return -1


@inline
def next_state(flags, words, listed, seen, first, final, last):
    """Return the state of a part of a path (a folder or file) after one more word of its name, whose flags are `flags`.

    The state is the number of words that count; whether all words are listed; and the flags of all words together, of
    the first and of the final word that counts, and of the last word. A listed word with one of BESIDE, PICTURE and NO,
    but none of ANY, EDGE and ONLY, does not count.
    """
    listed = listed and flags != 0
    if last & NO and flags & PICTURE:
        flags |= ANY
    seen |= flags
    if flags & (ANY | EDGE | ONLY) != 0 or flags & (BESIDE | PICTURE | NO) == 0:
        words += 1
        first = flags if words == 1 else first
        final = flags
    return words, listed, seen, first, final, flags


@inline
def first_state():
    """Return the state of a part of a path before its first word, as `next_state` returns it."""
    return 0, True, _NONE, _NONE, _NONE, _NONE


@inline
def is_page_part(words, listed, seen, first, final):
    """Return whether a part of a URL's path has words that call the image a part of its page, such as an icon.

    The arguments are the state after all words of the part of the path, as `next_state` returns it, without the last
    item.
    """
    at_edge = words <= MAX_NAME_WORDS and (first | final) & EDGE != 0
    return seen & ANY != 0 or at_edge or (listed and seen & ONLY != 0)


@inline
def is_listed_host(data, begin, end, keys, bits):
    """Return whether the host data[begin:end], or a domain above it with a dot, is in the WordTable `keys`, `bits`.

    Hosts are hashed from their last byte to their first.
    """
    word = BASIS
    dots = 0
    is_listed = False
    i = end
    while i > begin and not is_listed:
        i -= 1
        word = extended_hash(word, LOWERED[data[i]])
        dots += data[i] == _DOT
        is_listed = dots > 0 and (i == begin or data[i - 1] == _DOT) and listed_bits(word, keys, bits) != 0
    return is_listed


@lean
def find_url_words(data, paths, keys, bits, out):
    """Set out[row] to whether a folder or the file of a URL is named like a part of the page, or its host is listed.

    `find_paths` makes `paths`; `keys` and `bits` are a WordTable of listed words and hosts. A word is a run of letters
    in any case. It ends before an upper-case letter that follows a lower-case letter, and before the last of several
    upper-case letters if a lower-case letter follows it.
    """
    for row in range(len(out)):
        host, end = paths[row, 0], paths[row, 1]
        i = host
        while i < end and data[i] != _SLASH:
            i += 1
        is_part = is_listed_host(data, host, i, keys, bits)
        named = False
        behind_dot = False
        dot = last_dot(data, i, end)
        words, listed, seen, first, final, latest = first_state()
        word = BASIS
        before = BASIS
        size = 0
        last = _OTHER
        last_byte = _NONE
        while i < end and not is_part:
            byte = byte_of(data, i, end)
            kind = _CLASSES[byte]
            if size > 0 and (kind == _OTHER or (kind == _UPPER and last == _LOWER)):
                flags = listed_bits(word, keys, bits)
                words, listed, seen, first, final, latest = next_state(flags, words, listed, seen, first, final, latest)
                word = BASIS
                size = 0
            elif kind == _LOWER and last == _UPPER and size > 1:
                flags = listed_bits(before, keys, bits)
                words, listed, seen, first, final, latest = next_state(flags, words, listed, seen, first, final, latest)
                word = extended_hash(BASIS, last_byte)
                size = 1
            if kind != _OTHER:
                before = word
                last_byte = LOWERED[byte]
                word = extended_hash(word, last_byte)
                size += 1
            elif byte == _SLASH:
                is_part = (listed and seen & FOLDER != 0) or latest & FOLDERS != 0
                words, listed, seen, first, final, latest = first_state()
                behind_dot = False
            elif i == dot:
                named = is_page_part(words, listed, seen, first, final)
                behind_dot = True
            last = kind
            i += code_size(data, i, end)
            # Most bytes of a path are letters within a word, or punctuation between words; these loops skip them fast.
            if kind == _LOWER:
                while i < end and _CLASSES[data[i]] == _LOWER:
                    word = extended_hash(word, LOWERED[data[i]])
                    size += 1
                    i += 1
            elif kind == _OTHER:
                while i < end and _PARTS[data[i]]:
                    i += 1
        if not is_part and not behind_dot:
            if size > 0:
                flags = listed_bits(word, keys, bits)
                words, listed, seen, first, final, latest = next_state(flags, words, listed, seen, first, final, latest)
            named = is_page_part(words, listed, seen, first, final)
        out[row] = is_part or named
