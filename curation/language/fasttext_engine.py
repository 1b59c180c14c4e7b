"""Predict with fastText models of lid.176.ftz's shape: fastText's labels and scores, more than ten times as fast.

The file becomes arrays in `fasttext_arrays`; the kernel that predicts is `kernels.fasttext.language_id`.
"""

from __future__ import annotations

from os import PathLike
from threading import Lock

import numpy as np
import pyarrow as pa

from curation.kernels.fasttext.language_id import AT_ONCE, most_rows, predict
from curation.kernels.fasttext.vectors import WIDTH
from curation.kernels.fasttext.word_rows import MOST_IDS, learn_dictionary
from curation.language.fasttext_arrays import ModelArrays, read_arrays
from curation.language.fasttext_file import ModelFile
from runtime.arrow.buffers import string_buffers

_SLOTS = 1 << 16  # of the table of words: two megabytes; at most half of them are used
_IDS, _LETTERS = 8, 16  # for which the table has room, for each word


class LanguageModel:
    """A fastText model of lid.176.ftz's shape, and the words that it has met."""

    def __init__(self, arrays: ModelArrays) -> None:
        names = [label.decode("utf-8", "replace") for label in arrays.labels]
        self._labels = pa.array(names, pa.string())
        self._model = arrays.rows, arrays.kept, arrays.before, arrays.children, arrays.weights
        self._table = _table(arrays)
        self._waiting = tuple(np.empty(len(arrays.children), dtype) for dtype in ("i8", "f8", "f4", "f4"))
        self._lock = Lock()  # each call writes the table of words

    @classmethod
    def open(cls, path: str | PathLike[str]) -> LanguageModel | None:
        """Return the model of a fastText file; None where the file is of another shape. A damaged file is refused."""
        return cls.of(ModelFile.open(path))

    @classmethod
    def of(cls, model: ModelFile) -> LanguageModel | None:
        """Return the model of a file; None where the file is of another shape."""
        arrays = read_arrays(model)
        return cls(arrays) if arrays else None

    def predict(self, texts: pa.Array) -> tuple[pa.DictionaryArray, pa.FloatArray]:
        """Return the likeliest label of each text and its score; null gives null."""
        offsets, data = string_buffers(texts)
        offsets.flags.writeable = data.flags.writeable = False  # as Arrow's mostly are: one type, so one compilation
        labels, scores = np.empty(len(texts), np.int32), np.empty(len(texts), np.float32)
        longest = int(np.diff(offsets).max(initial=0))
        words, found = np.empty((AT_ONCE, 5), np.int64), np.empty(most_rows(longest), np.uint16)
        scratch = words, found, np.empty(WIDTH, np.float32), self._waiting
        with self._lock:
            predict(offsets, data, self._model, self._table, scratch, labels, scores)
        nulls = texts.is_null().to_numpy(zero_copy_only=False) if texts.null_count else None
        return pa.DictionaryArray.from_arrays(pa.array(labels, mask=nulls), self._labels), pa.array(scores, mask=nulls)


def _table(arrays: ModelArrays) -> tuple[np.ndarray, ...]:
    """Return the table of words that `kernels.fasttext.word_rows` describes, with the dictionary in it."""
    count = len(arrays.words)
    slots = max(_SLOTS, 1 << (4 * count).bit_length())
    table = (
        np.zeros((slots, 4), np.int64),
        np.zeros(slots // 2 * _IDS + MOST_IDS * count, np.uint16),
        np.zeros(slots // 2 * _LETTERS + sum(map(len, arrays.words)), np.uint8),
        np.zeros(3, np.int64),
        np.zeros((slots, 4), np.int64),
        np.zeros(3, np.int64),
    )
    offsets = np.cumsum([0, *map(len, arrays.words)])
    learn_dictionary(offsets, np.frombuffer(b"".join(arrays.words), np.uint8), arrays.kept, arrays.before, table)
    return table
