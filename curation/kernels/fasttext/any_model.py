"""Predict labels and scores for the UTF-8 bytes of many texts, with a fastText model of any shape.

A text's vector is the sum of its words' sums, most of which are cached (`WordSums`). fastText adds row by row instead,
so numbers differ in the last digits. The vectors of 64 texts are multiplied by the output matrix (`multiply`), and a
label is chosen (`losses`). If another label is so close that rounding may decide, the text is summed and decided once
more, in fastText's order. Therefore, all labels equal fastText's labels.
"""

from typing import NamedTuple

import numpy as np

from curation.kernels.fasttext import language_id, ngrams
from curation.kernels.fasttext.language_id import SIZE, WORDS_AT_ONCE
from curation.kernels.fasttext.losses import Tree, label_in_order, likeliest_label
from curation.kernels.fasttext.ngrams import MAX_WORD_BYTES, NgramSums, add_word, add_word_ngrams, clear_sum
from curation.kernels.fasttext.rows import add_vector, multiply
from curation.kernels.trie.tables import key_of_bytes
from runtime.kernels import inline, lean
from runtime.kernels.machine import prefetch

UNKNOWN = -1  # A text gets this label if the model knows no part of it.
TEXT_TILE = 64  # The vectors of this many texts are multiplied in one step.
_ROUNDING = 2.0**-24  # A float32 has this relative rounding error.


class OutputMatrix(NamedTuple):
    """The arrays that map a text's vector to its label."""

    loss: int
    rows: int  # one row per label or, for a tree, per inner node
    outputs: np.ndarray  # float32 [blocks, width, LABEL_BLOCK], as in `multiply_block`
    scales: np.ndarray  # float32: a factor for each row, or empty
    longest: float  # the largest Euclidean length of a row, times the row's scale
    tree: Tree


class WordSums(NamedTuple):
    """A cache of the sums of the words met so far, as most words recur; a word's sum is the sum of its rows.

    Sum 0 belongs to the end of sentence. The last WORDS_AT_ONCE sums are not cached: they are for the words of the
    current pass that are too long to be cached.
    """

    slots: np.ndarray  # int64 [2^k, 4]: key (`kernels.trie.tables`), number of the sum, first letter
    letters: np.ndarray  # uint8: the bytes of the words that are too long for a key
    hashes: np.ndarray  # int64: the hash of the word of each sum, -1 for a label
    used: np.ndarray  # int64 [2]: the numbers of sums and of letters
    sums: NgramSums


class Scratch(NamedTuple):
    """Working memory for one call of `predict_labels`."""

    words: np.ndarray  # int64 [WORDS_AT_ONCE, 5]
    numbers: np.ndarray  # int64 [WORDS_AT_ONCE]: the index of each word's sum
    hashes: np.ndarray  # int64: hashes of a text's words and its end; empty without n-grams of words
    texts: NgramSums  # sums of TEXT_TILE texts
    products: np.ndarray  # float32 [TEXT_TILE, outputs of complete blocks]
    doubtful: np.ndarray  # int64 [TEXT_TILE]: texts whose label is uncertain


@inline
def most_wrong(texts, i, width, longest):
    """Return an upper bound of the difference between a product of text i and fastText's product.

    If n numbers are added or multiplied in any order, the rounding error is at most n times 2^-24 of the sum of their
    absolute values. The rows of a text are added, then its vector and a row of the output are multiplied; both fastText
    and these kernels round. `longest` is OutputMatrix.longest.
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
    """Empty the cache of words unless it has room for WORDS_AT_ONCE more; it holds at most `most` sums."""
    if table.used[0] + WORDS_AT_ONCE > most or table.used[1] + WORDS_AT_ONCE * MAX_WORD_BYTES > len(table.letters):
        for slot in range(len(table.slots)):
            table.slots[slot, 1] = 0
        table.used[0] = 1
        table.used[1] = 0


@lean
def sum_of_word(model, data, word, table):
    """Return the index of the cached sum of `word`, which is summed and cached first if it is new.

    `word` is its begin, its size and its key (low, high).
    """
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
    """Set scratch.numbers[k], for `count` words k, to the index of the word's sum; 0 for the end of a text."""
    words = scratch.words
    for k in range(count):
        word = words[k, language_id.BEGIN], words[k, SIZE], words[k, language_id.LOW], words[k, language_id.HIGH]
        number = 0
        if word[1] > MAX_WORD_BYTES:
            number = len(table.hashes) - WORDS_AT_ONCE + k
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
    count = 0
    stop = word_end(data, i, end)
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
    """Set the labels, scores and `kept` products of `count` texts from `first` on.

    Return the number of texts that were summed again.
    """
    texts = scratch.texts
    products = scratch.products
    doubtful = 0
    multiply_texts(output, scratch, count)
    for k in range(count):
        error = most_wrong(texts, k, model.rows.width, output.longest)
        for column in range(kept.shape[1]):
            kept[first + k, column] = products[k, column]
        label, score, certain = likeliest_label(output.loss, output.tree, products, k, output.rows, error)
        labels[first + k] = label
        scores[first + k] = score
        if texts.sizes[k] == 0:
            labels[first + k] = UNKNOWN
            scores[first + k] = 0
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
    rounding might have decided between their likeliest labels.
    """
    texts = scratch.texts
    sums = table.sums
    word_ngrams = model.words.word_ngrams > 1
    most = len(table.hashes) - WORDS_AT_ONCE
    position = (np.int64(0), offsets[0], offsets[0])
    first = 0
    text = 0
    spoken = 0
    again = 0
    clear_sum(texts, 0)
    while text < len(labels):
        forget_if_full(table, most)
        position, count = language_id.next_words(offsets, data, table.slots, position, scratch.words)
        find_sums(model, data, table, scratch, count)
        for word in range(count):
            number = scratch.numbers[word]
            k = text - first
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
                if text - first == TEXT_TILE or text == len(labels):
                    again += decide(offsets, data, model, output, scratch, first, text - first, labels, scores, kept)
                    first = text
                if text < len(labels):
                    clear_sum(texts, text - first)
    return again
