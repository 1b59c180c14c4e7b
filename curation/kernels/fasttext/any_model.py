"""Predict labels and scores for the UTF-8 bytes of many texts, as any fastText model does.

A text's vector is the sum of its words' sums, most of which are remembered (`word_sums`). fastText adds row by row
instead, so that numbers differ in the last digits. The vectors of 64 texts are multiplied by the output matrix
(`products`), and a label is chosen (`losses`). Where another label is so near that rounding may decide, the text is
summed and decided once more in the order of fastText. So labels are always those of fastText.
"""

from typing import NamedTuple

import numpy as np

from curation.kernels.fasttext.language_id import AT_ONCE, BEGIN, HIGH, LOW, SIZE, read_words
from curation.kernels.fasttext.losses import DAMAGED as DAMAGED
from curation.kernels.fasttext.losses import Tree, label_in_order, likeliest_label
from curation.kernels.fasttext.ngrams import Sums, add_waiting, add_word, add_word_ngrams
from curation.kernels.fasttext.products import multiply
from curation.kernels.fasttext.rows import add_vector
from curation.kernels.fasttext.word_rows import LONGEST
from curation.kernels.fasttext.word_sums import clear, forget_if_full, sum_of_long_word, sum_of_word
from runtime.kernels import inline, lean
from runtime.kernels.machine import prefetch

UNKNOWN = -1
TILE = 64  # texts whose vectors are multiplied together
_ROUNDING = 2.0**-24  # of a float32, as a share of it


class Output(NamedTuple):
    """What leads from a text's vector to its label."""

    loss: int
    labels: int
    outputs: np.ndarray  # as in `products`
    scales: np.ndarray  # likewise
    longest: float  # the length of the longest row, times its scale
    tree: Tree


class Scratch(NamedTuple):
    """Memory for one call."""

    words: np.ndarray  # int64 [AT_ONCE, 5]
    numbers: np.ndarray  # int64 [AT_ONCE]: of the sum of each word
    waiting: np.ndarray  # int64 [AHEAD]
    hashes: np.ndarray  # int64: those of the longest text's words and one more; empty without n-grams of words
    texts: Sums  # of TILE texts
    products: np.ndarray  # float32 [TILE, labels of whole blocks]
    doubtful: np.ndarray  # int64 [TILE]


@inline
def most_wrong(texts, i, width, longest):
    """Return by how much a product of text i and a row of the output may differ from what fastText computes.

    Of adding and multiplying n numbers in any order, rounding takes n times 2^-24 of the sum of their sizes at most.
    The rows of a text are added, then the numbers of its vector and a row of the output are multiplied, and both
    fastText and these kernels round.
    """
    size = max(texts.sizes[i], 1)
    return 1.01 * 2 * _ROUNDING * (size + width + 16) * longest * texts.norms[i] / size


@inline
def divide(texts, i):
    """Make the sum of text i the mean of its rows."""
    scale = np.float32(1.0 / np.float64(max(texts.sizes[i], 1)))
    for k in range(texts.vectors.shape[1]):
        texts.vectors[i, k] *= scale


@lean
def find_sums(words, rows, data, table, scratch, count):
    """scratch.numbers[word] = the number of the sum of each of the words that were read, 0 for the end of a text."""
    found = scratch.words
    for word in range(count):
        begin, size = found[word, BEGIN], found[word, SIZE]
        number = 0
        if size > LONGEST:
            place = len(table.hashes) - AT_ONCE + word
            number = sum_of_long_word(words, rows, data, begin, size, scratch.waiting, table, place)
        elif size > 0:
            low, high = found[word, LOW], found[word, HIGH]
            number = sum_of_word(words, rows, data, begin, size, low, high, scratch.waiting, table)
        scratch.numbers[word] = number
        prefetch(table.sums.sizes, number)


