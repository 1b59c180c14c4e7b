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

AHEAD = 32  # rows that are asked for before the first of them is added
_WORDS_FACTOR = 116049371


class DictionaryWords(NamedTuple):
    """A model's dictionary and buckets."""

    content: np.ndarray  # uint8: the file
    entries: np.ndarray  # as `dictionary` describes it
    slots: np.ndarray  # likewise
    known: int  # words, which come before the labels
    end: int  # the end of sentence; -1: it is no word of the model
    end_hash: int  # its hash
    buckets: int  # into which n-grams are hashed
    shortest: int  # characters
    longest: int  # characters; 0: no n-grams
    word_ngrams: int  # words in the longest n-gram of words
    pruned: bool
    kept: np.ndarray  # int64: of a pruned model, bit b & 63 of kept[b >> 6] tells whether bucket b has a row
    before: np.ndarray  # int32: the number of buckets kept before those of kept[b >> 6]
    ranks: np.ndarray  # int32: the row of each bucket that is kept, behind the words, in the order of buckets


class Model(NamedTuple):
    """The arrays that map the words of a text to rows."""

    words: DictionaryWords
    rows: Rows
    waiting: np.ndarray  # int64 [AHEAD]: rows that were asked for, and are not added yet


class NgramSums(NamedTuple):
    """Vectors to which rows are added, and the state of each."""

    vectors: np.ndarray  # float32 [number, padded width]
    sizes: np.ndarray  # int64: rows that were added
    norms: np.ndarray  # float64: the sum of the lengths of these rows


@inline
def row_of_bucket(words, hashed):
    """Return the row of an n-gram; -1 where the model did not keep it."""
    bucket = hashed % words.buckets
    if not words.pruned:
        return words.known + bucket
    bits = words.kept[bucket >> 6]
    if not bits >> (bucket & 63) & 1:
        return -1
    return words.known + words.ranks[words.before[bucket >> 6] + ones(bits & ((1 << (bucket & 63)) - 1))]


@lean
def add_waiting(model, count, sums, i):
    """Add the first `count` of the waiting rows to sums i."""
    for k in range(count):
        sums.norms[i] += math.sqrt(np.float64(add_row(model.rows, model.waiting[k], sums.vectors, i)))
    sums.sizes[i] += count


@inline
def ask_for(model, row, count, sums, i):
    """Let a row wait behind `count` others, if it is one; return how many wait. Too many are added first."""
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
    """Add `count` waiting rows, then those of the n-grams of `<` + data[begin:end] + `>`, to sums i.

    They are in the order of their first characters, then of their lengths. A single character counts only between
    others.
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
    """Add the rows of the word data[begin:end] to sums i; return its hash, or -1 for a label, which has no rows."""
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
    """Add the rows of the n-grams of the words whose hashes are hashes[:count] to sums i."""
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
    """Add the row of the end of sentence, if the model has it, to sums i."""
    add_waiting(model, ask_for(model, model.words.end, 0, sums, i), sums, i)


@inline
def clear(sums, i):
    """Make sum i the sum of no rows."""
    sums.sizes[i], sums.norms[i] = 0, 0.0
    for k in range(sums.vectors.shape[1]):
        sums.vectors[i, k] = 0
