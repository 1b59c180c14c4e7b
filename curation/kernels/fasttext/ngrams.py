"""Add the rows of a word, of its character n-grams and of n-grams of words, for any fastText model.

Whether a text is summed word by word or row by row, these functions add the rows in the order of fastText.
"""

import math
from typing import NamedTuple

import numpy as np

from curation.kernels.fasttext.dictionary import hash_of, slot_of_name
from curation.kernels.fasttext.rows import add_row, prefetch_dense
from curation.kernels.fasttext.word_rows import is_label
from runtime.kernels import inline, lean
from runtime.kernels.machine import ones, product

AHEAD = 32  # rows that are asked for before the first of them is added
_FNV_START, _FNV_FACTOR, _32_BITS = 2166136261, 16777619, 0xFFFFFFFF
_WORDS_FACTOR = 116049371
_OPEN, _CLOSE = ord("<"), ord(">")


class Words(NamedTuple):
    """A model's dictionary and buckets."""

    entries: np.ndarray  # as `dictionary` describes it
    slots: np.ndarray  # likewise
    count: int  # of words, which come before the labels
    end: int  # the end of sentence; -1: it is no word of the model
    buckets: int  # into which n-grams are hashed
    shortest: int  # characters
    longest: int  # characters; 0: no n-grams
    word_ngrams: int  # words in the longest n-gram of words
    pruned: bool
    kept: np.ndarray  # int64: of a pruned model, bit b & 63 of kept[b >> 6] tells whether bucket b has a row
    before: np.ndarray  # int32: the number of buckets kept before those of kept[b >> 6]
    ranks: np.ndarray  # int32: the row of each bucket that is kept, behind the words, in the order of buckets


class Sums(NamedTuple):
    """Vectors that grow by rows, and what is known of each."""

    vectors: np.ndarray  # float32 [number, padded width]
    sizes: np.ndarray  # int64: rows that were added
    norms: np.ndarray  # float64: the sum of the lengths of these rows


@inline
def row_of_bucket(words, hashed):
    """Return the row of an n-gram; -1 where the model did not keep it."""
    bucket = hashed % words.buckets
    if not words.pruned:
        return words.count + bucket
    bits = words.kept[bucket >> 6]
    if not bits >> (bucket & 63) & 1:
        return -1
    return words.count + words.ranks[words.before[bucket >> 6] + ones(bits & ((1 << (bucket & 63)) - 1))]


@lean
def add_waiting(rows, waiting, count, sums, i):
    """Add the rows waiting[:count] to sums i."""
    for k in range(count):
        sums.norms[i] += math.sqrt(np.float64(add_row(rows, waiting[k], sums.vectors, i)))
    sums.sizes[i] += count


@inline
def byte_at(data, begin, end, i):
    """Return byte i of `<` + data[begin:end] + `>`."""
    if i == 0:
        return _OPEN
    return np.int64(data[begin + i - 1]) if i <= end - begin else _CLOSE


@lean
def add_ngrams(words, rows, data, begin, end, waiting, count, sums, i):
    """Add the rows waiting[:count], then those of the n-grams of `<` + data[begin:end] + `>`, to sums i.

    They are in the order of their first characters, then of their lengths. A single character counts only between
    others.
    """
    size = end - begin + 2
    for first in range(size if words.longest > 0 else 0):
        if byte_at(data, begin, end, first) & 0xC0 == 0x80:
            continue
        hashed, k = _FNV_START, first
        for length in range(1, words.longest + 1):
            if k == size:
                break
            hashed = product(hashed ^ np.int64(np.int8(byte_at(data, begin, end, k))), _FNV_FACTOR)
            k += 1
            while k < size and byte_at(data, begin, end, k) & 0xC0 == 0x80:
                hashed = product(hashed ^ np.int64(np.int8(byte_at(data, begin, end, k))), _FNV_FACTOR)
                k += 1
            if length >= words.shortest and not (length == 1 and (first == 0 or k == size)):
                row = row_of_bucket(words, hashed & _32_BITS)
                if row >= 0:
                    if count == AHEAD:
                        add_waiting(rows, waiting, count, sums, i)
                        count = 0
                    prefetch_dense(rows, row)
                    waiting[count] = row
                    count += 1
    add_waiting(rows, waiting, count, sums, i)


@lean
def add_word(words, rows, data, begin, end, waiting, sums, i):
    """Add the rows of the word data[begin:end] to sums i; return its hash, or -1 for a label, which has no rows."""
    hashed = hash_of(data, begin, end)
    entry = np.int64(
        words.slots[slot_of_name(rows.content, words.entries, words.slots, data, begin, end - begin, hashed)]
    )
    if entry >= words.count or (entry < 0 and is_label(data, begin, end - begin)):
        return -1
    count = 0
    if entry >= 0:
        prefetch_dense(rows, entry)
        waiting[0] = entry
        count = 1
    add_ngrams(words, rows, data, begin, end, waiting, count, sums, i)
    return hashed


@lean
def add_word_ngrams(words, rows, hashes, count, waiting, sums, i):
    """Add the rows of the n-grams of the words whose hashes are hashes[:count] to sums i."""
    ready = 0
    for first in range(count):
        hashed = np.uint64(np.int64(np.int32(hashes[first])))
        for k in range(first + 1, min(first + words.word_ngrams, count)):
            hashed = np.uint64(product(np.int64(hashed), _WORDS_FACTOR)) + np.uint64(np.int64(np.int32(hashes[k])))
            row = row_of_bucket(words, np.int64(hashed % np.uint64(words.buckets)))
            if row >= 0:
                if ready == AHEAD:
                    add_waiting(rows, waiting, ready, sums, i)
                    ready = 0
                prefetch_dense(rows, row)
                waiting[ready] = row
                ready += 1
    add_waiting(rows, waiting, ready, sums, i)
