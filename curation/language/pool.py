"""Weigh the scores that a model gives a doubtful text by the languages of the sure texts of its page, host and file.

The language that the page states counts, too. A weight only lifts languages that are frequent there: the others keep
their scores, so that no language gets worse in a file of many languages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CLEAR_SCORE, SURE_SCORE
from curation.kernels.fasttext.losses import MOST_WEIGHT
from curation.language.engines import Identifier, code_of_label
from curation.language.judging import LanguageRules, judge
from metadata.languages import OTHER

POOL_WEIGHT = 14  # of a language that all sure texts of a file are in; with 16, languages of balanced gold get worse
HOST_WEIGHT = MOST_WEIGHT  # of a language that all sure texts of a page and its host are in
FEW_OF_POOL = 20  # sure texts with which a file has half of its weight
FEW = 3  # sure texts with which a host or page has half of its weight; a stated language counts as much
_AT_ONCE = 4096  # texts that are weighed together, to bound memory

Labelled = tuple[pa.DictionaryArray, pa.FloatArray]


@dataclass(frozen=True)
class Surroundings:
    """The page and host of each text; null if unknown."""

    pages: pa.StringArray
    hosts: pa.StringArray
    stated: pa.StringArray  # the codes of the languages that pages state


def weighed(
    texts: pa.Array, labelled: Labelled, identifier: Identifier, around: Surroundings | Mapping[str, float]
) -> pa.StringArray:
    """Return the language with the highest weighed score of each text that is not clear; null if it has no weight.

    `labelled` are the labels and scores of the model. `around` may be shares of languages, which weigh like those of a
    file.
    """
    scores = pc.fill_null(labelled[1], 0).to_numpy()
    rows = np.flatnonzero((scores > 0) & (scores < CLEAR_SCORE))
    weights = _Weights.of(texts, labelled, around)
    spread = partial(identifier.spread, languages=weights.languages)
    languages, answers = pa.array(weights.languages, pa.string()), np.full(len(texts), -1)
    labels = pc.index_in(pa.array(map(code_of_label, labelled[0].dictionary.to_pylist()), pa.string()), languages)
    own = labels.take(labelled[0].indices).fill_null(-1).to_numpy()
    for begin in range(0, len(rows) if weights.languages else 0, _AT_ONCE):
        some = rows[begin : begin + _AT_ONCE]
        answers[some] = _highest(texts.take(pa.array(some)), scores[some], own[some], weights.of_rows(some), spread)
    return languages.take(pa.array(answers, mask=answers < 0))


def _highest(
    texts: pa.Array, scores: np.ndarray, own: np.ndarray, lifts: np.ndarray, spread: Callable[[pa.Array], np.ndarray]
) -> np.ndarray:
    """Return the number of the language with the highest weighed score of each text; -1 if its weight is 1.

    `own` are the languages of the labels, with the highest scores: if their weight is the highest, too, they stay.
    """
    most = lifts.max(axis=1)
    best = np.where(most > 1, own, -1)
    asked = np.flatnonzero((most > 1) & ((own < 0) | (lifts[np.arange(len(own)), own] < most)))
    values = spread(texts.take(pa.array(asked))) * lifts[asked]
    found = values.argmax(axis=1)
    is_lifted = (lifts[asked, found] > 1) & (values[np.arange(len(asked)), found] > scores[asked])
    best[asked] = np.where(is_lifted, found, -1)
    return best


@dataclass(frozen=True)
class _Weights:
    """The languages around texts; and the numbers of the page, host and stated language of each text, or -1."""

    languages: list[str]
    pool: np.ndarray  # float32 [1, language], weights
    hosts: np.ndarray  # float32 [host, language], numbers of sure texts; the last row is of no host
    pages: np.ndarray  # likewise
    host: np.ndarray  # int64, of each text
    page: np.ndarray
    stated: np.ndarray

    @classmethod
    def of(cls, texts: pa.Array, labelled: Labelled, around: Surroundings | Mapping[str, float]) -> _Weights:
        """Return the weights of shares, or of sure texts, each of which counts once in a page, a host and the file."""
        if isinstance(around, Mapping):
            nothing, none = np.zeros((1, len(around)), np.float32), np.full(len(texts), -1)
            pool = np.array([[*around.values()]], np.float32) * POOL_WEIGHT
            return cls([*around], pool, nothing, nothing, none, none, none)
        found = judge(texts, *labelled, LanguageRules())[0]
        sure = pc.and_(pc.greater_equal(labelled[1], SURE_SCORE), pc.not_equal(found, OTHER.code)).fill_null(False)
        known = pc.if_else(sure, found, None)
        codes = pa.concat_arrays([known, around.stated]).dictionary_encode()
        language, stated = np.split(_numbers(codes), [len(texts)])
        page, host, text = (_numbers(each.dictionary_encode()) for each in (around.pages, around.hosts, texts))
        shape = len(codes.dictionary)
        pool = _counts(np.zeros_like(text), text, language, shape)
        pool *= POOL_WEIGHT / (pool.sum() + FEW_OF_POOL)
        hosts, pages = (_counts(each, text, language, shape) for each in (host, page))
        return cls(codes.dictionary.to_pylist(), pool[:1], hosts, pages, host, page, stated)

    def of_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return the weight of each language for each of these texts, 1 or more."""
        host, page, stated = self.hosts[self.host[rows]], self.pages[self.page[rows]], self.stated[rows]
        state = np.flatnonzero(stated >= 0)
        page[state, stated[state]] += FEW
        total = self.pool
        for counts in (host, page):
            total = (HOST_WEIGHT * counts + FEW * total) / (counts.sum(axis=1, keepdims=True) + FEW)
        return np.maximum(total, 1)


def _numbers(codes: pa.DictionaryArray) -> np.ndarray:
    return codes.indices.fill_null(-1).to_numpy().astype(np.int64)


def _counts(group: np.ndarray, text: np.ndarray, language: np.ndarray, languages: int) -> np.ndarray:
    """Return the number of different texts of each group in each language, float32; -1, the last row, is none."""
    counts = np.zeros((group.max(initial=-1) + 2, languages), np.float32)
    rows = np.flatnonzero((group >= 0) & (language >= 0))
    rows = rows[np.unique(group[rows] * (text.max(initial=0) + 1) + text[rows], return_index=True)[1]]
    np.add.at(counts, (group[rows], language[rows]), 1)
    return counts
