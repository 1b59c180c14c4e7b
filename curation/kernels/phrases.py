"""Find the texts that are, or begin or end with, a listed phrase."""

import numpy as np

from curation.kernels.trie.keys import decode
from curation.kernels.words import BASIS, SPREAD, bits_of, followed, joined
from runtime.kernels import kernel

# Where a phrase stands; a word with which some begin, as a whole text or first in one, or which is the end of one.
WHOLE, FIRST, LAST, BEGINS, ENDS = (np.uint8(1 << bit) for bit in range(5))
MOST_WORDS = 16  # of a phrase
MOST_BESIDE = 8  # half words beside a first or last phrase
MOST = 2 * MOST_WORDS + MOST_BESIDE  # half words of a text that can be one of these
# The class of a character: one that parts words, a mark that is passed over, a letter that is a word; else its base.
APART, MARK, ALONE = 0, 1, 1 << 24
LETTERS = 1 << 16  # characters behind these part words


@kernel
def find_phrases(data, offsets, letters, keys, bits, may_end, out):
    """out[text] = whether text data[offsets[text]:offsets[text + 1]] is a listed phrase, or has one first or last.

    `letters`, int32[LETTERS], has the class of each character. A character that is a word counts as half a word.
    `may_end` says whether some phrases are LAST: if not, a text is read only while it may be one of the others.
    """
    phrases = np.empty(MOST_WORDS, np.uint64)  # of the words before word `k % MOST_WORDS`
    weights = np.empty(MOST_WORDS, np.int64)  # half words of them
    for text in range(len(out)):
        i, end = offsets[text], offsets[text + 1]
        phrase, words, weight, begun = np.uint64(0), 0, 0, 0
        word, is_inside, may_begin = BASIS, False, True
        while i <= end and weight <= MOST and (may_begin or may_end):
            letter = np.int64(APART)
            if i < end:
                if data[i] < 0x80:
                    letter = np.int64(letters[data[i]])
                    i += 1
                else:
                    character, size = decode(data, i, end)
                    letter = np.int64(letters[character]) if character < LETTERS else np.int64(APART)
                    i += size
            else:
                i += 1
            if letter == MARK:
                continue
            is_alone = letter >= ALONE
            if is_inside and (letter == APART or is_alone):
                phrases[words % MOST_WORDS], weights[words % MOST_WORDS] = phrase, weight
                phrase, words, weight, is_inside = followed(phrase, word), words + 1, weight + 2, False
                if may_begin:
                    own = bits_of(phrase, keys, bits)
                    may_begin = words > 1 or own & BEGINS != 0
                    begun = weight if own & FIRST and words <= MOST_WORDS else begun
            if is_alone:
                word = joined(BASIS, letter)
                phrases[words % MOST_WORDS], weights[words % MOST_WORDS] = phrase, weight
                phrase, words, weight = followed(phrase, word), words + 1, weight + 1
                if may_begin:
                    own = bits_of(phrase, keys, bits)
                    may_begin = words > 1 or own & BEGINS != 0
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
        out[text] = found
