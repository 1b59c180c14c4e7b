"""Predict labels and scores for the UTF-8 bytes of many texts, with a fastText model of any shape.

A text's vector is the sum of its words' sums, most of which are cached (`WordSums`). fastText adds row by row instead,
so numbers differ in the last digits. The vectors of 64 texts are multiplied by the output matrix (`multiply`), and a
label is chosen (`losses`). If another label is so close that rounding may decide, the text is summed again and decided
in fastText's order. So labels always equal fastText's.
"""

from typing import NamedTuple

import numpy as np

from curation.kernels.fasttext import language_id, ngrams
from curation.kernels.fasttext.language_id import AT_ONCE, SIZE
from curation.kernels.fasttext.losses import Tree, label_in_order, likeliest_label
from curation.kernels.fasttext.ngrams import LONGEST, NgramSums, add_word, add_word_ngrams, clear_sum
from curation.kernels.fasttext.rows import add_vector, multiply
from curation.kernels.trie.tables import key_of_bytes
from runtime.kernels import inline, lean
from runtime.kernels.machine import prefetch

UNKNOWN = -1  # label of a text of which the model knows no part
TILE = 64  # texts whose vectors are multiplied in one step
_ROUNDING = 2.0**-24  # relative rounding error of a float32


class OutputMatrix(NamedTuple):
    """The arrays that map a text's vector to its label."""

    loss: int
    rows: int  # one row per label or, for a tree, per inner node
    outputs: np.ndarray  # float32 [blocks, width, BLOCK], as in `multiply_block`
    scales: np.ndarray  # float32: a factor for each row, or empty
    longest: float  # the largest Euclidean length of a row, times the row's scale
    tree: Tree


class WordSums(NamedTuple):
    """A cache of the sums of the words met so far, as most words recur; a word's sum is that of its rows.

    Sum 0 is that of the end of sentence. The last AT_ONCE sums are not cached: they are for words of the current pass
    that are too long to be cached.
    """

    slots: np.ndarray  # int64 [2^k, 4]: key (`kernels.trie.tables`), number of the sum, first letter
    letters: np.ndarray  # uint8: the bytes of the words that are too long for a key
    hashes: np.ndarray  # int64: the hash of the word of each sum, -1 for a label
    used: np.ndarray  # int64 [2]: the numbers of sums and of letters
    sums: NgramSums


class Scratch(NamedTuple):
    """Working memory for one call of `predict_labels`."""

    words: np.ndarray  # int64 [AT_ONCE, 5]
    numbers: np.ndarray  # int64 [AT_ONCE]: number of the sum of each word
    hashes: np.ndarray  # int64: hashes of a text's words and its end; empty without n-grams of words
    texts: NgramSums  # sums of TILE texts
    products: np.ndarray  # float32 [TILE, outputs of whole blocks]
    doubtful: np.ndarray  # int64 [TILE]: texts whose label is uncertain


@inline
def most_wrong(texts, i, width, longest):
    """Return an upper bound of the difference between a product of text i and fastText's product.

    If n numbers are added or multiplied in any order, the rounding error is at most n times 2^-24 of the sum of their
    sizes. The rows of a text are added, then its vector and a row of the output are multiplied; both fastText and these
    kernels round. `longest` is OutputMatrix.longest.
    """
    size = max(texts.sizes[i], 1)
    return 1.01 * 2 * _ROUNDING * (size + width + 16) * longest * texts.norms[i] / size


@inline
def divide(texts, count):
    """Divide the sums of the first `count` texts by their numbers of rows, so that they become means."""
    for i in range(count):
        scale = np.float32(1.0 / np.float64(max(texts.sizes[i], 1)))
        for k in range(texts.vectors.shape[1]):
            texts.vectors[i, k] *= scale


@lean
def forget_if_full(table, most):
    """Empty the cache of words unless there is room for AT_ONCE more; it holds at most `most` sums."""
    if table.used[0] + AT_ONCE > most or table.used[1] + AT_ONCE * LONGEST > len(table.letters):
        for slot in range(len(table.slots)):
            table.slots[slot, 1] = 0
        table.used[0], table.used[1] = 1, 0


@lean
def sum_of_word(model, data, word, table):
    """Return the index of the cached sum of `word`: begin, size and key (low, high). Sum and cache a new word first."""
    begin, size, low, high = word
    slots, used = table.slots, table.used
    slot = ngrams.slot_of(slots, table.letters, data, begin, size, low, high)
    if slots[slot, 1] == 0:
        add_word_rows(model, data, begin, size, table, used[0])
        ngrams.remember(slots, table.letters, used, slot, data, begin, size, low, high, used[0])
    return slots[slot, 2]


@lean
def add_word_rows(model, data, begin, size, table, number):
    """Set sum `number` to the sum of the rows of the word data[begin:begin + size]."""
    clear_sum(table.sums, number)
    table.hashes[number] = add_word(model, data, begin, begin + size, table.sums, number)


