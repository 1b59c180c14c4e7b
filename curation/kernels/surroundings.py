"""Describe in one number what is around an image on its page: the words near it, and the other images of its block.

The number holds the values of FIELDS. Images are in one block if the four innermost containers around them have
the same tags and classes; the items of a list or of a gallery are. Some fields tell what the other images in the block
are like. The others tell how the image's text relates to an element near it, by the words that both have.

An image's text is the first of its alt, title and data-image-title that is not empty. Words are runs of letters and
digits; each Chinese character and each kana is a word.
"""

import numpy as np

from curation.kernels.html import (
    AFTER,
    BLOCK,
    FIRST_TEXT,
    HEADING,
    HEIGHT,
    IMAGE,
    KIND,
    LINK,
    PLACES,
    PRIME,
    SURROUNDINGS,
    TEXTS_END,
    WIDTH,
)
from curation.kernels.markup import after_name, after_other, end_of_raw, ends_name, is_without, read_value
from curation.kernels.places import FIGURE
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at

# How many values each field has, from 0 on. The number is the sum of all values, each times the product of the sizes of
# the fields before. The largest possible sum fits an int32.
FIELDS = {
    # The number of other images in the block, as the number of its bits.
    "images beside it": 8,
    # Of these images: the mean number of words and of bytes of a text, as the number of bits.
    "words of images beside it": 6,
    "bytes of images beside it": 9,
    # Shares of these images, in quarters: related (see NEAR), small, in a link, with the same text as this image.
    "related images beside it": 5,
    "small images beside it": 5,
    "linked images beside it": 5,
    "equal texts beside it": 5,
    # How the text relates to the words of an element near the image.
    "words behind": 6,
    "heading": 6,
    "first h1": 6,
    "link text": 6,
    "caption": 6,
}
SIZES = np.array([*FIELDS.values()])
IMAGES, WORDS, BYTES, RELATED, SMALL, LINKED, EQUAL, BEHIND, HEADINGS, H1, LINKS, CAPTIONS = range(len(FIELDS))
# Fields of elements near the image. An image is related if one of these elements, but for H1, has half of its words.
NEAR = range(BEHIND, len(FIELDS))
# Values of the fields that compare words. ABSENT means that one of both has no words.
ABSENT, NONE_SHARED, SOME_SHARED, HALF_SHARED, ALL_SHARED, SAME_WORDS = range(6)

MOST_WORDS = 16  # Of a text, or of an element near the image, so many words are read.
NEAR_BYTES = 250  # Words of an element near the image are read in so many bytes of the page, with tags.
CAPTION_BYTES = 2000  # A caption begins within so many bytes after the image.
SMALL_DIGITS = 2  # A side of so many digits makes an image small.
MOST_PROBES = 64  # A hash table is searched in so many slots; with 64 tries, only made-up pages fill them.

_LESS, _SLASH, _GREATER, _EQUALS, _AND, _SEMICOLON, _HASH = (ord(character) for character in "</>=&;#")
_LONGEST_REFERENCE = 10
_ODD = 0x9E3779B1

# Classes of bytes. A SIGN separates words, and a LETTER is part of one. A byte of the last four classes begins a
# character of two or three bytes: IDEOGRAM begins a word of its own; LATIN_SIGN, a sign such as «; PUNCTUATION, a sign
# such as “ or a letter; FULL_WIDTH, a sign such as ： or a letter.
SIGN, LETTER, IDEOGRAM, LATIN_SIGN, PUNCTUATION, FULL_WIDTH = range(6)
CLASSES = np.zeros(256, np.uint8)
CLASSES[[*range(ord("0"), ord("9") + 1), *range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)]] = LETTER
CLASSES[0x80:] = LETTER
CLASSES[0xE3:0xEA] = IDEOGRAM
CLASSES[0xC2], CLASSES[0xE2], CLASSES[0xEF] = LATIN_SIGN, PUNCTUATION, FULL_WIDTH

NO_TAGS = -1  # The text has no tags.


def _code(name):
    return int.from_bytes(name.encode()[:3], "little")


IMG, SCRIPT, STYLE, FIG = map(_code, ("img", "script", "style", "fig"))

