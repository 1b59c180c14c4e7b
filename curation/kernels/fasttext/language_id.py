"""Predict labels and scores for the UTF-8 bytes of many texts, with a fastText model of lid.176.ftz's shape.

About a hundred words are read at a time, in three passes, so that memory loads while other words are read. First the
words are found, and their slots in the table of words are prefetched. Then the words' rows are looked up (`ngrams`)
and prefetched. Then the rows are summed, and each text that ends gets its label (`losses`). Any bytes are accepted; a
line feed separates words like a space.
"""

import math

import numpy as np

from curation.kernels.fasttext import ngrams
from curation.kernels.fasttext.losses import NEAR_SHARE, likeliest, likeliest_in_order, spread_tree
from curation.kernels.fasttext.ngrams import MAX_WORD_BYTES, append_ngrams, is_label_word, slot_of
from curation.kernels.fasttext.rows import LANES, add_rows
from curation.kernels.trie.tables import key_of_bytes
from runtime.kernels import inline, lean, part
from runtime.kernels.machine import lowest, prefetch, trailing_zeros, without_lowest
from runtime.kernels.masks import copy_window, separator_mask

WORDS_AT_ONCE = 128  # The rows of this many words fit into the L1 cache.
# The columns of a word are its begin, its size, its key (LOW, HIGH), and the end of its rows in `row_ids`.
BEGIN, SIZE, LOW, HIGH, STOP = range(5)
_WINDOW = 64  # This many bytes are read at a time; they hold at most 32 words and the end of a text.
_COPIED = 32  # This many row ids are in 64 bytes.
_MAX_LONG_BYTES = 1 << 14  # A pass ends once the words that are too long for the table have this many bytes.
# END_LOW and END_HIGH are the key of the end of sentence.
END_LOW = int.from_bytes(b"</s>", "little")
END_HIGH = 5 << 56


def most_rows(longest: int) -> int:
    """Return the most rows that one pass can find, if the longest text has `longest` bytes."""
    return WORDS_AT_ONCE * ngrams.MAX_WORD_ROWS + 3 * (_MAX_LONG_BYTES + longest)


@inline
def separates(byte):
    """Say whether a byte separates words."""
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@inline
def word_ends(data, i, end):
    """Return a mask of the separators in data[i:i + 64], one bit per byte; `end` counts as a separator."""
    size = min(end - i, _WINDOW)
    mask = 0
    if i + _WINDOW <= len(data):
        mask = separator_mask(data, i) & lowest(size)
    else:
        for k in range(size):
            mask |= np.int64(separates(data[i + k])) << k
    return mask if size == _WINDOW else mask | 1 << size


@part
def next_words(offsets, data, slots, position, words):
    """Read words from `position` on; return the position after them and their number.

    A position is a text, its next byte, and the begin of the word there. words[k] gets BEGIN, SIZE and key (LOW, HIGH)
    of a word; a word of size 0 follows the words of each text.
    """
    text, i, begin = position
    count = 0
    long = 0
    while text < len(offsets) - 1 and count + _WINDOW <= WORDS_AT_ONCE and long < _MAX_LONG_BYTES:
        end = offsets[text + 1]
        mask = word_ends(data, i, end)
        while mask != 0:
            stop = i + trailing_zeros(mask)
            mask = without_lowest(mask)
            size = stop - begin
            if size > 0:
                low, high = key_of_bytes(data, begin, size)
                if low == END_LOW and high == END_HIGH:
                    i = end
                    break
                prefetch(slots, 4 * ngrams.first_slot(slots, low, high))
                words[count, BEGIN] = begin
                words[count, SIZE] = size
                words[count, LOW] = low
                words[count, HIGH] = high
                count += 1
                long += size if size > MAX_WORD_BYTES else 0
            begin = stop + 1
        i += _WINDOW
        if i > end:
            words[count, SIZE] = 0
            count += 1
            text += 1
            i = begin = end
    return (text, i, begin), count


@lean  # Numba would take three seconds longer to compile it as an inlined function.
def find_rows(data, kept, before, table, words, count, row_ids):
    """Write the ids of the words' rows to `row_ids`; return the number of ids.

    The ids of word k end at words[k, STOP]. `kept` and `before` are fields of ModelArrays.
    """
    slots, ids, letters, _, _, _ = table
    rows = np.int64(0)
    for word in range(count):
        begin, size = words[word, BEGIN], words[word, SIZE]
        if size == 0:
            row_ids[rows] = 0  # Row 0 belongs to the end of sentence.
            rows += 1
        elif size > MAX_WORD_BYTES:
            if not is_label_word(data, begin, size):
                rows = append_ngrams(data, begin, begin + size, kept, before, row_ids, rows)
        else:
            low, high = words[word, LOW], words[word, HIGH]
            slot = slot_of(slots, letters, data, begin, size, low, high)
            if slots[slot, 1] == 0:
                slot = ngrams.slot_of_new(table, data, begin, size, low, high, kept, before)
            first = slots[slot, 2] >> 16
            number = slots[slot, 2] & 0xFFFF
            copy_window(ids, first, row_ids, rows)  # Most words have no more rows.
            for k in range(_COPIED, number):
                row_ids[rows + k] = ids[first + k]
            rows += number
        words[word, STOP] = rows
    return rows


@part
def label_of_sum(children, weights, total, number, waiting):
    """Return the label and the score of a text whose `number` rows add up to `total`, which becomes their mean."""
    scale = np.float32(1.0 / np.float64(number))
    for k in range(LANES):
        total[k] *= scale
    label, score, near = likeliest(children, weights, total, NEAR_SHARE, waiting)
    if near:
        label, score = likeliest_in_order(children, weights, total, waiting)
    return label, np.float32(math.exp(score))


@lean
def predict(offsets, data, model, table, scratch, labels, scores, means):
    """Set labels[text] and scores[text] to the likeliest label of data[offsets[text]:offsets[text + 1]] and its score.

    `model` is rows, kept, before, children and weights of `curation.language.fasttext_file.ModelArrays`. `table` is
    the table of words in `ngrams`, to which new words are added. `scratch` is four arrays: words, int64
    [WORDS_AT_ONCE, 5]; row_ids, uint16 [most_rows]; total, float32 [16]; and waiting, as for `likeliest`. means[text]
    is set to the mean of the text's rows: `means` is float32 [texts, 16], or [0, 16] if no means are needed.
    """
    rows, kept, before, children, weights = model
    words, row_ids, total, waiting = scratch
    position = (np.int64(0), offsets[0], offsets[0])
    text = 0
    number = np.int64(0)
    for k in range(LANES):
        total[k] = 0
    while text < len(labels):
        position, count = next_words(offsets, data, table[0], position, words)
        last = find_rows(data, kept, before, table, words, count, row_ids)
        for k in range(last):
            prefetch(rows, LANES * np.int64(row_ids[k]))
        first = 0
        for word in range(count):
            if words[word, SIZE] == 0:
                stop = words[word, STOP]
                add_rows(rows, row_ids, first, stop, total)
                labels[text], scores[text] = label_of_sum(children, weights, total, number + stop - first, waiting)
                for k in range(LANES):
                    if len(means):
                        means[text, k] = total[k]
                    total[k] = 0
                text += 1
                first = stop
                number = 0
        add_rows(rows, row_ids, first, last, total)
        number += last - first


@lean
def add_probabilities(model, means, scores, waiting, columns, out):
    """Add each label's probability to out[text, columns[label]], given means[text] and the best score scores[text]."""
    _, _, _, children, weights = model
    for text in range(len(out)):
        spread_tree(children, weights, means[text], scores[text], waiting, columns, out[text])
