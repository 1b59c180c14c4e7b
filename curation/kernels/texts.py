"""Classify texts by their characters: byte kinds, scripts, number of words, and equality with the image's URL."""

import numpy as np

from curation.kernels.trie.keys import decode
from curation.kernels.url_paths import LOWERED, byte_of, size_of
from runtime.kernels import inline, lean

# Marks of bytes for find_marks, which takes others, too.
LETTER, DOT, SUFFIX, DIGIT, SPACE = (np.uint16(1 << bit) for bit in range(5))
NO, YES, UNSURE = 0, 1, 2  # UNSURE: letters outside ASCII differ, maybe only in case


@lean
def find_marks(offsets, data, marks, out, digits, spaces):
    """out[text] = the marks of all bytes of the text together, and SUFFIX where a LETTER is behind a DOT; uint16.

    `marks` has those of each byte value; digits[text] and spaces[text] are how many bytes have DIGIT and SPACE, int32.
    """
    for text in range(len(out)):
        found, last, own_digits, own_spaces = np.uint16(0), np.uint16(0), np.int32(0), np.int32(0)
        for i in range(offsets[text], offsets[text + 1]):
            mark = marks[data[i]]
            found |= mark | ((last & DOT) << 1 & (mark & LETTER) << 2)
            own_digits += (mark & DIGIT) != 0
            own_spaces += (mark & SPACE) != 0
            last = mark
        out[text], digits[text], spaces[text] = found, own_digits, own_spaces


@lean
def find_signs(data, offsets, pages, is_digit, enough, digits, may_have_at):
    """digits[text] = number of decimal digits, in tables as `find_foreign` reads them; of ASCII's where `enough` are.

    may_have_at[text] = whether it has an @ or the first byte of a full-width one. The loop over all bytes is simple, so
    that it becomes vector instructions; few texts are decoded.
    """
    for text in range(len(digits)):
        found, unsure, signs = 0, 0, 0
        for byte in data[offsets[text] : offsets[text + 1]]:
            found += 48 <= byte <= 57
            unsure += (byte >= 0xD9) & ((byte <= 0xE1) | (byte == 0xEA) | (byte >= 0xEF))  # of digits beyond ASCII
            signs += (byte == 64) | (byte == 0xEF)
        if unsure and found < enough:
            i, end, found = offsets[text], offsets[text + 1], 0
            while i < end:
                character, size = decode(data, i, end)
                found += is_digit[np.int64(pages[character >> 8]) << 8 | character & 255]
                i += size
        digits[text] = found
        may_have_at[text] = signs > 0


@lean
def find_foreign(offsets, data, pages, bits, written, foreign):
    """Set foreign[text] to whether the text has letters and none of their bits is among written[text].

    `pages` and `bits` are those of metadata.rules.characters.
    """
    for text in range(len(foreign)):
        i, end, seen = offsets[text], offsets[text + 1], 0
        while i < end and seen & written[text] == 0:
            character, size = decode(data, i, end)
            seen |= bits[np.int64(pages[character >> 8]) << 8 | character & 255]
            i += size
        foreign[text] = seen != 0 and seen & written[text] == 0


@lean
def find_bits(offsets, data, pages, bits, out):
    """out[text] = the bits of all characters of the text together, in tables as `find_foreign` reads them."""
    for text in range(len(out)):
        i, end, seen = offsets[text], offsets[text + 1], 0
        while i < end:
            character, size = decode(data, i, end)
            seen |= bits[np.int64(pages[character >> 8]) << 8 | character & 255]
            i += size
        out[text] = seen


@inline
def space_at(data, i, end):
    """Return the number of bytes of the white space at data[i], as str.split has it; 0 if there is none."""
    byte = data[i]
    if byte < 0x80:
        return 1 if byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31 else 0
    if byte == 0xC2 and i + 1 < end:
        return 2 if data[i + 1] == 0x85 or data[i + 1] == 0xA0 else 0
    if i + 2 >= end:
        return 0
    second, third = data[i + 1], data[i + 2]
    if byte == 0xE2 and second == 0x80:
        return 3 if third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF else 0
    is_space = (byte == 0xE1 and second == 0x9A and third == 0x80) or (
        byte == 0xE2 and second == 0x81 and third == 0x9F
    )
    return 3 if is_space or (byte == 0xE3 and second == 0x80 and third == 0x80) else 0


@lean
def find_few_words(data, offsets, spaced, number, out):
    """out[text] = whether text data[offsets[text]:offsets[text + 1]] has fewer than `number` words.

    Words are separated by white space. Where spaced[text] is False, characters outside ASCII count as a word, and one
    more for each two of them, and only runs of other characters are separated.
    """
    for text in range(len(out)):
        i, end = offsets[text], offsets[text + 1]
        words, foreign, is_inside = 0, 0, False
        while i < end and words + (foreign > 0) + foreign // 2 < number:
            size = space_at(data, i, end)
            if size:
                is_inside = False
                i += size
            elif data[i] >= 0x80 and not spaced[text]:
                foreign += data[i] >= 0xC0  # once a character
                is_inside = False
                i += 1
            else:
                words += not is_inside
                is_inside = True
                i += 1
        out[text] = words + (foreign > 0) + foreign // 2 < number


@inline
def same(text, i, text_end, data, k, end, stop):
    """Return whether a text equals data[k:end] or data[k:stop], ASCII letters in any case and %-escapes undone."""
    while i < text_end and k < end:
        one, other = byte_of(text, i, text_end), byte_of(data, k, end)
        if LOWERED[one] != LOWERED[other]:
            return UNSURE if one >= 0x80 and other >= 0x80 else NO
        i += size_of(text, i, text_end)
        k += size_of(data, k, end)
    return YES if i == text_end and (k == end or k == stop) else NO


@lean
def find_names_in_texts(texts, text_offsets, images, data, offsets, names, out):
    """out[text] = whether a text is the URL of its image, or the name of the file, with or without its ending."""
    for text in range(len(out)):
        i, end, image = text_offsets[text], text_offsets[text + 1], images[text]
        out[text] = NO
        if i < end:
            whole = same(texts, i, end, data, offsets[image], offsets[image + 1], offsets[image + 1])
            first, last, dot = names[image, 0], names[image, 1], names[image, 2]
            named = same(texts, i, end, data, first, last, dot) if first < last else NO
            out[text] = YES if whole == YES or named == YES else max(whole, named)
