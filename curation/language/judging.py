"""Decide whether a text is in the language of the model's label; if in doubt, its language becomes `other`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.language.identify import code_of_label
from curation.language.scripts import is_foreign
from curation.language.text_kinds import KINDS, text_kinds
from curation.language.witnesses import Question, Stated, opinions
from metadata.languages import OTHER

REASONS = (*KINDS, "script", "score")  # why a text is undetermined; of several the first counts


@dataclass(frozen=True)
class LanguageRules:
    """The rules that decide whether a text counts as in the language of its label."""

    min_score: float = 0.0  # that the model must give
    min_scores: Mapping[str, float] = field(default_factory=dict)  # of single languages, instead of it
    check_scripts: bool = True  # some letter must be of a script of the language
    check_kinds: bool = False  # the text must have letters, and be no file name, address or HTML
    witnesses: tuple[str, ...] = ()  # asked for the language of doubtful texts, in this order

    @classmethod
    def of(cls, config: CurationConfig) -> LanguageRules:
        """Return the rules that the numbers of a run state."""
        scores = config.min_language_score, config.min_language_scores
        checks = config.wrong_script == OTHER.code, config.no_language == OTHER.code
        return cls(*scores, *checks, tuple(config.witnesses))

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
