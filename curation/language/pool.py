"""Weigh the scores that a model gives a text by the languages of the sure texts of its page, host and file.

The language that the page states counts, too. A weight only lifts languages that are frequent there: the others keep
their scores, so that no language gets worse in a file of many languages. Scores are means of those of the text and of
its words in lower case: a model may be sure of a wrong language for capitals or signs alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import SURE_SCORE
from curation.kernels.fasttext.losses import MOST_WEIGHT
from curation.language.engines import Answers, Identifier, code_of_label
from curation.language.judging import LanguageRules, judge
from metadata.languages import OTHER

POOL_WEIGHT = 20  # of a language that all sure texts of a file are in; it falls with the square of the share
HOST_WEIGHT = MOST_WEIGHT  # of a language that all sure texts of a page and its host are in
FEW_OF_POOL = 20  # sure texts with which a file has half of its weight
FEW = 3  # sure texts with which a host or page has half of its weight; a stated language counts as much
LEAST_PART = 0.3  # of the weighed scores of all languages, which a label needs where others are lifted
_SIGNS = r"[^a-z'\x{80}-\x{10FFFF}]+"  # and digits, of ASCII; to compile Unicode's classes would cost most of the time
_AT_ONCE = 4096  # texts that are weighed together, to bound memory


@dataclass(frozen=True)
class Surroundings:
    """The page and host of each text; null if unknown."""

    pages: pa.StringArray
    hosts: pa.StringArray
    stated: pa.StringArray  # the codes of the languages that pages state


def weighed(
    texts: pa.Array, labelled: Answers, identifier: Identifier, around: Surroundings | Mapping[str, float]
) -> pa.StringArray:
    """Return the language with the highest weighed score of each text; null if its label stays.

    `other` stands for a label that nothing around a text supports, and its scores hardly do. `labelled` are the labels
    and scores of the model. `around` may be shares of languages, which weigh like those of a file.
    """
    scores = pc.fill_null(labelled[1], 0).to_numpy()
    rows, weights = np.flatnonzero(scores > 0), _Weights.of(texts, labelled, around)
    answers = np.full(len(texts), -1)
    for begin in range(0, len(rows), _AT_ONCE):
        some = rows[begin : begin + _AT_ONCE]
        answers[some] = weights.highest(some, texts.take(pa.array(some)), scores[some] >= SURE_SCORE, identifier)
    return pa.array(weights.languages, pa.string()).take(pa.array(answers, mask=answers < 0))


@dataclass(frozen=True)
class _Weights:
    """Languages; and the numbers of the page, host, stated language and label's language of each text, or -1."""

    languages: list[str]  # `other` first, then those of labels and around texts
    pool: np.ndarray  # float32 [1, language], weights
    hosts: np.ndarray  # float32 [host, language], numbers of sure texts; the last row is of no host
    pages: np.ndarray  # likewise
    host: np.ndarray  # int64, of each text
    page: np.ndarray
    stated: np.ndarray
    own: np.ndarray

    @classmethod
    def of(cls, texts: pa.Array, labelled: Answers, around: Surroundings | Mapping[str, float]) -> _Weights:
        """Return the weights of shares, or of sure texts, each of which counts once in a page, a host and the file."""
        shares, nothing = around if isinstance(around, Mapping) else {}, pa.nulls(len(texts), pa.string())
        near = Surroundings(nothing, nothing, nothing) if isinstance(around, Mapping) else around
        named = pa.array(map(code_of_label, labelled[0].dictionary.to_pylist()), pa.string()).take(labelled[0].indices)
        found = judge(texts, *labelled, LanguageRules())[0]
        sure = pc.and_(pc.greater_equal(labelled[1], SURE_SCORE), pc.not_equal(found, OTHER.code)).fill_null(False)
        first = pa.array([OTHER.code, *shares])
        codes = pa.concat_arrays([first, named, pc.if_else(sure, found, None), near.stated]).dictionary_encode()
        given, own, language, stated = np.split(_numbers(codes), np.cumsum([len(first), len(texts), len(texts)]))
        page, host, text = (_numbers(each.dictionary_encode()) for each in (near.pages, near.hosts, texts))
        shape = len(codes.dictionary)
        hosts, pages, pool = (_counts(each, text, language, shape) for each in (host, page, np.zeros_like(text)))
        pool = pool[:1] / (pool.sum() + FEW_OF_POOL)
        if shares:
            pool[:] = 0
            pool[0, given[1:]] = [*shares.values()]
        return cls(codes.dictionary.to_pylist(), POOL_WEIGHT * pool**2, hosts, pages, host, page, stated, own)

    def highest(self, rows: np.ndarray, texts: pa.Array, is_sure: np.ndarray, identifier: Identifier) -> np.ndarray:
        """Return the number of the language with the highest weighed score of the texts of these rows; -1: its label's.

        Of labels whose weight is the highest, too, only doubtful texts have an answer.
        """
        near = (self.page[rows] * len(self.hosts) + self.host[rows]) * (len(self.languages) + 1) + self.stated[rows]
        _, first, place = np.unique(near, return_index=True, return_inverse=True)
        lifts, own = self.of_rows(rows[first]), self.own[rows]
        most, mine = lifts.max(axis=1)[place], lifts[place, own]
        best, asked = np.where((most > 1) & ~is_sure, own, -1), np.flatnonzero(mine < most)
        some, lifts, at = texts.take(pa.array(asked)), lifts[place[asked]], np.arange(len(asked))
        words = pc.replace_substring_regex(pc.utf8_lower(some), _SIGNS, " ")
        scores = (identifier.spread(some, self.languages) + identifier.spread(words, self.languages)) / 2
        values = scores * lifts
        of_label, lifted = values[at, own[asked]], np.where(lifts > 1, values, -1)
        unknown = of_label < LEAST_PART * (1 + (values - scores).sum(axis=1))
        is_lifted = lifted.max(axis=1) >= of_label
        best[asked] = np.where(is_lifted, lifted.argmax(axis=1), np.where(unknown, 0, -1))
        return best

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
