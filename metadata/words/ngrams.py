"""Score how strongly the words of a pair are associated, and join them to an entry.

With c the count of the pair, c1 and c2 those of its words and N that of all words, PMI = log2(c N / (c1 c2)). PMI_30%
is the 30th percentile over the distinct pairs of a language. Counts come from `counting`; entries are chosen in
`selection`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.config import MetadataConfig
from metadata.kernels import ngrams as kernels
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


def information(counts: np.ndarray, first: np.ndarray, second: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return the PMI of pairs, log2(c N / (c1 c2)), from c, c1, c2 and N of each; all are float64."""
    out = np.empty(len(counts))
    kernels.pointwise_mutual_information(counts, first, second, total, out)
    return out


def scores(counts: np.ndarray, mutual: np.ndarray, floor: np.ndarray, config: MetadataConfig) -> np.ndarray:
    """Return the score of each pair, by which the best are taken; nan for those that the rule `pmi` leaves out.

    The score is (c + 1)^0.7 (PMI - PMI_30%) [2, appendix], or with `bigram_score="pmi"` the PMI itself, of the pairs
    where it is above `bigram_min_pmi`.
    """
    if config.bigram_score == "pmi":
        return np.where(mutual > config.bigram_min_pmi, mutual, np.nan)
    out = np.empty(len(counts))
    kernels.association(counts, mutual, floor, config.count_exponent, out)
    return out


def ordered(values: np.ndarray) -> np.ndarray:
    """Return float64 as int64 in the same order, and such int64 as the float64 they were made of; no value is nan.

    >>> numbers = ordered(np.array([-2.5, -1.0, 0.0, 1.0, 2.5]))
    >>> bool((np.diff(numbers) > 0).all()), ordered(numbers).tolist()
    (True, [-2.5, -1.0, 0.0, 1.0, 2.5])
    """
    bits = values.view(np.int64)
    bits = bits ^ ((bits >> 63) & np.iinfo(np.int64).max)
    return bits if values.dtype == np.float64 else bits.view(np.float64)


def percentile_ranks(number: int, percent: float) -> list[int]:
    """Return the ranks from 0 of the two neighbours between which a percentile of so many values is."""
    low = int((number - 1) * (percent / 100))
    return [low, min(low + 1, number - 1)]


def percentile(neighbours: tuple[float, float], number: int, percent: float) -> float:
    """Return the percentile of so many values on the straight line between its neighbours, as NumPy computes it.

    >>> values = [1.0, 2.0, 4.0, 8.0]
    >>> low, high = (values[rank] for rank in percentile_ranks(4, 30))
    >>> bool(percentile((low, high), 4, 30) == np.percentile(values, 30))
    True
    """
    (low, high), place = neighbours, (number - 1) * (percent / 100)
    share = place - int(place)
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share