# Columns of `facts`: two hashes of an image, the first rows with the same hashes, and how often the text of a first row
# occurs in its block. Then come the values of FIELDS, first of the image alone, and then sums of the block: they are in
# the block's first row.
BLOCK_HASH, TEXT_HASH, FIRST, FIRST_EQUAL, TIMES, OWN = range(6)
SUMS = OWN + len(FIELDS)
FACTS = SUMS + len(FIELDS)


@lean
def describe(data, end, elements, count, h1, facts, table, words, numbers):
    """Set the column SURROUNDINGS of all images in elements[:count], as `find_elements` left them.

    h1: where the name of the first <h1> begins, or -1. Scratch memory: facts, int32[count, FACTS]; table, int32, of at
    least 16 * count + 16 items; words, int64[len(FIELDS), MOST_WORDS], whose row WORDS has the words of the image's
    text, and whose rows of NEAR have the words near it; numbers, int64[len(FIELDS)], how many words a row has.
    """
    mask = np.int64(7)
    while mask < 4 * count:
        mask = 2 * mask + 1
    for slot in range(2 * (mask + 1)):
        table[slot] = -1
    heading = np.int64(-1)
    link = np.int64(-1)
    numbers[:] = 0
    numbers[H1] = words_of_element(data, h1, end, words[H1])
    for row in range(count):
        element = elements[row]
        if element[KIND] > IMAGE:
            continue
        facts[row] = 0
        own = facts[row, OWN:SUMS]
        column = text_column(element)
        numbers[WORDS] = 0
        if column >= 0:
            begin = np.int64(element[column])
            stop = np.int64(element[column + 1])
            own[BYTES] = stop - begin
            numbers[WORDS] = read_words(data, begin, stop, NO_TAGS, words[WORDS])
        if numbers[WORDS] > 0:
            # Images often share their heading and link, whose words are then still there.
            if element[HEADING] != heading:
                heading = np.int64(element[HEADING])
                numbers[HEADINGS] = words_of_element(data, heading, end, words[HEADINGS])
            if element[LINK] != link:
                link = np.int64(element[LINK])
                numbers[LINKS] = words_of_element(data, link, end, words[LINKS])
            after = np.int64(element[AFTER])
            numbers[BEHIND] = read_words(data, after, min(after + NEAR_BYTES, end), IMG, words[BEHIND])
            caption = caption_after(data, after, end) if element[PLACES] & FIGURE else np.int64(-1)
            numbers[CAPTIONS] = words_of_element(data, caption, end, words[CAPTIONS])
            relate(words, numbers, own)
        own[IMAGES] = 1
        own[WORDS] = numbers[WORDS]
        own[SMALL] = is_small(data, element, WIDTH) or is_small(data, element, HEIGHT)
        own[LINKED] = element[LINK] >= 0
        facts[row, BLOCK_HASH] = element[BLOCK]
        add_to_block(facts, table, mask, row, hash_of(words[WORDS], numbers[WORDS]))
    for row in range(count):
        if elements[row, KIND] <= IMAGE:
            elements[row, SURROUNDINGS] = number_of(facts, row)


@lean
def relate(words, numbers, own):
    """Set the values of NEAR and RELATED of an image, given the words of its text and of elements near it."""
    for field in range(BEHIND, len(SIZES)):
        value = relation(words[WORDS], numbers[WORDS], words[field], numbers[field])
        own[field] = value
        if field != H1 and value >= HALF_SHARED:
            own[RELATED] = 1


@lean
def add_to_block(facts, table, mask, row, text):
    """Add the image of a row of `facts`, whose text has the hash `text`, to the sums of its block."""
    first = first_alike(facts, table, np.int64(0), mask, row, BLOCK_HASH)
    facts[row, FIRST] = first
    for field in range(BEHIND):
        facts[first, SUMS + field] += facts[row, OWN + field]
    facts[row, TEXT_HASH] = (text + first) * PRIME >> 16
    equal = first_alike(facts, table, mask + 1, mask, row, TEXT_HASH)
    facts[row, FIRST_EQUAL] = equal
    facts[equal, TIMES] += 1