@lean
def find_sums(model, data, table, scratch, count):
    """Set scratch.numbers[k], for `count` words k, to the index of the word's sum; to 0 for the end of a text."""
    words = scratch.words
    for k in range(count):
        word = words[k, language_id.BEGIN], words[k, SIZE], words[k, language_id.LOW], words[k, language_id.HIGH]
        number = 0
        if word[1] > LONGEST:
            number = len(table.hashes) - AT_ONCE + k
            add_word_rows(model, data, word[0], word[1], table, number)
        elif word[1] > 0:
            number = sum_of_word(model, data, word, table)
        scratch.numbers[k] = number
        prefetch(table.sums.sizes, number)


@inline
def word_end(data, i, end):
    """Return the end of the word that begins at i."""
    while i < end and not language_id.separates(data[i]):
        i += 1
    return i


@lean
def sum_in_order(model, data, i, end, scratch, text):
    """Set vector `text` of scratch.texts to the sum of all rows of the text data[i:end], added in fastText's order."""
    clear_sum(scratch.texts, text)
    count, stop = 0, word_end(data, i, end)
    while i < end and key_of_bytes(data, i, stop - i) != (language_id.END_LOW, language_id.END_HIGH):
        if stop > i:
            hashed = add_word(model, data, i, stop, scratch.texts, text)
            if model.words.word_ngrams > 1 and hashed >= 0:
                scratch.hashes[count] = hashed
                count += 1
        i = stop + 1
        stop = word_end(data, i, end)
    ngrams.add_end(model, scratch.texts, text)
    if model.words.word_ngrams > 1:
        scratch.hashes[count] = model.words.end_hash
        add_word_ngrams(model, scratch.hashes, count + 1, scratch.texts, text)


@inline
def multiply_texts(output, scratch, count):
    """Turn the sums of the first `count` texts into means, and multiply these by the output matrix."""
    divide(scratch.texts, count)
    multiply(scratch.texts.vectors, count, output.outputs, output.scales, output.rows, scratch.products)


@lean
def decide(offsets, data, model, output, scratch, first, count, labels, scores, kept):
    """Set label, score and products (in `kept`) of `count` texts from `first` on; return how many were summed again."""
    texts, products, doubtful = scratch.texts, scratch.products, 0
    multiply_texts(output, scratch, count)
    for k in range(count):
        error = most_wrong(texts, k, model.rows.width, output.longest)
        for column in range(kept.shape[1]):
            kept[first + k, column] = products[k, column]
        label, score, certain = likeliest_label(output.loss, output.tree, products, k, output.rows, error)
        labels[first + k], scores[first + k] = label, score
        if texts.sizes[k] == 0:
            labels[first + k], scores[first + k] = UNKNOWN, 0
        elif not certain:
            scratch.doubtful[doubtful] = first + k
            doubtful += 1
    for k in range(doubtful):
        text = scratch.doubtful[k]
        sum_in_order(model, data, offsets[text], offsets[text + 1], scratch, k)
    multiply_texts(output, scratch, doubtful)
    for k in range(doubtful):
        text = scratch.doubtful[k]
        labels[text], scores[text] = label_in_order(output.loss, output.tree, products, k, output.rows)
    return doubtful


@lean
def predict_labels(offsets, data, model, table, output, scratch, labels, scores, kept):
    """Set labels[text] and scores[text] to the likeliest label of data[offsets[text]:offsets[text + 1]] and its score.

    The label is UNKNOWN if the model knows no part of the text, and DAMAGED if a product is not finite. kept[text] is
    set to the text's products, unless `kept` has no columns. Return the number of texts that were summed again because
    rounding might decide between their likeliest labels.
    """
    texts, sums = scratch.texts, table.sums
    word_ngrams, most = model.words.word_ngrams > 1, len(table.hashes) - AT_ONCE
    place = (np.int64(0), offsets[0], offsets[0])
    first, text, spoken, again = 0, 0, 0, 0
    clear_sum(texts, 0)
    while text < len(labels):
        forget_if_full(table, most)
        place, count = language_id.word_places(offsets, data, table.slots, place, scratch.words)
        find_sums(model, data, table, scratch, count)
        for word in range(count):
            number, k = scratch.numbers[word], text - first
            if sums.sizes[number] > 0:
                add_vector(sums.vectors, number, texts.vectors, k)
                texts.sizes[k] += sums.sizes[number]
                texts.norms[k] += sums.norms[number]
            if word_ngrams and table.hashes[number] >= 0:
                scratch.hashes[spoken] = table.hashes[number]
                spoken += 1
            if scratch.words[word, SIZE] == 0:
                if word_ngrams:
                    add_word_ngrams(model, scratch.hashes, spoken, texts, k)
                    spoken = 0
                text += 1
                if text - first == TILE or text == len(labels):
                    again += decide(offsets, data, model, output, scratch, first, text - first, labels, scores, kept)
                    first = text
                if text < len(labels):
                    clear_sum(texts, text - first)
    return again
