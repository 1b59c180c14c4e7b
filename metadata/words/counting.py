"""Count the words and word pairs of texts exactly, in tables of bounded size that the caller adds up.

`segment` cuts texts into words. A pair is two words of one line with only white space, or in Tibetan a tsheg, between
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from metadata.languages import Language
from metadata.words.segment import Words, segment
from runtime.arrow.batching import gather

COUNTS = pa.schema([("first", pa.string()), ("second", pa.string()), ("count", pa.int64())])

WORDS = 1 << 23  # that are counted together, in some 400 MB beside the batch that is cut

_ROWS = 1 << 18  # of pairs that are written out together


def count_batches(batches: Iterable[pa.Array], language: Language, most: int = WORDS) -> Iterator[pa.Table]:
    """Yield tables of COUNTS that add up to the counts of all texts; a word has null instead of a second one.

    A word or pair is in more than one table only if the texts have more than `most` words. A batch has less than 2 GB.

    >>> from metadata.languages import language
    >>> tables = count_batches([pa.array(["New York, New York", None])], language("en"))
    >>> [tuple(row.values()) for table in tables for row in table.to_pylist()]
    [('New', None, 2), ('York', None, 2), ('New', 'York', 2)]
    """
    cut = (_words(texts, language) for texts in batches)
    for words in gather(cut, lambda each: len(each.strings), most):
        yield from _counted(words)


def _words(texts: pa.Array, language: Language) -> Words:
    words = segment("\n".join(filter(None, texts.to_pylist())), language.code)
    return Words(words.strings.dictionary_encode(), words.follows)


def _counted(words: list[Words]) -> Iterator[pa.Table]:
    """Yield the counts of the words of some batches, and then of the pairs among them."""
    encoded = pa.chunked_array([each.strings for each in words]).unify_dictionaries().combine_chunks()
    strings, numbers = encoded.dictionary, encoded.indices.to_numpy()
    counts = pa.array(np.bincount(numbers, minlength=len(strings)), pa.int64())
    yield pa.table([strings, pa.nulls(len(strings), pa.string()), counts], COUNTS)
    follows = np.concatenate([each.follows for each in words])[1:]
    pairs = numbers[:-1][follows].astype(np.int64) << 32
    pairs |= numbers[1:][follows]
    distinct, counts = np.unique(pairs, return_counts=True)
    for begin in range(0, len(distinct), _ROWS):
        some = distinct[begin : begin + _ROWS]
        first, second = (strings.take(pa.array(side)) for side in (some >> 32, some & 0xFFFFFFFF))
        yield pa.table([first, second, counts[begin : begin + _ROWS]], COUNTS)
