"""Predict with fastText models of any layout: fastText's labels, and its scores up to rounding.

The parts of the file are read in `model_parts`; the kernel that predicts is `kernels.fasttext.any_model`.
"""

from __future__ import annotations

from threading import Lock

import numpy as np
import pyarrow as pa

from curation.kernels.fasttext.any_model import TILE, UNKNOWN, Output, Scratch, predict
from curation.kernels.fasttext.language_id import AT_ONCE
from curation.kernels.fasttext.losses import DAMAGED
from curation.kernels.fasttext.ngrams import AHEAD, Model, Sums, add_end
from curation.kernels.fasttext.rows import LANES
from curation.kernels.fasttext.word_rows import LONGEST
from curation.kernels.fasttext.word_sums import WordSums
from curation.language.fasttext_file import ModelFile
from curation.language.model_parts import read_output, read_rows, read_words
from metadata.languages import OTHER
from runtime.arrow.buffers import string_buffers
from runtime.errors import InputError

_MEMORY = 64 << 20  # bytes of the sums of words; those that come again and again stay in the cache
_MOST_WORDS = 1 << 16  # of which sums are remembered
_LETTERS = 24  # for which there is room, for each word


class AnyModel:
    """A fastText model with labels, and the words that it has met."""

    def __init__(self, path: str, labels: list[str], model: Model, output: Output) -> None:
        self._path, self._labels = path, pa.array([*labels, OTHER.code], pa.string())
        self._model, self._output = model, output
        self._table = _table(self._model)
        self._lock = Lock()  # each call writes the table of words
        self.summed_twice = 0  # texts of which another label was near

    @classmethod
    def of(cls, model: ModelFile) -> AnyModel | None:
        """Return the model of a file; None where only fastText itself can read it."""
        words, output = read_words(model), read_output(model)
        if words is None or output is None:
            return None
        model.load()
        labels = [label.text for label in model.labels()]
        return cls(model.path, labels, Model(words, read_rows(model), np.empty(AHEAD, np.int64)), output)

    def predict(self, texts: pa.Array) -> tuple[pa.DictionaryArray, pa.FloatArray]:
        """Return the likeliest label of each text and its score; null gives null.

        A text of which the model knows no part is `other`, with score 0.
        """
        offsets, data = string_buffers(texts)
        offsets.flags.writeable = data.flags.writeable = False  # as Arrow's mostly are: one type, so one compilation
        labels, scores = np.empty(len(texts), np.int32), np.empty(len(texts), np.float32)
        scratch = self._scratch(int(np.diff(offsets).max(initial=0)))
        with self._lock:
            self.summed_twice += predict(offsets, data, self._model, self._table, self._output, scratch, labels, scores)
        if (labels == DAMAGED).any():
            raise InputError(f"{self._path} holds damaged vectors; download it again")
        labels[labels == UNKNOWN] = len(self._labels) - 1
        nulls = texts.is_null().to_numpy(zero_copy_only=False) if texts.null_count else None
        return pa.DictionaryArray.from_arrays(pa.array(labels, mask=nulls), self._labels), pa.array(scores, mask=nulls)

    def _scratch(self, longest: int) -> Scratch:
        outputs = self._output.outputs
        return Scratch(
            np.empty((AT_ONCE, 5), np.int64),
            np.empty(AT_ONCE, np.int64),
            np.empty(longest // 2 + 2 if self._model.words.word_ngrams > 1 else 0, np.int64),
            _sums(TILE, self._model.rows.width),
            np.empty((TILE, outputs.shape[0] * outputs.shape[2]), np.float32),
            np.empty(TILE, np.int64),
        )


def _sums(count: int, width: int) -> Sums:
    """Return memory for so many sums; one that was never touched costs none."""
    return Sums(np.zeros((count, _padded(width)), np.float32), np.zeros(count, np.int64), np.zeros(count))


def _padded(width: int) -> int:
    return -(-width // LANES) * LANES


def _table(model: Model) -> WordSums:
    """Return the table of words that `kernels.fasttext.word_sums` describes, with the end of sentence in it."""
    width = model.rows.width
    most = max(min(_MEMORY // (4 * _padded(width)), _MOST_WORDS), 2 * AT_ONCE)
    table = WordSums(
        np.zeros((1 << (2 * most - 1).bit_length(), 4), np.int64),
        np.zeros((most + AT_ONCE) * _LETTERS + AT_ONCE * LONGEST, np.uint8),
        np.zeros(most + AT_ONCE, np.int64),
        np.array([1, 0]),
        _sums(most + AT_ONCE, width),
    )
    table.hashes[0] = model.words.end_hash
    add_end(model, table.sums, 0)
    return table
