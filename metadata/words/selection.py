"""Choose the words, word pairs and titles of a language that become entries: the best by count, score or views.

Rows are ordered by value, then by string, so the choice does not depend on the order of rows or how they were counted.
Rows come in batches of many languages. Memory holds one number, and no string, per chosen entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.config import ENGLISH, MetadataConfig
from metadata.languages import Language
from runtime.tallies import Tallies

RATED = pa.schema([("language", pa.string()), ("entry", pa.string()), ("score", pa.float64())])

_PUNCTUATION = r"^\p{P}*$"  # the empty string too


@dataclass(frozen=True)
class Rule:
    """The best rows of a language that are taken: at most `most`, that `share` of its candidates, none below `least`.

    Candidates are the rows whose strings can be entries.
    """

    most: int
    share: float = 1
    least: float = -np.inf

    def taken(self, candidates: int, enough: int) -> int:
        """Return how many rows are taken from `candidates` rows, of which `enough` are not below the least value.

        A part of a row is a row, so a small table keeps one.

        >>> Rule(most=100, share=0.1).taken(31, 31), Rule(most=100, least=70).taken(31, 5)
        (4, 5)
        """
        return min(self.most, _part(candidates, self.share), enough)


def unigrams(language: Language, config: MetadataConfig) -> Rule:
    """Return the rule for words by their count."""
    if language.code == ENGLISH:
        return Rule(config.unigram_limit, least=config.english_unigram_count)
    return Rule(config.unigram_limit, config.unigram_share)


def bigrams(unigram_entries: int, config: MetadataConfig) -> Rule:
    """Return the rule for word pairs by their score, given how many words of the language are entries."""
    return Rule(min(config.bigram_limit, _part(unigram_entries, config.bigram_share)))


def titles(language: Language, config: MetadataConfig) -> Rule:
    """Return the rule for titles by their views."""
    if language.code == ENGLISH:
        return Rule(config.title_limit, least=config.english_title_views)
    return Rule(config.title_limit, config.title_share)


def figures(batches: Iterable[pa.RecordBatch], rules: Mapping[str, Rule], longest: int) -> Tallies:
    """Return the `rows` of RATED of each language, the `sum` of their scores, the `candidates`, and `enough`.

    `enough` are the candidates that are not below the least value of the language's rule.
    """
    tally = Tallies()
    for code, rows in by_language(batches):
        score, candidate = rows["score"], can_be_entry(rows["entry"], longest)
        enough = pc.and_(candidate, pc.greater_equal(score, rules[code].least))
        tally.add("rows", rows.num_rows, code)
        for name, values in (("sum", score), ("candidates", candidate), ("enough", enough)):
            tally.add(name, pc.sum(values).as_py() or 0, code)
    return tally


def best(batches: Iterable[pa.RecordBatch], taken: Mapping[str, int], longest: int) -> Iterator[pa.RecordBatch]:
    """Yield the candidates among rows of RATED that can be among the best `taken` of their language.

    The best of these are the best of all; how many others are among them depends on the order of rows.
    """
    best = {code: np.empty(0) for code in taken}
    least = {code: -np.inf if most else np.inf for code, most in taken.items()}
    for code, rows in by_language(batches):
        rows = rows.filter(pc.greater_equal(rows["score"], least[code]))
        rows = rows.filter(can_be_entry(rows["entry"], longest))
        if rows.num_rows:
            values = np.concatenate([best[code], rows["score"]])
            if len(values) >= taken[code]:
                values = np.partition(values, -taken[code])[-taken[code] :]
                least[code] = values[0]
            best[code] = values
            yield rows


def by_language(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the rows of each batch in parts of one language."""
    for batch in batches:
        codes = pc.unique(batch["language"]).to_pylist()
        for code in codes:
            yield code, batch if len(codes) == 1 else batch.filter(pc.equal(batch["language"], code))


def can_be_entry(entries: pa.Array, longest: int) -> pa.Array:
    """Return of each string whether it can be an entry: it is neither null, empty, pure punctuation nor too long."""
    short = pc.less_equal(pc.utf8_length(entries), longest)
    return pc.fill_null(pc.and_not(short, pc.match_substring_regex(entries, _PUNCTUATION)), False)


def _part(rows: int, share: float) -> int:
    return ceil(rows * Fraction(str(share)))  # as written: 0.1 of 30 is 3, of which floats make 3.0000000000000004
