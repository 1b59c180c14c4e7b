"""Find the URLs whose file or folders have a name that says: a part of the page, not a picture on it.

Also find the texts that are a name in the host of a URL."""

import numpy as np

from curation.kernels.exclusion import host_span
from curation.kernels.texts import BASIS, bits_of, joined
from curation.kernels.url_paths import LOWERED, byte_of, is_stop, size_of
from runtime.kernels import inline, lean

# What a listed word means, by where it stands.
ANY, EDGE, ONLY, BESIDE, FOLDER, FOLDERS, NO, PICTURE = (np.uint8(1 << bit) for bit in range(8))
MOST_WORDS = 5  # of a name at whose edges a word counts: longer ones describe

_SLASH, _DOT, _Z = (np.uint8(ord(character)) for character in "/.z")
_SVG = np.frombuffer(b".svg", np.uint8)

_NONE = np.uint8(0)

LEAST = 3  # letters and digits of a name
_DASH = np.uint8(ord("-"))

_OTHER, _LOWER, _UPPER = range(3)  # letters outside ASCII count as lower case
_CLASSES = np.full(256, _OTHER, np.uint8)
_CLASSES[ord("A") : ord("Z") + 1] = _UPPER
_CLASSES[ord("a") : ord("z") + 1] = _CLASSES[128:] = _LOWER
_PARTS = np.array([kind == _OTHER and chr(byte) not in "/.%" for byte, kind in enumerate(_CLASSES)])


@inline
def last_dot(data, begin, end):
    """Return where the ending of the last part of a path begins; -1 if it has none."""
    i = end - 1
    while i >= begin and data[i] != _SLASH:
        if data[i] == _DOT:
            return i
        i -= 1
    return -1


@inline
def counted(own, words, known, seen, first, final, last):
    """Return the state of a part of a path with one word more, which has the bits `own`: words other than BESIDE,
    whether all are listed, the bits of all, those of the first and the final word other than BESIDE, and of the last.
    """
    known = known and own != 0
    if last & NO and own & PICTURE:
        own |= ANY
    seen |= own
    if own & ~(BESIDE | PICTURE | NO) != 0 or own == 0:
        words += 1
        first = own if words == 1 else first
        final = own
    return words, known, seen, first, final, own


@inline
def is_named(words, known, seen, first, final):
    """Return whether the words are those of a file that is a part of the page."""
    at_edge = words <= MOST_WORDS and (first | final) & EDGE != 0
    return seen & ANY != 0 or at_edge or (known and seen & ONLY != 0)


@lean
def find_url_words(data, paths, keys, bits, out):
    """out[row] = whether names in the path of a URL are those of parts of a page; `paths` is of find_paths.

    Words are runs of letters in any case, and end before an upper-case letter behind a lower-case one, and before the
    last upper-case letter of several that a lower-case one follows. `keys` and `bits` hold the listed ones.
    """
    for row in range(len(out)):
        i, end = paths[row, 0], paths[row, 1]
        while i < end and data[i] != _SLASH:
            i += 1
        dot = last_dot(data, i, end)
        found, named, behind_dot = False, False, False
        words, known, seen, first, final, latest = 0, True, _NONE, _NONE, _NONE, _NONE
        word, before, size, last, last_byte = BASIS, BASIS, 0, _OTHER, _NONE
        while i < end and not found:
            byte = byte_of(data, i, end)
            kind = _CLASSES[byte]
            if size > 0 and (kind == _OTHER or (kind == _UPPER and last == _LOWER)):
                own = bits_of(word, keys, bits)
                words, known, seen, first, final, latest = counted(own, words, known, seen, first, final, latest)
                word, size = BASIS, 0
            elif kind == _LOWER and last == _UPPER and size > 1:
                own = bits_of(before, keys, bits)
                words, known, seen, first, final, latest = counted(own, words, known, seen, first, final, latest)
                word, size = joined(BASIS, last_byte), 1
            if kind != _OTHER:
                before, last_byte = word, LOWERED[byte]
                word = joined(word, last_byte)
                size += 1
            elif byte == _SLASH:
                found = (known and seen & FOLDER != 0) or latest & FOLDERS != 0
                words, known, seen, first, final, latest = 0, True, _NONE, _NONE, _NONE, _NONE
                behind_dot = False
            elif i == dot:
                named, behind_dot = is_named(words, known, seen, first, final), True
            last = kind
            i += size_of(data, i, end)
            if kind == _LOWER:  # the bulk of a path: letters that end no word, and signs that begin none
                while i < end and _CLASSES[data[i]] == _LOWER:
                    word = joined(word, LOWERED[data[i]])
                    size += 1
                    i += 1
            elif kind == _OTHER:
                while i < end and _PARTS[data[i]]:
                    i += 1
        if not found and not behind_dot:
            if size > 0:
                own = bits_of(word, keys, bits)
                words, known, seen, first, final, latest = counted(own, words, known, seen, first, final, latest)
            named = is_named(words, known, seen, first, final)
        out[row] = found or named


@lean
def find_svg(data, offsets, paths, out):
    """out[row] = whether URL data[offsets[row]:offsets[row + 1]] ends, before query and fragment, in .svg or .svgz.

    `paths` is of find_paths.
    """
    for row in range(len(out)):
        begin, end = offsets[row], paths[row, 1]
        for i in range(begin, paths[row, 0]):
            end = i if i < end and is_stop(data[i]) else end
        if end > begin and LOWERED[data[end - 1]] == _Z:
            end -= 1
        found = end - len(_SVG) >= begin
        for place in range(len(_SVG)):
            found = found and LOWERED[data[end - len(_SVG) + place]] == _SVG[place]
        out[row] = found


_IS_NAMED = np.zeros(256, np.bool_)  # bytes that a name is made of
for _byte in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
    _IS_NAMED[_byte] = True


@inline
def is_in_host(text, begin, end, data, i, host_end):
    """Return whether a text is whole labels of a host from i on; dots, dashes and signs are passed over."""
    k, size = begin, 0
    while True:
        while k < end and not _IS_NAMED[text[k]]:
            if text[k] >= 0x80:
                return False
            k += 1
        while i < host_end and data[i] == _DASH:
            i += 1
        if k == end:
            return size >= LEAST and (i == host_end or data[i] == _DOT)
        while i < host_end and (data[i] == _DOT or data[i] == _DASH):
            i += 1
        if i == host_end or LOWERED[data[i]] != LOWERED[text[k]]:
            return False
        i, k, size = i + 1, k + 1, size + 1


@lean
def find_site_names(offsets, text, own_offsets, own, page_offsets, page, url_offsets, url, images, out):
    """out[row] = whether a text is one or more whole labels of the host of its page.

    That is own[own_offsets[row]:...], or where this is empty page[page_offsets[images[row]]:...], or else `url`,
    likewise by image.
    """
    for row in range(len(out)):
        begin, end, image = offsets[row], offsets[row + 1], images[row]
        data, first, last = own, own_offsets[row], own_offsets[row + 1]
        if first == last:
            data, first, last = page, page_offsets[image], page_offsets[image + 1]
        if first == last:
            data, first, last = url, url_offsets[image], url_offsets[image + 1]
        out[row] = False
        if begin < end and text[begin] < 0x80:
            i, host_end = host_span(data, first, last)
            while i < host_end and not out[row]:
                out[row] = is_in_host(text, begin, end, data, i, host_end)
                while i < host_end and data[i] != _DOT:
                    i += 1
                i += 1
