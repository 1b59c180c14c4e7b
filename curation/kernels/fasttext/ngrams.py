"""Add up the rows of a word, of its character n-grams and of word n-grams, for any fastText model.

The rows are added in fastText's order, whether a text is summed word by word or row by row.
"""

import math
from typing import NamedTuple

import numpy as np

from curation.kernels.fasttext.dictionary import (
    CLOSE,
    FNV_START,
    LOWEST_32,
    OPEN,
    hash_of,
    hash_on,
    is_label,
    slot_of_name,
)
from curation.kernels.fasttext.rows import Rows, add_row, prefetch_dense
from runtime.kernels import inline, lean
from runtime.kernels.machine import ones, product

AHEAD = 32  # rows that are prefetched before the first of them is added
_WORDS_FACTOR = 116049371


class DictionaryWords(NamedTuple):
    """A model's dictionary and its buckets of n-grams."""

    content: np.ndarray  # uint8: the bytes of the model file
    entries: np.ndarray  # int64: positions of entries (see `dictionary`)
    slots: np.ndarray  # int32: hash table of entries (see `dictionary`)
    known: int  # number of words, which come before the labels
    end: int  # number of the word for the end of sentence; -1: no word of the model
    end_hash: int  # hash of the end of sentence
    buckets: int  # number of buckets that n-grams are hashed into
    shortest: int  # characters in the shortest n-gram
    longest: int  # characters in the longest n-gram; 0: no n-grams
    word_ngrams: int  # number of words in the longest n-gram of words
    pruned: bool
    kept: np.ndarray  # int64: bit b & 63 of kept[b >> 6] is 1 if bucket b of a pruned model has a row
    before: np.ndarray  # int32: the number of buckets kept before those of kept[b >> 6]
    ranks: np.ndarray  # int32: row of each kept bucket, counted from the end of the words, in the order of buckets


class Model(NamedTuple):
    """The arrays that map the words of a text to rows."""

    words: DictionaryWords
    rows: Rows
    waiting: np.ndarray  # int64 [AHEAD]: rows that are prefetched, but not added yet


class NgramSums(NamedTuple):
    """Vectors to which rows are added, with the state of each vector."""

    vectors: np.ndarray  # float32 [number, padded width]
    sizes: np.ndarray  # int64: number of rows added to each vector
    norms: np.ndarray  # float64: sum of the Euclidean lengths of these rows


@inline
def row_of_bucket(words, hashed):
    """Return the row of an n-gram with this hash, or -1 if the model did not keep it."""
    bucket = hashed % words.buckets
    if not words.pruned:
        return words.known + bucket
    bits = words.kept[bucket >> 6]
    if not bits >> (bucket & 63) & 1:
        return -1
    return words.known + words.ranks[words.before[bucket >> 6] + ones(bits & ((1 << (bucket & 63)) - 1))]


@lean
def add_waiting(model, count, sums, i):
    """Add the first `count` of the waiting rows to sum i."""
    for k in range(count):
        sums.norms[i] += math.sqrt(np.float64(add_row(model.rows, model.waiting[k], sums.vectors, i)))
    sums.sizes[i] += count


@inline
def ask_for(model, row, count, sums, i):
    """Prefetch a row and append it to the `count` waiting rows, unless it is -1; return the new number of waiting rows.

    If AHEAD rows are waiting, they are added to sum i first.
    """
    if row < 0:
        return count
    if count == AHEAD:
        add_waiting(model, count, sums, i)
        count = 0
    prefetch_dense(model.rows, row)
    model.waiting[count] = row
    return count + 1


@inline
def byte_at(data, begin, end, i):
    """Return byte i of `<` + data[begin:end] + `>`."""
    if i == 0:
        return OPEN
    return np.int64(data[begin + i - 1]) if i <= end - begin else CLOSE


@lean
def add_ngrams(model, data, begin, end, count, sums, i):
    """Add the `count` waiting rows, then those of the n-grams of `<` + data[begin:end] + `>`, to sum i.

    The n-grams are sorted by their first character, then by length. The single characters `<` and `>` do not count.
    """
    words, size = model.words, end - begin + 2
    for first in range(size if words.longest > 0 else 0):
        if byte_at(data, begin, end, first) & 0xC0 == 0x80:
            continue
        hashed, k = FNV_START, first
        for length in range(1, words.longest + 1):
            if k == size:
                break
            hashed = hash_on(hashed, byte_at(data, begin, end, k))
            k += 1
            while k < size and byte_at(data, begin, end, k) & 0xC0 == 0x80:
                hashed = hash_on(hashed, byte_at(data, begin, end, k))
                k += 1
            if length >= words.shortest and not (length == 1 and (first == 0 or k == size)):
                count = ask_for(model, row_of_bucket(words, hashed & LOWEST_32), count, sums, i)
    add_waiting(model, count, sums, i)


@lean
def add_word(model, data, begin, end, sums, i):
    """Add the rows of the word data[begin:end] to sum i; return its hash, or -1 for a label, which has no rows."""
    words = model.words
    hashed = hash_of(data, begin, end)
    slot = slot_of_name(words.content, words.entries, words.slots, data, begin, end - begin, hashed)
    entry = np.int64(words.slots[slot])
    if entry >= words.known or (entry < 0 and is_label(data, begin, end - begin)):
        return -1
    add_ngrams(model, data, begin, end, ask_for(model, entry, 0, sums, i), sums, i)
    return hashed


@lean
def add_word_ngrams(model, hashes, count, sums, i):
    """Add to sum i the rows of the n-grams of words; hashes[:count] are the hashes of the text's words."""
    words, waiting = model.words, 0
    for first in range(count):
        hashed = np.uint64(np.int64(np.int32(hashes[first])))
        for k in range(first + 1, min(first + words.word_ngrams, count)):
            hashed = np.uint64(product(np.int64(hashed), _WORDS_FACTOR)) + np.uint64(np.int64(np.int32(hashes[k])))
            row = row_of_bucket(words, np.int64(hashed % np.uint64(words.buckets)))
            waiting = ask_for(model, row, waiting, sums, i)
    add_waiting(model, waiting, sums, i)


@lean
def add_end(model, sums, i):
    """Add the row of the end of sentence, if the model has it, to sum i."""
    add_waiting(model, ask_for(model, model.words.end, 0, sums, i), sums, i)


@inline
def clear(sums, i):
    """Reset sum i to zero rows."""
    sums.sizes[i], sums.norms[i] = 0, 0.0
    for k in range(sums.vectors.shape[1]):
        sums.vectors[i, k] = 0
