"""Choose the words, word pairs and titles of a language that become entries: the best by count, score or views.

The order is by value, then by the string, so it depends on neither the order of rows nor how they were counted.
"""

from fractions import Fraction
from math import ceil

import pyarrow as pa
import pyarrow.compute as pc

from metadata.config import ENGLISH, MetadataConfig
from metadata.languages import Language

_PUNCTUATION = r"^\p{P}*$"  # the empty string too


def unigrams(words: pa.Table, language: Language, config: MetadataConfig) -> pa.Table:
    """Return word and count of the unigram entries, given all words of a language."""
    if language.code == ENGLISH:
        return top(words, config.unigram_limit, least=config.english_unigram_count, longest=config.longest_entry)
    return top(words, config.unigram_limit, share=config.unigram_share, longest=config.longest_entry)


def bigrams(scored: pa.Table, unigram_entries: int, config: MetadataConfig) -> pa.Table:
    """Return entry and score of the bigram entries.

    `scored` is what `ngrams.association` returns, `unigram_entries` how many words of the language are entries.
    """
    best = scored.group_by("entry").aggregate([("score", "max")])  # 中 + 国人 is 中国 + 人
    most = min(config.bigram_limit, _part(unigram_entries, config.bigram_share))
    return top(best.rename_columns(["entry", "score"]), most, longest=config.longest_entry)


def titles(views: pa.Table, language: Language, config: MetadataConfig) -> pa.Table:
    """Return title and views of the title entries, given each title of a language once."""
    if language.code == ENGLISH:
        return top(views, config.title_limit, least=config.english_title_views, longest=config.longest_entry)
    return top(views, config.title_limit, share=config.title_share, longest=config.longest_entry)


def top(table: pa.Table, most: int, share: float = 1, least: float | None = None, longest: int = 256) -> pa.Table:
    """Return the rows of highest value, best first: at most `most`, that `share` of all, and none below `least`.

    The first column is the entry, the second its value. Not counted among all are strings that can be no entry:
    null, empty, pure punctuation, more than `longest` characters. A part of a row is a row, so a small table keeps one.

    >>> top(pa.table({"word": ["b", "c", "a", "..."], "count": [2, 9, 2, 99]}), 2).to_pylist()
    [{'word': 'c', 'count': 9}, {'word': 'a', 'count': 2}]
    """
    entry, value = table.column_names
    table = table.filter(_can_be_entry(table[entry], longest))
    keep = min(most, _part(len(table), share))
    if least is not None:
        table = table.filter(pc.greater_equal(table[value], least))
    order = pc.sort_indices(table, [(value, "descending"), (entry, "ascending")])
    return table.take(order[:keep])


def _can_be_entry(entries: pa.ChunkedArray, longest: int) -> pa.ChunkedArray:
    short = pc.less_equal(pc.utf8_length(entries), longest)
    return pc.and_not(short, pc.match_substring_regex(entries, _PUNCTUATION))


def _part(rows: int, share: float) -> int:
    return ceil(rows * Fraction(str(share)))  # as written: 0.1 of 30 is 3, of which floats make 3.0000000000000004
