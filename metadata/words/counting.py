"""Count the words and word pairs of texts exactly, and hand on the counts whenever so many are held.

Texts are cut into words in `segment`. Words get numbers, and pairs are pairs of numbers: the strings of a pair are made
only when its count is handed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.kernels import ngrams as kernels
from metadata.languages import Language
from metadata.rules.normal_form import RESPELLED
from metadata.words import segment

UNIGRAMS = pa.schema([("word", pa.string()), ("count", pa.int64())])
BIGRAMS = pa.schema([("first", pa.string()), ("second", pa.string()), ("count", pa.int64())])

# What is held at most, in some 350 MB, beside the batch that is counted.
WORDS = 1 << 21
PAIRS = 1 << 23
BYTES = 1 << 26  # of words

_ROWS = 1 << 16  # of pairs that are written out together

Texts = Iterable[str | None]


def count(texts: Texts, language: Language) -> tuple[pa.Table, pa.Table]:
    """Return word and count, and first, second and count, of a batch of texts, in order of first appearance.

    A pair is two words with only white space, or in Tibetan a tsheg, between them, in one line of one text. A batch has
    less than 2 GB; counting it takes about eight times its size in memory.

    >>> from metadata.languages import language
    >>> unigrams, bigrams = count(pa.array(["New York, New York", None]), language("en"))
    >>> unigrams.to_pylist(), bigrams.to_pylist()
    ([{'word': 'New', 'count': 2}, {'word': 'York', 'count': 2}], [{'first': 'New', 'second': 'York', 'count': 2}])
    """
    counts = Counts()
    counts.add(_words(texts, language))
    return counts.unigrams(), pa.concat_tables([BIGRAMS.empty_table(), *counts.bigrams()])


def count_batches(batches: Iterable[Texts], language: Language, pairs: int = PAIRS) -> Iterator[pa.Table]:
    """Yield tables of UNIGRAMS and BIGRAMS whose counts add up to those of all texts.

    A word or pair is in more than one table only if the texts have more words than WORDS and BYTES, or more pairs than
    `pairs`.
    """
    counts = Counts()
    for texts in batches:
        words = _words(texts, language)
        if not counts.have_room(words, pairs):
            yield from counts.tables()
            counts = Counts()
        counts.add(words)
    yield from counts.tables()


class Counts:
    """The counts of the words and pairs that were added."""

    def __init__(self) -> None:
        self._vocabulary, self._pairs = _Vocabulary(), _Pairs()

    def have_room(self, words: segment.Words, pairs: int = PAIRS) -> bool:
        """Return whether the words can be added within the limits, even if all they bring is new."""
        vocabulary = self._vocabulary
        return (
            vocabulary.found + len(words) <= WORDS
            and vocabulary.bytes + len(words.data) <= BYTES
            and self._pairs.found + len(words) <= pairs
        )

    def add(self, words: segment.Words) -> None:
        """Count words and the pairs among them."""
        numbers = self._vocabulary.add(words)
        self._pairs.add(numbers, words.follows)

    def unigrams(self) -> pa.Table:
        """Return word and count of the words."""
        return pa.table([self._vocabulary.strings(), self._vocabulary.counts()], UNIGRAMS)

    def bigrams(self) -> Iterator[pa.Table]:
        """Yield first, second and count of the pairs, some at a time."""
        strings = self._vocabulary.strings()
        for begin in range(0, self._pairs.found, _ROWS):
            pairs, counts = self._pairs.slice(begin, begin + _ROWS)
            sides = (strings.take(pa.array(side)) for side in (pairs >> 32, pairs & 0xFFFFFFFF))
            yield pa.table([*sides, pa.array(counts)], BIGRAMS)

    def tables(self) -> Iterator[pa.Table]:
        """Yield all counts."""
        yield self.unigrams()
        yield from self.bigrams()


class _Vocabulary:
    """The distinct words, numbered by first appearance, and their counts."""

    def __init__(self, words: int = 0, size: int = 0):
        self.found = 0
        self._most = words
        self._slots, self._offsets = _slots(words, np.int64), np.zeros(words + 1, np.int32)
        self._bytes, self._counts = np.empty(size, np.uint8), np.zeros(words, np.int64)

    @property
    def bytes(self) -> int:
        return int(self._offsets[self.found])

    def add(self, words: segment.Words) -> np.ndarray:
        """Count words; return their numbers."""
        self._make_room(len(words), len(words.data))
        numbers = self._number(words.data, words.starts, words.ends)
        self._counts[: self.found] += np.bincount(numbers, minlength=self.found)
        return numbers

    def strings(self) -> pa.Array:
        offsets, data = pa.py_buffer(self._offsets[: self.found + 1]), pa.py_buffer(self._bytes[: self.bytes])
        strings = pa.StringArray.from_buffers(self.found, offsets, data)
        for normal, read in RESPELLED:
            strings = pc.replace_substring(strings, read, normal)
        return strings

    def counts(self) -> pa.Array:
        return pa.array(self._counts[: self.found])

    def _number(self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        numbers = np.empty(len(starts), np.int32)
        self.found = kernels.number_words(
            data, starts, ends, self._slots, self.found, numbers, self._offsets, self._bytes
        )
        return numbers

    def _make_room(self, words: int, size: int) -> None:
        """Move to larger arrays, at least twice as large, unless so many more fit."""
        if self.found + words <= self._most and self.bytes + size <= len(self._bytes):
            return
        larger = _Vocabulary(max(self.found + words, 2 * self._most), max(self.bytes + size, 2 * len(self._bytes)))
        larger._number(self._bytes, self._offsets[: self.found], self._offsets[1 : self.found + 1])
        larger._counts[: self.found] = self._counts[: self.found]
        self.__dict__ = larger.__dict__


class _Pairs:
    """The distinct pairs of numbers, first << 32 | second, by first appearance, and their counts."""

    def __init__(self) -> None:
        self.found = 0
        self._slots = _slots(0, np.int32)
        self._pairs, self._counts = np.empty(0, np.int64), np.empty(0, np.int64)

    def add(self, numbers: np.ndarray, follows: np.ndarray) -> None:
        self._make_room(int(np.count_nonzero(follows)))
        self.found = kernels.count_pairs(numbers, follows, self._slots, self.found, self._pairs, self._counts)

    def slice(self, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        end = min(end, self.found)
        return self._pairs[begin:end], self._counts[begin:end]

    def _make_room(self, more: int) -> None:
        if self.found + more <= len(self._pairs):
            return
        most = max(self.found + more, 2 * len(self._pairs))
        self._pairs, self._counts = (_copied(array, self.found, most) for array in (self._pairs, self._counts))
        self._slots = _slots(most, np.int32)
        kernels.index_pairs(self._pairs[: self.found], self._slots)


def _words(texts: Texts, language: Language) -> segment.Words:
    written = texts.to_pylist() if isinstance(texts, pa.Array | pa.ChunkedArray) else texts
    return segment.segment("\n".join(filter(None, written)), language.code)


def _slots(keys: int, integer: type) -> np.ndarray:
    return np.full(1 << max(2 * keys - 1, 1).bit_length(), -1, integer)


def _copied(array: np.ndarray, used: int, size: int) -> np.ndarray:
    larger = np.empty(size, array.dtype)
    larger[:used] = array[:used]
    return larger