@lean
def sum_in_order(words, rows, data, i, end, table, scratch, text):
    """Make sum `text` the sum of all rows of the text data[i:end], in the order of fastText."""
    clear(scratch.texts, text)
    count = 0
    while i < end:
        begin = i
        while i < end and not (data[i] == 32 or 9 <= data[i] <= 13 or data[i] == 0):
            i += 1
        if (
            i - begin == 4
            and data[begin] == 60
            and data[begin + 1] == 47
            and data[begin + 2] == 115
            and data[begin + 3] == 62
        ):
            break
        if i > begin:
            hashed = add_word(words, rows, data, begin, i, scratch.waiting, scratch.texts, text)
            if words.word_ngrams > 1 and hashed >= 0:
                scratch.hashes[count] = hashed
                count += 1
        i += 1
    if words.end >= 0:
        scratch.waiting[0] = words.end
        add_waiting(rows, scratch.waiting, 1, scratch.texts, text)
    if words.word_ngrams > 1:
        scratch.hashes[count] = table.hashes[0]
        add_word_ngrams(words, rows, scratch.hashes, count + 1, scratch.waiting, scratch.texts, text)


@lean
def decide(words, rows, offsets, data, first, count, table, output, scratch, labels, scores):
    """Fill labels and scores of `count` texts from `first` on, whose sums are ready; return how many took two looks."""
    texts, products, doubtful = scratch.texts, scratch.products, 0
    for k in range(count):
        divide(texts, k)
    multiply(texts.vectors, count, output.outputs, output.scales, output.labels, products)
    for k in range(count):
        error = most_wrong(texts, k, rows.width, output.longest)
        label, score, certain = likeliest_label(output.loss, output.tree, products, k, output.labels, error)
        labels[first + k], scores[first + k] = label, score
        if texts.sizes[k] == 0:
            labels[first + k], scores[first + k] = UNKNOWN, 0
        elif not certain:
            scratch.doubtful[doubtful] = first + k
            doubtful += 1
    for k in range(doubtful):
        text = scratch.doubtful[k]
        sum_in_order(words, rows, data, offsets[text], offsets[text + 1], table, scratch, k)
        divide(texts, k)
    multiply(texts.vectors, doubtful, output.outputs, output.scales, output.labels, products)
    for k in range(doubtful):
        text = scratch.doubtful[k]
        labels[text], scores[text] = label_in_order(output.loss, output.tree, products, k, output.labels)
    return doubtful


@lean
def predict(offsets, data, words, rows, table, output, scratch, labels, scores):
    """labels[text], scores[text] = the likeliest label of data[offsets[text]:offsets[text + 1]] and its score.

    The label is UNKNOWN where the model knows no part of the text, and DAMAGED where a vector is no number. Returns how many texts were summed once more because another label was near.
    """
    texts, sums = scratch.texts, table.sums
    most = len(table.hashes) - AT_ONCE
    place = (np.int64(0), offsets[0], offsets[0])
    first, text, spoken, again = 0, 0, 0, 0
    clear(texts, 0)
    while text < len(labels):
        forget_if_full(table, most, AT_ONCE)
        place, count = read_words(offsets, data, table.slots, place, scratch.words)
        find_sums(words, rows, data, table, scratch, count)
        for word in range(count):
            number, k = scratch.numbers[word], text - first
            if sums.sizes[number] > 0:
                add_vector(sums.vectors, number, texts.vectors, k)
                texts.sizes[k] += sums.sizes[number]
                texts.norms[k] += sums.norms[number]
            if words.word_ngrams > 1 and table.hashes[number] >= 0:
                scratch.hashes[spoken] = table.hashes[number]
                spoken += 1
            if scratch.words[word, SIZE] == 0:
                if words.word_ngrams > 1:
                    add_word_ngrams(words, rows, scratch.hashes, spoken, scratch.waiting, texts, k)
                    spoken = 0
                text += 1
                if text - first == TILE or text == len(labels):
                    again += decide(
                        words, rows, offsets, data, first, text - first, table, output, scratch, labels, scores
                    )
                    first = text
                if text < len(labels):
                    clear(texts, text - first)
    return again
