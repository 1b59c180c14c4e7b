"""Decide whether a text is in the language of the model's label; if in doubt, its language becomes `other`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import DOUBTFUL_SCORE, CurationConfig
from curation.kernels.texts import find_foreign
from curation.language.identify import code_of_label
from curation.language.text_kinds import KINDS, text_kinds
from metadata.languages import LANGUAGES, OTHER, of_label
from metadata.rules.characters import letter_table
from runtime.arrow.buffers import string_buffers

SCRIPTS = tuple(sorted({script for language in LANGUAGES for script in language.scripts}))
_EVERY = -1  # all bits: of languages of which no script is known, and of `other`
_OF_LABEL = re.compile(r"_([A-Z][a-z]{3})$")
REASONS = (*KINDS, "script", "score")  # why a text is undetermined; of several the first counts


@dataclass(frozen=True)
class LanguageRules:
    """The rules that decide whether a text counts as in the language of its label."""

    min_score: float = 0.0  # that the model must give
    min_scores: Mapping[str, float] = field(default_factory=dict)  # of single languages, instead of it
    check_scripts: bool = True  # some letter must be of a script of the language
    check_kinds: bool = False  # the text must have letters, and be no file name, address or HTML
    ask_pages: bool = False  # a text of a score below DOUBTFUL_SCORE gets the language of its page

    @classmethod
    def of(cls, config: CurationConfig) -> LanguageRules:
        """Return the rules that the numbers of a run state."""
        scores = config.min_language_score, config.min_language_scores
        checks = config.wrong_script == OTHER.code, config.no_language == OTHER.code
        return cls(*scores, *checks, ask_pages=config.page_language == "use")

    def least_score(self, code: str) -> float:
        """Return the score that a label needs which means the language `code`."""
        return self.min_scores.get(code, self.min_score)


def judge(
    texts: pa.Array,
    labels: pa.DictionaryArray,
    scores: pa.FloatArray,
    rules: LanguageRules,
    pages: pa.StringArray | None = None,
) -> tuple[pa.StringArray, pa.StringArray]:
    """Return the language of each text, given the model's label and score, and the reason if it is undetermined.

    The reason is null where the language is what the label means, which may be `other`, too, or the one that the page
    of the text states, a code in `pages`. Null gives null.
    """
    codes = [*map(code_of_label, labels.dictionary.to_pylist()), OTHER.code]
    nulls = labels.is_null().to_numpy(zero_copy_only=False)
    indices = np.where(nulls, len(codes) - 1, labels.indices.fill_null(0).to_numpy())
    doubts = _doubts(texts, labels, scores, rules)
    reasons = np.select(doubts, range(len(doubts)), -1)
    reasons[np.array([code == OTHER.code for code in codes])[indices]] = -1
    indices[reasons >= 0] = len(codes) - 1
    languages = pa.array(codes, pa.string()).take(pa.array(indices, mask=nulls))
    why = pa.array(REASONS, pa.string()).take(pa.array(reasons, mask=reasons < 0))
    if not rules.ask_pages or pages is None or pages.null_count == len(pages):
        return languages, why
    asked = pa.array(_ask_page(texts, scores, pages) & ~np.any(doubts[: len(KINDS)], axis=0))
    return pc.if_else(asked, pages, languages), pc.if_else(asked, None, why)


def _ask_page(texts: pa.Array, scores: pa.FloatArray, pages: pa.StringArray) -> np.ndarray:
    """Return whether each text is doubtful, and may be in the language that its page states."""
    asked = pc.and_(pc.less(scores, DOUBTFUL_SCORE), pages.is_valid()).fill_null(False)
    return asked.to_numpy(zero_copy_only=False) & ~is_foreign(texts, pages.dictionary_encode())


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


def is_foreign(texts: pa.Array, labels: pa.DictionaryArray) -> np.ndarray:
    """Return whether all letters of each text are of scripts in which the language of its label is not written.

    A text without letters is not foreign, and neither is a null.
    """
    offsets, data = string_buffers(texts)
    offsets.flags.writeable = data.flags.writeable = False  # one type, so one compilation
    every = np.array([*map(_written, labels.dictionary.to_pylist()), _EVERY], np.int64)
    foreign = np.empty(len(texts), bool)
    find_foreign(offsets, data, *letter_table(SCRIPTS), every[labels.indices.fill_null(-1).to_numpy()], foreign)
    return foreign


@cache
def _written(label: str) -> int:
    """Return the bits of the scripts that a label admits: its language's scripts, and the script in its name."""
    scripts = {*of_label(label).scripts, *_OF_LABEL.findall(label)}
    if not of_label(label).scripts:
        return _EVERY
    return sum(1 << number for number, script in enumerate(SCRIPTS) if script in scripts)
