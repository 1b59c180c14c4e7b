"""Score how strongly the words of a pair are associated, and join the two words into an entry.

With c the count of the pair, c1 and c2 the counts of its words, and N the count of all words,
PMI = log2(c N / (c1 c2)). PMI_30% is the 30th percentile of PMI over the distinct pairs of a language.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from metadata.config import MetadataConfig
from metadata.languages import Language
from metadata.words import segment

# Arrow's regular expressions know no script extensions, so the length mark that Hiragana and Katakana share is named.
_SPACELESS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}ー]"
_TIBETAN = r"^\p{Tibetan}+$"


def joined(first: pa.Array, second: pa.Array, language: Language) -> pa.Array:
    """Return the entry that each pair makes: with a space, or without where the language writes none.

    Two words of scripts that are written with spaces, such as Latin, or digits, keep theirs in any language.

    >>> from metadata.languages import language
    >>> joined(pa.array(["New", "東京"]), pa.array(["York", "タワー"]), language("ja")).to_pylist()
    ['New York', '東京タワー']
    """
    spaced = pc.binary_join_element_wise(first, second, " ")
    if language.spaced:
        return spaced
    joint = segment.TSHEG if language.code in segment.TIBETAN else ""
    close = pc.binary_join_element_wise(first, second, joint)
    apart = pc.binary_join_element_wise(first, second, "")
    return pc.case_when(
        pc.make_struct(_both(_TIBETAN, first, second), _either(_SPACELESS, first, second)), close, apart, spaced
    )


def _both(pattern: str, *sides: pa.Array) -> pa.Array:
    return pc.and_(*(pc.match_substring_regex(side, pattern) for side in sides))


def _either(pattern: str, *sides: pa.Array) -> pa.Array:
    return pc.or_(*(pc.match_substring_regex(side, pattern) for side in sides))


def information(counts: pa.Array, first: pa.Array, second: pa.Array, total: float) -> pa.Array:
    """Return the PMI of pairs, log2(c N / (c1 c2)), from c, c1 and c2 of each, and N; all are float64.

    Arrow's functions give a value the same bits wherever it is in an array, which NumPy's vector loops may not.
    """
    return pc.log2(pc.divide(pc.multiply(counts, total), pc.multiply(first, second)))


def scores(counts: pa.Array, mutual: pa.Array, floor: float, config: MetadataConfig) -> pa.Array:
    """Return the score of each pair, by which the best are taken; null for those that the rule `pmi` leaves out.

    The score is (c + 1)^0.7 (PMI - PMI_30%) [2, appendix], or with `bigram_score="pmi"` the PMI itself, of the pairs
    where it is above `bigram_min_pmi`.
    """
    if config.bigram_score == "pmi":
        return pc.if_else(pc.greater(mutual, config.bigram_min_pmi), mutual, None)
    return pc.multiply(pc.power(pc.add(counts, 1.0), config.count_exponent), pc.subtract(mutual, floor))
