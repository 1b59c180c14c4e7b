"""Count the words and word pairs of texts, and score how strongly the words of a pair are associated.

Texts are cut into words in `segment`; the words and pairs that become entries are chosen in `selection`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.config import MetadataConfig
from metadata.kernels import ngrams as kernels
from metadata.languages import Language
from metadata.rules.normal_form import RESPELLED
from metadata.words import segment
from runtime.arrow.schemas import require
from runtime.errors import InputError

UNIGRAMS = pa.schema([("word", pa.string()), ("count", pa.int64())])
BIGRAMS = pa.schema([("first", pa.string()), ("second", pa.string()), ("count", pa.int64())])
SCORED = pa.schema([("entry", pa.string()), ("score", pa.float64())])

# Arrow's regular expressions know no script extensions, so the length mark that Hiragana and Katakana share is named.
_SPACELESS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}ー]"
_TIBETAN = r"^\p{Tibetan}+$"


def count(texts: Iterable[str | None], language: Language) -> tuple[pa.Table, pa.Table]:
    """Return word and count, and first, second and count, of a batch of texts, in order of first appearance.

    A pair is two words with only white space, or in Tibetan a tsheg, between them, in one line of one text. A batch has
    less than 2 GB; counting it takes about eight times its size in memory.

    >>> from metadata.languages import language
    >>> unigrams, bigrams = count(pa.array(["New York, New York", None]), language("en"))
    >>> unigrams.to_pylist(), bigrams.to_pylist()
    ([{'word': 'New', 'count': 2}, {'word': 'York', 'count': 2}], [{'first': 'New', 'second': 'York', 'count': 2}])
    """
    written = texts.to_pylist() if isinstance(texts, pa.Array | pa.ChunkedArray) else texts
    words = segment.segment("\n".join(filter(None, written)), language.code)
    numbers, vocabulary = _numbered(words)
    counts = np.bincount(numbers, minlength=len(vocabulary))
    pairs, pair_counts = _pairs(numbers, words.follows)
    first, second = (vocabulary.take(pa.array(side)) for side in (pairs >> 32, pairs & 0xFFFFFFFF))
    return (
        pa.table([vocabulary, pa.array(counts, pa.int64())], UNIGRAMS),
        pa.table([first, second, pa.array(pair_counts)], BIGRAMS),
    )


def _numbered(words: segment.Words) -> tuple[np.ndarray, pa.Array]:
    """Return a number for each word, and the distinct words by number."""
    numbers, offsets = np.empty(len(words), np.int32), np.zeros(len(words) + 1, np.int32)
    out = np.empty(len(words.data), np.uint8)
    found = kernels.number_words(words.data, words.starts, words.ends, _slots(len(words)), numbers, offsets, out)
    size = offsets[found]
    distinct = pa.StringArray.from_buffers(found, pa.py_buffer(offsets[: found + 1]), pa.py_buffer(out[:size]))
    for normal, read in RESPELLED:
        distinct = pc.replace_substring(distinct, read, normal)
    return numbers, distinct


def _pairs(numbers: np.ndarray, follows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    most = int(np.count_nonzero(follows))
    pairs, counts = np.empty(most, np.int64), np.empty(most, np.int64)
    found = kernels.count_pairs(numbers, follows, _slots(most), pairs, counts)
    return pairs[:found], counts[:found]


def _slots(keys: int) -> np.ndarray:
    return np.full(1 << max(2 * keys - 1, 1).bit_length(), -1, np.int64)


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


def association(unigrams: pa.Table, bigrams: pa.Table, language: Language, config: MetadataConfig) -> pa.Table:
    """Return entry and score of a language's word pairs, from the counts of all its texts.

    With c the count of the pair, c1 and c2 those of its words and N that of all words, PMI = log2(c N / (c1 c2)). The
    score is (c + 1)^0.7 (PMI - PMI_30%), the latter the 30th percentile over the distinct pairs [2, appendix]; or with
    `bigram_score="pmi"` the PMI itself, of the pairs where it is above `bigram_min_pmi`.
    """
    unigrams, bigrams = require(unigrams, UNIGRAMS), require(bigrams, BIGRAMS)
    counts = bigrams["count"].to_numpy().astype(float)
    first, second = (_word_counts(unigrams, bigrams[side]) for side in ("first", "second"))
    mutual = information(counts, first, second, total=float(pc.sum(unigrams["count"]).as_py() or 0))
    found = scores(counts, mutual, percentile(mutual, config), config)
    entries = joined(bigrams["first"], bigrams["second"], language)
    return pa.table([entries, pa.array(found)], SCORED).filter(pa.array(~np.isnan(found)))


def information(counts: np.ndarray, first: np.ndarray, second: np.ndarray, total: float) -> np.ndarray:
    """Return the PMI of pairs from their counts, those of their words, and that of all words; all are float64."""
    out = np.empty(len(counts))
    kernels.pointwise_mutual_information(counts, first, second, total, out)
    return out


def percentile(mutual: np.ndarray, config: MetadataConfig) -> float:
    """Return PMI_30% of a language, given the PMI of all its pairs; 0 without any."""
    return float(np.percentile(mutual, config.pmi_percentile)) if len(mutual) else 0.0


def scores(counts: np.ndarray, mutual: np.ndarray, floor: float, config: MetadataConfig) -> np.ndarray:
    """Return the score of each pair, by which the best are taken; nan for those that the rule `pmi` leaves out."""
    if config.bigram_score == "pmi":
        return np.where(mutual > config.bigram_min_pmi, mutual, np.nan)
    out = np.empty(len(counts))
    kernels.association(counts, mutual, floor, config.count_exponent, out)
    return out


def _word_counts(unigrams: pa.Table, words: pa.ChunkedArray) -> np.ndarray:
    positions = pc.index_in(words, unigrams["word"])
    if positions.null_count:
        word = words.filter(pc.is_null(positions))[0]
        raise InputError(f"{str(word)!r} is in a bigram but not among the unigrams; count both from the same texts")
    return unigrams["count"].take(positions).to_numpy().astype(float)
