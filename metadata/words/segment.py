"""Cut texts of every language into words, at ICU's word boundaries.

A word is a segment with a letter or a digit, in the normal form of the `unicode` rules. A symbol of these rules stays
whole, also if ICU cuts the symbol, such as the Korean `18일`. Boundaries, above all those from ICU's dictionaries, may
differ between ICU versions; `ICU_VERSION` is the version in use.
"""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import icu4py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex
from icu4py.breakers import WordBreaker

from metadata.kernels import segments
from metadata.rules.characters import MARK, SEPARATOR, SPACELESS, WORD, character_classes, normalise

ICU_VERSION = icu4py.icu_version
LOCALE = "root"  # ICU 78 cuts words by the same rules in every language of languages.csv, as a test checks

Segmenter = Callable[[str], Iterable[str]]  # text → its segments, which joined give the text

LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
TSHEG = "\u0f0b"  # ends a syllable of Tibetan
TIBETAN = ("bo", "dz")
_CLAUSE_END = regex.compile(r"(?<=\p{Tibetan})[^\S\n]+(?=\p{Tibetan})")  # Tibetan has a space only where a clause ends
_BYTE_ORDER_MARK = "\ufeff"  # a separator in the `unicode` rules, but ICU would keep it in the word before
_SEPARATES_IN_ICU = "\u200b"
# Thai and Lao AM, each as NFKC decomposes it and as ICU's dictionaries spell it.
_RESPELLED = (("\u0e4d\u0e32", "\u0e33"), ("\u0ecd\u0eb2", "\u0eb3"))


@dataclass(frozen=True)
class Words:
    """Words in reading order, in normal form.

    `follows[i]` is True if only white space, or in Tibetan a tsheg, is between words i - 1 and i: no punctuation, no
    symbol, no line end.
    """

    strings: pa.Array
    follows: np.ndarray


def segment(text: str, code: str) -> Words:
    """Return the words of a text, or of several texts joined by line feeds, in the language `code`.

    >>> segment("The 3.5 cats' U.S. house, isn’t it?", "en").strings.to_pylist()
    ['The', '3.5', 'cats', 'U.S', 'house', "isn't", 'it']
    >>> segment("ภาษาไทย", "th").strings.to_pylist(), segment("བོད་ཡིག", "bo").strings.to_pylist()
    (['ภาษา', 'ไทย'], ['བོད', 'ཡིག'])
    """
    text = text.replace(_BYTE_ORDER_MARK, _SEPARATES_IN_ICU)
    if code in TIBETAN:
        text = _CLAUSE_END.sub("\n", text)
    text = _readable(text)
    kinds = _kinds(code in TIBETAN)[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
    begins = np.zeros(len(text) + 1, np.bool_)
    begins[np.cumsum(np.fromiter(map(len, SEGMENTERS.get(code, icu)(text)), np.int32))] = True
    starts, ends, follows = np.empty(len(text), np.int32), np.empty(len(text), np.int32), np.empty(len(text), np.bool_)
    found = segments.find_words(kinds, begins, starts, ends, follows)
    spans = zip(starts[:found].tolist(), ends[:found].tolist(), strict=True)
    strings = pa.array([text[start:end] for start, end in spans], pa.string())
    for normal, read in _RESPELLED:
        strings = pc.replace_substring(strings, read, normal)
    return Words(strings, follows[:found])


def icu(text: str) -> Iterable[str]:
    """Return ICU's segments of a text, which joined give the text."""
    return WordBreaker(text, LOCALE)


# Segmenters by language code, for languages where another segmenter is better than ICU, such as "zh": jieba.cut.
SEGMENTERS: dict[str, Segmenter] = {}


def _readable(text: str) -> str:
    """Return a text in normal form, except that Thai and Lao AM are spelled as in ICU's dictionaries."""
    text = "\n".join(map(normalise, text.split("\n")))  # most lines are in normal form; no mark joins a line feed
    for normal, read in _RESPELLED:
        text = text.replace(normal, read)
    return text


@lru_cache(maxsize=2)
def _kinds(tsheg_is_gap: bool) -> np.ndarray:
    """Return the kind of each code point, uint8 of shape (0x110000,), in the bits of `kernels.segments`."""
    categories = np.array([unicodedata.category(chr(code))[0] for code in range(0x110000)])
    kinds = np.zeros(0x110000, np.uint8)
    kinds[(categories == "L") | (categories == "N")] = segments.LETTER
    classes = character_classes()
    kinds[classes == SEPARATOR] = segments.SEPARATOR | segments.GAP
    kinds[classes == SPACELESS] |= segments.SPACELESS
    kinds[classes == MARK] |= segments.MARK
    kinds[classes == WORD] |= segments.IN_WORD
    kinds[[ord(am) for _, am in _RESPELLED]] |= segments.MARK  # in normal form AM begins with a mark
    kinds[[*map(ord, LINE_ENDS)]] = segments.SEPARATOR
    if tsheg_is_gap:
        kinds[ord(TSHEG)] = segments.GAP
    return kinds
