"""Find the texts that are, or begin or end with, a listed phrase."""

import numpy as np

from curation.kernels.trie.keys import decode
from curation.kernels.words import BASIS, SPREAD, bits_of, followed, joined
from runtime.kernels import inline, kernel, lean

# Where a phrase stands; words that begin one, as a whole text or first in one; a word that is the end of one.
WHOLE, FIRST, LAST, BEGINS, ENDS = (np.uint8(1 << bit) for bit in range(5))
MOST_WORDS = 16  # of a phrase
MOST_BESIDE = 8  # half words beside a first or last phrase
MOST = 2 * MOST_WORDS + MOST_BESIDE  # half words of a text that can be one of these
# The class of a character: one that parts words, a mark that is passed over, a letter that is a word; else its base.
APART, MARK, ALONE = 0, 1, 1 << 24
LETTERS = 1 << 16  # characters behind these part words


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
    word, is_over = BASIS, False
    while i < end and not is_over:
        letter, size = letter_at(data, i, end, letters)
        is_over = word != BASIS and (letter == APART or letter >= ALONE)
        if not is_over and letter != APART and letter != MARK:
            word, is_over = joined(word, letter), letter >= ALONE
        i += size
    return word


@inline
def last_begin(data, begin, end, letters):
    """Return where the last word of data[begin:end] begins; `end` if there is none."""
    i, first, is_over = end, end, False
    while i > begin and not is_over:
        i -= 1
        while i > begin and data[i] & 0xC0 == 0x80:
            i -= 1
        letter, _ = letter_at(data, i, end, letters)
        is_over = first < end and (letter == APART or letter >= ALONE)
        if not is_over and letter != APART and letter != MARK:
            first, is_over = i, letter >= ALONE
    return first


@lean
def find_candidates(data, offsets, letters, keys, bits, may_end, out):
    """out[text] = whether the first word of a text begins phrases or, with `may_end`, its last word ends some.

    Of other texts `find_phrases` finds none; its arguments are the same.
    """
    for text in range(len(out)):
        begin, end = offsets[text], offsets[text + 1]
        out[text] = bits_of(word_from(data, begin, end, letters), keys, bits) & BEGINS != 0
        if may_end and not out[text]:
            last = last_begin(data, begin, end, letters)
            out[text] = bits_of(word_from(data, last, end, letters), keys, bits) & ENDS != 0


@kernel
def find_phrases(data, offsets, letters, keys, bits, may_end, texts, out):
    """out[row] = whether text `texts[row]`, data[offsets[text]:offsets[text + 1]], is, begins or ends with a phrase.

    `letters`, int32[LETTERS], has the class of each character. A character that is a word counts as half a word.
    `may_end` says whether some phrases are LAST: if not, a text is read only while it may be one of the others.
    """
    phrases = np.empty(MOST_WORDS, np.uint64)  # of the words before word `k % MOST_WORDS`
    weights = np.empty(MOST_WORDS, np.int64)  # half words of them
    for row in range(len(out)):
        text = texts[row]
        i, end = offsets[text], offsets[text + 1]
        phrase, words, weight, begun = np.uint64(0), 0, 0, 0
        word, is_inside, may_begin = BASIS, False, True
        while i <= end and weight <= MOST and (may_begin or begun > 0 or may_end):
            letter, size = letter_at(data, i, end, letters) if i < end else (np.int64(APART), np.int64(1))
            i += size
            if letter == MARK:
                continue
            is_alone = letter >= ALONE
            if is_inside and (letter == APART or is_alone):
                phrases[words % MOST_WORDS], weights[words % MOST_WORDS] = phrase, weight
                phrase, words, weight, is_inside = followed(phrase, word), words + 1, weight + 2, False
                if may_begin:
                    own = bits_of(phrase, keys, bits)
                    may_begin = own & BEGINS != 0
                    begun = weight if own & FIRST and words <= MOST_WORDS else begun
            if is_alone:
                word = joined(BASIS, letter)
                phrases[words % MOST_WORDS], weights[words % MOST_WORDS] = phrase, weight
                phrase, words, weight = followed(phrase, word), words + 1, weight + 1
                if may_begin:
                    own = bits_of(phrase, keys, bits)
                    may_begin = own & BEGINS != 0
                    begun = weight if own & FIRST and words <= MOST_WORDS else begun
            elif letter != APART:
                word = joined(word if is_inside else BASIS, letter)
                is_inside = True
        found = False
        if weight <= MOST and i > end:
            found = (begun > 0 and weight - begun <= MOST_BESIDE) or bits_of(phrase, keys, bits) & WHOLE != 0
            if not found and may_end and words > 0 and bits_of(word, keys, bits) & ENDS:
                power, k = np.uint64(1), 1
                while not found and k <= min(words, MOST_WORDS):
                    power *= SPREAD
                    place = (words - k) % MOST_WORDS
                    ending = phrase - phrases[place] * power
                    found = weights[place] <= MOST_BESIDE and bits_of(ending, keys, bits) & LAST != 0
                    k += 1
        out[row] = found