@lean
def first_alike(facts, table, begin, mask, row, column):
    """Return the first row of `facts` with the value that a column has in `row`, by the hash table table[begin:]."""
    value = facts[row, column]
    slot = value * _ODD & mask
    for _ in range(MOST_PROBES):
        other = table[begin + slot]
        if other < 0:
            table[begin + slot] = row
            return np.int64(row)
        if facts[other, column] == value:
            return np.int64(other)
        slot = slot + 1 & mask
    return np.int64(row)


@lean
def number_of(facts, row):
    """Return the number that describes the surroundings of the image of a row of `facts`."""
    first = facts[row, FIRST]
    others = np.int64(facts[first, SUMS + IMAGES]) - 1
    value = np.int64(0)
    for field in range(len(SIZES) - 1, -1, -1):
        of_others = np.int64(facts[first, SUMS + field]) - facts[row, OWN + field]
        if field == EQUAL:
            of_others = np.int64(facts[facts[row, FIRST_EQUAL], TIMES]) - 1
        if field >= BEHIND:
            digit = np.int64(facts[row, OWN + field])
        elif field >= RELATED:
            digit = 4 * of_others // max(others, 1)
        elif field == IMAGES:
            digit = min(bit_length(others), SIZES[field] - 1)
        else:
            digit = min(bit_length(of_others // max(others, 1)), SIZES[field] - 1)
        value = value * SIZES[field] + digit
    return value


@inline
def bit_length(number):
    """Return the number of bits of a number that is not negative."""
    bits = np.int64(0)
    while number > 0:
        number >>= 1
        bits += 1
    return bits


@lean
def relation(text, number, others, other_number):
    """Return how the words of a text, text[:number], relate to the words others[:other_number]."""
    if number == 0 or other_number == 0:
        return np.int64(ABSENT)
    shared = count_shared(text, number, others, other_number)
    if shared == 0:
        return np.int64(NONE_SHARED)
    if shared == number:
        is_same = count_shared(others, other_number, text, number) == other_number
        return np.int64(SAME_WORDS) if is_same else np.int64(ALL_SHARED)
    return np.int64(HALF_SHARED) if 2 * shared >= number else np.int64(SOME_SHARED)


@lean
def count_shared(text, number, others, other_number):
    """Return how many of text[:number] are among others[:other_number]."""
    shared = np.int64(0)
    for i in range(number):
        k = 0
        while k < other_number and others[k] != text[i]:
            k += 1
        shared += k < other_number
    return shared


@lean
def hash_of(words, number):
    """Return a hash of the words words[:number] in their order."""
    value = np.int64(number)
    for k in range(number):
        value = (value ^ words[k]) * PRIME
    return value


@lean
def is_small(data, element, column):
    """Return whether a side of an image is stated in one or two digits, perhaps with `px` behind them."""
    begin = np.int64(element[column])
    end = np.int64(element[column + 1])
    if end - begin > 2 and byte_at(data, end - 1) | 32 == ord("x") and byte_at(data, end - 2) | 32 == ord("p"):
        end -= 2
    if not 0 < end - begin <= SMALL_DIGITS:
        return False
    all_digits = True
    for i in range(begin, end):
        all_digits &= ord("0") <= byte_at(data, i) <= ord("9")
    return all_digits


@lean
def caption_after(data, i, end):
    """Return where the name of the <figcaption> after data[i] begins, or -1 if the figure ends before, or it is far."""
    end = min(i + CAPTION_BYTES, end)
    while i + 5 < end:
        if byte_at(data, i) != _LESS:
            i += 8 if i + 8 <= end and is_without(data, i, _LESS) else 1
            continue
        begin = i + 1 + (byte_at(data, i + 1) == _SLASH)
        if code_of(data, begin, end) == FIG:
            return begin if begin == i + 1 and byte_at(data, begin + 3) | 32 == ord("c") else np.int64(-1)
        i = begin
    return np.int64(-1)


@lean
def text_column(element):
    """Return the column of the span of an image's text, the first attribute that is not empty; -1 without one."""
    column = FIRST_TEXT
    while column < TEXTS_END and element[column] >= element[column + 1]:
        column += 2
    return np.int64(column) if column < TEXTS_END else np.int64(-1)


@lean
def words_of_element(data, begin, end, words):
    """Put the words of the element whose name begins at data[begin], if that is not -1, into `words`.

    Return their number. The element ends at the next tag of its name.
    """
    if begin < 0:
        return np.int64(0)
    code = code_of(data, begin, end)
    i = after_attributes(data, after_name(data, begin, end), end)
    return read_words(data, i, min(i + NEAR_BYTES, end), code, words)


@lean
def read_words(data, i, end, last_tag, words):
    """Put hashes of the words of data[i:end] into `words`, at most MOST_WORDS; return their number.

    Reading stops at a tag whose name has the code `last_tag`. References, tags, and what <script> and <style> hold are
    not read. With NO_TAGS, a < is a sign.
    """
    count = np.int64(0)
    word = np.int64(0)
    while i < end and count < MOST_WORDS:
        byte = byte_at(data, i)
        kind = CLASSES[np.uint8(byte)]
        if kind == LETTER or (kind > IDEOGRAM and not is_sign(data, i, end)):
            word = (word + 1 + (byte | 32 if ord("A") <= byte <= ord("Z") else byte)) * PRIME
            i += 1
            continue
        if word != 0:
            words[count] = word
            count += 1
            word = np.int64(0)
        if byte == _LESS and last_tag != NO_TAGS:
            i = after_markup(data, i, end, last_tag)
        elif byte == _AND:
            i = after_reference(data, i, end)
        elif kind == SIGN:
            i += 1
        elif kind == LATIN_SIGN:
            i += 2
        else:
            if kind == IDEOGRAM and count < MOST_WORDS and i + 2 < end and not is_sign(data, i, end):
                words[count] = ((byte << 16 | byte_at(data, i + 1) << 8 | byte_at(data, i + 2)) + 1) * PRIME
                count += 1
            i += 3
    if word != 0 and count < MOST_WORDS:
        words[count] = word
        count += 1
    return count


@lean
def is_sign(data, i, end):
    """Return whether the character at data[i], whose first byte has a class above LETTER, is a sign."""
    byte = byte_at(data, i)
    after = byte_at(data, i + 1) if i + 1 < end else np.int64(0x80)
    if byte == 0xC2:
        return True
    if byte == 0xE2:
        return after == 0x80 or after == 0x81
    return after == 0xBC or after == 0xBD if byte == 0xEF else byte == 0xE3 and after == 0x80


@lean
def after_markup(data, i, end, last_tag):
    """Return the index after the comment, tag or plain < at data[i], or `end` if the tag has the code `last_tag`.

    After a start tag of <script> or <style>, return the index of its end tag.
    """
    is_end = i + 1 < end and byte_at(data, i + 1) == _SLASH
    begin = i + 1 + is_end
    if begin >= end:
        return end
    if not ord("a") <= byte_at(data, begin) | 32 <= ord("z"):
        return after_other(data, i, end, False)
    code = code_of(data, begin, end)
    if code == last_tag:
        return end
    stop = after_name(data, begin, end)
    i = after_attributes(data, stop, end)
    if not is_end and (code == SCRIPT or code == STYLE):
        return end_of_raw(data, begin, stop, i, end, False)
    return i


@lean
def code_of(data, begin, end):
    """Return the first three bytes of the tag name at data[begin], in lower case, as a number; fewer if it ends."""
    code = np.int64(0)
    k = 0
    while k < 3 and begin + k < end and not ends_name(byte_at(data, begin + k)):
        code |= (byte_at(data, begin + k) | 32) << (8 * k)
        k += 1
    return code


@lean
def after_attributes(data, i, end):
    """Return the index after the tag whose name ends at data[i], or `end` if the tag does not end before."""
    while i < end and byte_at(data, i) != _GREATER:
        if ends_name(byte_at(data, i)):
            i += 1
            continue
        i += 1
        while i < end and not ends_name(byte_at(data, i)) and byte_at(data, i) != _EQUALS:
            i += 1
        i, _, _ = read_value(data, i, end)
        if i < 0:
            return end
    return min(i + 1, end)


@lean
def after_reference(data, i, end):
    """Return the index after the character reference at data[i], or after the & if it begins none."""
    k = i + 1
    while (
        k < end
        and k < i + _LONGEST_REFERENCE
        and (CLASSES[np.uint8(byte_at(data, k))] == LETTER or byte_at(data, k) == _HASH)
    ):
        k += 1
    return k + 1 if k < end and byte_at(data, k) == _SEMICOLON else i + 1
