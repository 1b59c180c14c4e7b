"""Find listed words and phrases in texts, their numbers of words and digits, and texts that repeat the image's URL.

The listed words and phrases are in a hash table: `keys` holds their 64-bit hashes, 0 in an empty slot, and `bits` holds
the bits of each slot's phrase. Its size is a power of two. The hash of a word is made of its bytes or characters, and
the hash of a phrase is made of its words. By chance, one text in 10^16 has words with the hash of a listed phrase.
"""

import numpy as np

from curation.kernels.trie.tables import decode
from runtime.kernels import inline, kernel, lean

BASIS = np.uint64(0xCBF29CE484222325)
PRIME = np.uint64(0x100000001B3)
SPREAD = np.uint64(0x9E3779B97F4A7C15)
MAX_SLOTS = 1 << 16  # the most slots of a table
# A phrase counts as a complete text (WHOLE), as the first words of a text (FIRST) or as its last words (LAST). HEAD is
# like FIRST, but any number of words may follow. BEGINS marks words with which a WHOLE or FIRST phrase begins; ENDS
# marks a word with which a LAST phrase ends.
WHOLE, FIRST, LAST, BEGINS, ENDS, HEAD = (np.uint8(1 << bit) for bit in range(6))
MAX_PHRASE_WORDS = 16  # the most words of a phrase
MAX_HALF_WORDS_BESIDE = 8  # the most half words of a text beside a first or last phrase
MAX_HALF_WORDS = 2 * MAX_PHRASE_WORDS + MAX_HALF_WORDS_BESIDE  # the most half words of a text with a listed phrase
# The class of a character is APART if it separates words, and MARK if it is skipped. The class of a letter is its base
# letter; ALONE is added if the letter is a word by itself.
APART = 0
MARK = 1
ALONE = 1 << 24
LETTERS = 1 << 16  # All characters from this number on separate words.


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
    """Return the bits of the word or phrase with the hash `key`, or 0 if it is not listed."""
    slot = np.int64((key * SPREAD) >> np.uint64(48)) & (len(keys) - 1)
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + 1) & (len(keys) - 1)
    return bits[slot]


@lean
def find_signs(data, offsets, pages, is_digit, enough, digits, may_have_at):
    """Set digits[text] to the number of decimal digits; only ASCII digits are counted if there are `enough` of them.

    Set may_have_at[text] to whether the text has an @ or the first byte of a full-width @. `pages` and `is_digit` are
    tables as in `find_foreign`. The loop over all bytes is simple enough to become vector instructions; few texts are
    decoded.
    """
    for text in range(len(digits)):
        count = 0
        unsure = 0
        signs = 0
        for byte in data[offsets[text] : offsets[text + 1]]:
            count += 48 <= byte <= 57
            # Digits outside ASCII begin with these bytes.
            unsure += (byte >= 0xD9) & ((byte <= 0xE1) | (byte == 0xEA) | (byte >= 0xEF))
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
    """Return the number of bytes of the white space (as in str.split) at data[i]; 0 if there is none."""
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

    White space separates words. If spaced[text] is False, characters outside ASCII also separate words, and n of them,
    if there are any, count as 1 + n // 2 words.
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
                foreign += data[i] >= 0xC0  # This counts each character once.
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
    """Return where the last word of data[begin:end] begins, or `end` if there is none."""
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
    """Set out[text] to whether the text's first word begins a phrase or, with `may_end`, its last word ends a phrase.

    `find_phrases`, which has the same arguments, finds no phrase in other texts.
    """
    for text in range(len(out)):
        begin, end = offsets[text], offsets[text + 1]
        out[text] = listed_bits(word_from(data, begin, end, letters), keys, bits) & BEGINS != 0
        if may_end and not out[text]:
            last = last_begin(data, begin, end, letters)
            out[text] = listed_bits(word_from(data, last, end, letters), keys, bits) & ENDS != 0


@inline
def last_begun(bits, weight, begun):
    """Return the half words of the longest FIRST phrase so far: `weight` if `bits` has FIRST, else `begun`.

    After a HEAD, they are MAX_HALF_WORDS.
    """
    if bits & HEAD or begun == MAX_HALF_WORDS:
        begun = MAX_HALF_WORDS
    elif bits & FIRST:
        begun = weight
    return begun


@kernel
def find_phrases(data, offsets, letters, keys, bits, may_end, texts, out):
    """Set out[row] to whether the text with the index texts[row] is, begins or ends with a listed phrase.

    Text t is data[offsets[t]:offsets[t + 1]]. `letters`, int32[LETTERS], has the class of each character. A character
    that is a word counts as half a word. `may_end` says whether some listed phrases are LAST; otherwise, a text is read
    only while it may still be a phrase, or begin with one.
    """
    # phrases[k % MAX_PHRASE_WORDS] is the phrase of all words before word k, and `weights` has their half words.
    phrases = np.empty(MAX_PHRASE_WORDS, np.uint64)
    weights = np.empty(MAX_PHRASE_WORDS, np.int64)
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
        while i <= end and weight <= MAX_HALF_WORDS and (may_begin or begun > 0 or may_end):
            letter, size = letter_at(data, i, end, letters) if i < end else (np.int64(APART), np.int64(1))
            i += size
            if letter == MARK:
                continue
            is_alone = letter >= ALONE
            if is_inside and (letter == APART or is_alone):
                phrases[words % MAX_PHRASE_WORDS] = phrase
                weights[words % MAX_PHRASE_WORDS] = weight
                phrase = followed(phrase, word)
                words = words + 1
                weight = weight + 2
                is_inside = False
                if may_begin:
                    phrase_bits = listed_bits(phrase, keys, bits)
                    may_begin = phrase_bits & BEGINS != 0
                    begun = last_begun(phrase_bits, weight, begun) if words <= MAX_PHRASE_WORDS else begun
            if is_alone:
                word = extended_hash(BASIS, letter)
                phrases[words % MAX_PHRASE_WORDS] = phrase
                weights[words % MAX_PHRASE_WORDS] = weight
                phrase = followed(phrase, word)
                words = words + 1
                weight = weight + 1
                if may_begin:
                    phrase_bits = listed_bits(phrase, keys, bits)
                    may_begin = phrase_bits & BEGINS != 0
                    begun = last_begun(phrase_bits, weight, begun) if words <= MAX_PHRASE_WORDS else begun
            elif letter != APART:
                word = extended_hash(word if is_inside else BASIS, letter)
                is_inside = True
        is_listed = False
        if weight <= MAX_HALF_WORDS and i > end:
            is_listed = (begun > 0 and weight - begun <= MAX_HALF_WORDS_BESIDE) or listed_bits(
                phrase, keys, bits
            ) & WHOLE != 0
            if not is_listed and may_end and words > 0 and listed_bits(word, keys, bits) & ENDS:
                power = np.uint64(1)
                k = 1
                while not is_listed and k <= min(words, MAX_PHRASE_WORDS):
                    power *= SPREAD
                    before = (words - k) % MAX_PHRASE_WORDS
                    ending = phrase - phrases[before] * power
                    is_listed = weights[before] <= MAX_HALF_WORDS_BESIDE and listed_bits(ending, keys, bits) & LAST != 0
                    k += 1
        out[row] = is_listed
