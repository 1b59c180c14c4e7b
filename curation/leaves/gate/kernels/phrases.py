"""Find listed words and phrases in texts, their numbers of words and digits, and texts that repeat the image's URL.

A hash table has the listed words and phrases: `keys` are their 64-bit hashes, 0 in an empty slot, and `bits` are the
bits of each slot's phrase. Its size is a power of two. Words are hashed by bytes or characters, and phrases by their
words: some words of a text have the hash of a listed phrase by chance once in 10^16 texts.
"""

import numpy as np

from curation.kernels.trie.tables import decode
from runtime.kernels import inline, kernel, lean

BASIS = np.uint64(0xCBF29CE484222325)
PRIME = np.uint64(0x100000001B3)
SPREAD = np.uint64(0x9E3779B97F4A7C15)
PLACES = 1 << 16  # most places of a table
# Where a phrase stands; words that begin one, as a whole text or first in one; a word that is the end of one. HEAD is
# FIRST with any words behind it.
WHOLE, FIRST, LAST, BEGINS, ENDS, HEAD = (np.uint8(1 << bit) for bit in range(6))
MOST_WORDS = 16  # of a phrase
MOST_BESIDE = 8  # half words beside a first or last phrase
MOST = 2 * MOST_WORDS + MOST_BESIDE  # half words of a text that can be one of these
# The class of a character: one that parts words, a mark that is passed over, a letter that is a word; else its base.
APART = 0
MARK = 1
ALONE = 1 << 24
LETTERS = 1 << 16  # characters behind these part words


@inline
def extended_hash(word, unit):
    """Return the hash of a word with another byte or character added; BASIS is the hash of an empty word."""
    return (word ^ np.uint64(unit)) * PRIME


@inline
def followed(phrase, word):
    """Return the hash of a phrase with another word added; 0 is the hash of an empty phrase."""
    return phrase * SPREAD + word


@inline
def listed_bits(key, keys, bits):
    """Return the bits of the word or phrase with the hash `key`, 0 if it is not listed."""
    place = np.int64((key * SPREAD) >> np.uint64(48)) & (len(keys) - 1)
    while keys[place] != 0 and keys[place] != key:
        place = (place + 1) & (len(keys) - 1)
    return bits[place]


@lean
def find_signs(data, offsets, pages, is_digit, enough, digits, may_have_at):
    """Set digits[text] to the number of decimal digits; only ASCII digits are counted if there are `enough` of them.

    Set may_have_at[text] to whether the text has an @ or the first byte of a full-width one. `pages` and `is_digit` are
    tables as in `find_foreign`. The loop over all bytes is simple, so that it becomes vector instructions; few texts
    are decoded.
    """
    for text in range(len(digits)):
        count = 0
        unsure = 0
        signs = 0
        for byte in data[offsets[text] : offsets[text + 1]]:
            count += 48 <= byte <= 57
            unsure += (byte >= 0xD9) & ((byte <= 0xE1) | (byte == 0xEA) | (byte >= 0xEF))  # of digits beyond ASCII
            signs += (byte == 64) | (byte == 0xEF)
        if unsure and count < enough:
            i = offsets[text]
            end = offsets[text + 1]
            count = 0
            while i < end:
                character, size = decode(data, i, end)
                count += is_digit[np.int64(pages[character >> 8]) << 8 | character & 255]
                i += size
        digits[text] = count
        may_have_at[text] = signs > 0


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
    """Set out[text] to whether text data[offsets[text]:offsets[text + 1]] has fewer than `number` words.

    Words are separated by white space. Where spaced[text] is False, so are runs of ASCII characters by other
    characters; n of these count as 1 + n // 2 words, if there are any.
    """
    for text in range(len(out)):
        i, end = offsets[text], offsets[text + 1]
        words = 0
        foreign = 0
        is_inside = False
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
def letter_at(data, i, end, letters):
    """Return the class of the character at data[i], and the number of its bytes."""
    if data[i] < 0x80:
        return np.int64(letters[data[i]]), np.int64(1)
    character, size = decode(data, i, end)
    return np.int64(letters[character]) if character < LETTERS else np.int64(APART), np.int64(size)


@inline
def word_from(data, i, end, letters):
    """Return the hash of the first word of data[i:end]; BASIS if there is none."""
    word = BASIS
    is_over = False
    while i < end and not is_over:
        letter, size = letter_at(data, i, end, letters)
        is_over = word != BASIS and (letter == APART or letter >= ALONE)
        if not is_over and letter != APART and letter != MARK:
            word = extended_hash(word, letter)
            is_over = letter >= ALONE
        i += size
    return word


