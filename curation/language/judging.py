"""Decide whether a text is in the language of the model's label; if in doubt, its language becomes `other`.

A witness has a second opinion: it is a function from texts that are in question to languages. It says nothing (null)
where it knows nothing. The first in the order that a run states counts, unless the text cannot be in the language that
it names, by the scripts of its letters: then the next one is asked. What the texts around it say is in `pool`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import DOUBTFUL_SCORE, SURE_SCORE, CurationConfig
from curation.kernels.texts import find_bits
from curation.language.engines import code_of_label
from curation.language.text_kinds import KINDS, can_write, is_foreign, text_kinds
from metadata.languages import OTHER
from metadata.rules import CHINESE, JAPANESE, han_table
from runtime.arrow import string_buffers

_OF_HAN = pa.array(["zh", "ja"])
_LATIN, _OWN = r"\p{Latin}", r"[\p{Han}\p{Hiragana}\p{Katakana}]"
_LETTERS = 3  # of the Latin script, that say about as much as a character of Han or kana

REASONS = (*KINDS, "script", "score")  # why a text is undetermined; of several the first counts


@dataclass(frozen=True)
class LanguageRules:
    """The rules that decide whether a text counts as in the language of its label."""

    min_score: float = 0.0  # that the model must give
    min_scores: Mapping[str, float] = field(default_factory=dict)  # of single languages, instead of it
    check_scripts: bool = True  # some letter must be of a script of the language
    check_kinds: bool = False  # the text must have letters, and be no file name, address or HTML
    witnesses: tuple[str, ...] = ()  # asked for the language of doubtful texts, in this order
    pool_shares: Mapping[str, float] = field(default_factory=dict)  # of languages, instead of those around a text

    @classmethod
    def of(cls, config: CurationConfig) -> LanguageRules:
        """Return the rules that the numbers of a run state."""
        scores = config.min_language_score, config.min_language_scores
        checks = config.wrong_script == OTHER.code, config.no_language == OTHER.code
        return cls(*scores, *checks, tuple(config.witnesses), config.pool_shares)

    def least_score(self, code: str) -> float:
        """Return the score that a label needs which means the language `code`."""
        return self.min_scores.get(code, self.min_score)


def judge(
    texts: pa.Array,
    labels: pa.DictionaryArray,
    scores: pa.FloatArray,
    rules: LanguageRules,
    stated: Stated | None = None,
) -> tuple[pa.StringArray, pa.StringArray]:
    """Return the language of each text, given the model's label and score, and who or what decided on it.

    That is a witness, or one of REASONS if the text is undetermined; it is null where the language is what the label
    means, which may be `other`, too. Null gives null.
    """
    codes = [*map(code_of_label, labels.dictionary.to_pylist()), OTHER.code]
    nulls = labels.is_null().to_numpy(zero_copy_only=False)
    indices = np.where(nulls, len(codes) - 1, labels.indices.fill_null(0).to_numpy())
    named = pa.array(codes, pa.string()).take(pa.array(indices, mask=nulls))
    doubts = _doubts(texts, labels, scores, rules)
    reasons = np.select(doubts, range(len(doubts)), -1)
    reasons[np.array([code == OTHER.code for code in codes])[indices]] = -1
    undetermined = pa.array(reasons >= 0)
    languages = pc.if_else(undetermined, OTHER.code, named)
    why = pa.array(REASONS, pa.string()).take(pa.array(reasons, mask=reasons < 0))
    if not rules.witnesses:
        return languages, why
    asked = Question(texts, named, scores.fill_null(1).to_numpy(), stated or Stated.nothing(len(texts)))
    said, by = opinions(asked, ~nulls & ~np.any(doubts[: len(KINDS)], axis=0), rules.witnesses)
    return pc.coalesce(said, languages), pc.if_else(by.is_valid(), by, why)


def _doubts(texts: pa.Array, labels: pa.DictionaryArray, scores: pa.FloatArray, rules: LanguageRules) -> list:
    """Return for each of REASONS whether it applies to each text."""
    nothing = np.zeros(len(texts), np.uint8)
    kinds = text_kinds(texts) if rules.check_kinds else nothing
    foreign = is_foreign(texts, labels) if rules.check_scripts else nothing != 0
    low = _is_low(labels, scores, rules) if rules.min_score or rules.min_scores else nothing != 0
    return [*(kinds & bit != 0 for bit in KINDS.values()), foreign, low]


def _is_low(labels: pa.DictionaryArray, scores: pa.FloatArray, rules: LanguageRules) -> np.ndarray:
    least = [rules.least_score(code_of_label(label)) for label in labels.dictionary.to_pylist()]
    return scores.fill_null(0).to_numpy() < np.array([*least, 0], np.float32)[labels.indices.fill_null(-1).to_numpy()]


@dataclass(frozen=True)
class Stated:
    """What an input says of the languages of its texts, as codes; null where it says nothing."""

    pages: pa.StringArray  # that the pages of the texts state
    pools: pa.StringArray  # that `pool.weighed` gives

    @classmethod
    def nothing(cls, rows: int) -> Stated:
        """Return what an input says that says nothing."""
        return cls(pa.nulls(rows, pa.string()), pa.nulls(rows, pa.string()))

    def take(self, rows: pa.Array) -> Stated:
        """Return the same of some rows."""
        return Stated(self.pages.take(rows), self.pools.take(rows))


@dataclass(frozen=True)
class Question:
    """Texts with the languages and scores that the model gave them, and what their input says."""

    texts: pa.Array
    languages: pa.StringArray
    scores: np.ndarray
    stated: Stated


def _page(asked: Question) -> pa.StringArray:
    """Return the language that the page of each doubtful text states."""
    return pc.if_else(pa.array(asked.scores < DOUBTFUL_SCORE), asked.stated.pages, None)


def _han(asked: Question) -> pa.StringArray:
    """Return Chinese or Japanese where a text has characters of one of them alone, kana among them.

    A text that is labelled otherwise may only name something so, beside more that is said in Latin letters.
    """
    offsets, data = string_buffers(asked.texts)
    offsets.flags.writeable = data.flags.writeable = False  # one type, so one compilation
    bits = np.empty(len(asked.texts), np.int64)
    find_bits(offsets, data, *han_table(), bits)
    of_han = pc.is_in(asked.languages, _OF_HAN).to_numpy(zero_copy_only=False)
    known = ((bits == CHINESE) | (bits == JAPANESE)) & (of_han | (asked.scores < SURE_SCORE))
    others = np.flatnonzero(known & ~of_han)
    latin, own = (pc.count_substring_regex(asked.texts.take(pa.array(others)), of) for of in (_LATIN, _OWN))
    known[others] = latin.to_numpy() <= _LETTERS * own.to_numpy()
    return _OF_HAN.take(pa.array((bits == JAPANESE).astype(np.int8), mask=~known))


WITNESSES: dict[str, Callable[[Question], pa.StringArray]] = {
    "han": _han,
    "pool": lambda asked: asked.stated.pools,
    "page": _page,
}


def opinions(asked: Question, may_ask: np.ndarray, witnesses: Sequence[str]) -> tuple[pa.StringArray, pa.StringArray]:
    """Return the language that a witness gives each text, and the name of that witness; null where none decides.

    Asked are those that are not sure, those labelled Chinese or Japanese, and those on which their pool speaks. To
    agree with a sure label is to decide nothing.
    """
    sure = asked.scores >= SURE_SCORE
    others = pc.or_(pc.is_in(asked.languages, _OF_HAN), asked.stated.pools.is_valid())
    rows = np.flatnonzero(may_ask & (~sure | others.to_numpy(zero_copy_only=False)))
    places = pa.array(rows)
    some = Question(
        asked.texts.take(places), asked.languages.take(places), asked.scores[rows], asked.stated.take(places)
    )
    languages, names = pa.nulls(len(rows), pa.string()), pa.nulls(len(rows), pa.string())
    for name in witnesses:
        said = WITNESSES[name](some)
        counts = pc.or_(pa.array(~sure[rows]), pc.not_equal(said, some.languages)).fill_null(False)
        counts = pc.and_(pc.and_(said.is_valid(), names.is_null()), counts)
        counts = pc.and_(counts, pa.array(can_write(some.texts, said.dictionary_encode())))
        languages, names = pc.if_else(counts, said, languages), pc.if_else(counts, pa.scalar(name), names)
    back = np.full(len(sure), -1)
    back[rows] = np.arange(len(rows))
    places = pa.array(back, mask=back < 0)
    return languages.take(places), names.take(places)