@inline
def last_begin(data, begin, end, letters):
    """Return where the last word of data[begin:end] begins; `end` if there is none."""
    i = end
    first = end
    is_over = False
    while i > begin and not is_over:
        i -= 1
        while i > begin and data[i] & 0xC0 == 0x80:
            i -= 1
        letter, _ = letter_at(data, i, end, letters)
        is_over = first < end and (letter == APART or letter >= ALONE)
        if not is_over and letter != APART and letter != MARK:
            first = i
            is_over = letter >= ALONE
    return first


@lean
def find_candidates(data, offsets, letters, keys, bits, may_end, out):
    """Set out[text] to whether its first word begins a listed phrase or, with `may_end`, its last word ends one.

    `find_phrases`, which has the same arguments, finds none in other texts.
    """
    for text in range(len(out)):
        begin, end = offsets[text], offsets[text + 1]
        out[text] = listed_bits(word_from(data, begin, end, letters), keys, bits) & BEGINS != 0
        if may_end and not out[text]:
            last = last_begin(data, begin, end, letters)
            out[text] = listed_bits(word_from(data, last, end, letters), keys, bits) & ENDS != 0


@inline
def last_begun(bits, weight, begun):
    """Return half words of the longest FIRST phrase yet, MOST after a HEAD: `weight` if `bits` say so, else `begun`."""
    return MOST if bits & HEAD or begun == MOST else weight if bits & FIRST else begun


@kernel
def find_phrases(data, offsets, letters, keys, bits, may_end, texts, out):
    """Set out[row] to whether the text with the index texts[row] is, begins or ends with a listed phrase.

    Text t is data[offsets[t]:offsets[t + 1]]. `letters`, int32[LETTERS], has the class of each character. A character
    that is a word counts as half a word. `may_end` says whether some listed phrases are LAST; if none is, a text is
    read only while it may still be, or begin with, a phrase.
    """
    phrases = np.empty(MOST_WORDS, np.uint64)  # of the words before word `k % MOST_WORDS`
    weights = np.empty(MOST_WORDS, np.int64)  # half words of them
    for row in range(len(out)):
        text = texts[row]
        i, end = offsets[text], offsets[text + 1]
        phrase = np.uint64(0)
        words = 0
        weight = 0
        begun = 0
        word = BASIS
        is_inside = False
        may_begin = True
        while i <= end and weight <= MOST and (may_begin or begun > 0 or may_end):
            letter, size = letter_at(data, i, end, letters) if i < end else (np.int64(APART), np.int64(1))
            i += size
            if letter == MARK:
                continue
            is_alone = letter >= ALONE
            if is_inside and (letter == APART or is_alone):
                phrases[words % MOST_WORDS] = phrase
                weights[words % MOST_WORDS] = weight
                phrase = followed(phrase, word)
                words = words + 1
                weight = weight + 2
                is_inside = False
                if may_begin:
                    phrase_bits = listed_bits(phrase, keys, bits)
                    may_begin = phrase_bits & BEGINS != 0
                    begun = last_begun(phrase_bits, weight, begun) if words <= MOST_WORDS else begun
            if is_alone:
                word = extended_hash(BASIS, letter)
                phrases[words % MOST_WORDS] = phrase
                weights[words % MOST_WORDS] = weight
                phrase = followed(phrase, word)
                words = words + 1
                weight = weight + 1
                if may_begin:
                    phrase_bits = listed_bits(phrase, keys, bits)
                    may_begin = phrase_bits & BEGINS != 0
                    begun = last_begun(phrase_bits, weight, begun) if words <= MOST_WORDS else begun
            elif letter != APART:
                word = extended_hash(word if is_inside else BASIS, letter)
                is_inside = True
        is_listed = False
        if weight <= MOST and i > end:
            is_listed = (begun > 0 and weight - begun <= MOST_BESIDE) or listed_bits(phrase, keys, bits) & WHOLE != 0
            if not is_listed and may_end and words > 0 and listed_bits(word, keys, bits) & ENDS:
                power = np.uint64(1)
                k = 1
                while not is_listed and k <= min(words, MOST_WORDS):
                    power *= SPREAD
                    place = (words - k) % MOST_WORDS
                    ending = phrase - phrases[place] * power
                    is_listed = weights[place] <= MOST_BESIDE and listed_bits(ending, keys, bits) & LAST != 0
                    k += 1
        out[row] = is_listed
