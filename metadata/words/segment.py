"""Cut texts of every language into words, at ICU's word boundaries.

A word is a segment with a letter or a digit, in the form in which the `unicode` rules find it: where ICU cuts what
those rules read as one symbol, such as the Korean `18일`, the symbol stays whole. Boundaries, above all those of
ICU's dictionaries, may differ between versions; the one in use is `ICU_VERSION`.
"""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import icu4py
import numpy as np
import regex

from metadata.kernels import segments
from metadata.rules.characters import MARK, SEPARATOR, SPACELESS, WORD, character_classes
from metadata.rules.normal_form import RESPELLED, readable, spelled
from metadata.words.breaks import break_table, segment_ends

ICU_VERSION = icu4py.icu_version

Segmenter = Callable[[np.ndarray], np.ndarray]  # UTF-8 → `begins`: uint8 of the same length, 1 where a segment begins

LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
TSHEG = "\u0f0b"  # ends a syllable of Tibetan
TIBETAN = ("bo", "dz")
_CLAUSE_END = regex.compile(r"(?<=\p{Tibetan})[^\S\n]+(?=\p{Tibetan})")  # Tibetan has a space only where a clause ends
_BYTE_ORDER_MARK = "\ufeff"  # separates under the `unicode` rules, but ICU would keep it in the word before it
_SEPARATES_IN_ICU = "\u200b"


@dataclass(frozen=True)
class Words:
    """Words in reading order: word i is `data[starts[i]:ends[i]]`, UTF-8 as `normal_form.readable` spells it.

    `follows[i]` says that only white space, or in Tibetan a tsheg, is between word i and the one before it: no
    punctuation, no symbol, no line end.
    """

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    follows: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)


def words(text: str, code: str) -> list[str]:
    """Return the words of a text in the language `code`.

    >>> words("The 3.5 cats' U.S. house, isn’t it?", "en")
    ['The', '3.5', 'cats', 'U.S', 'house', "isn't", 'it']
    >>> words("ภาษาไทย", "th"), words("བོད་ཡིག", "bo")
    (['ภาษา', 'ไทย'], ['བོད', 'ཡིག'])
    """
    found = segment(text, code)
    spans = zip(found.starts.tolist(), found.ends.tolist(), strict=True)
    return [spelled(found.data[start:end].tobytes().decode()) for start, end in spans]


def segment(text: str, code: str) -> Words:
    """Return the words of a text, or of several with line feeds between them."""
    text = text.replace(_BYTE_ORDER_MARK, _SEPARATES_IN_ICU)
    if code in TIBETAN:
        text = _CLAUSE_END.sub("\n", text)
    data = np.frombuffer(readable(text), np.uint8)
    begins = SEGMENTERS.get(code, icu)(data)
    most = len(data) // 2 + 1  # words of one byte are letters of ASCII, and two of those in a row are one word
    starts, ends, follows = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.bool_)
    found = segments.find_words(data, begins, _kinds(code in TIBETAN), starts, ends, follows)
    return Words(data, starts[:found], ends[:found], follows[:found])


def icu(data: np.ndarray) -> np.ndarray:
    """Return the beginnings of ICU's segments; a mark after a space, which ICU joins to it, may begin one, too."""
    begins = np.zeros(len(data), np.uint8)
    hard, positions = np.empty(len(data) + 1, np.uint8), np.empty(len(data) + 1, np.int32)
    table = break_table()
    size = segments.mark_easy(data, table.classes, table.joins, table.bridges, begins, hard, positions)
    if size:
        ends = segment_ends(hard[:size].tobytes().decode())
        segments.mark_hard(hard[:size], positions, ends, begins)
    return begins


def by_pieces(cut: Callable[[str], Iterable[str]]) -> Segmenter:
    """Return the segmenter that uses `cut`, a function that cuts a text into pieces without leaving anything out."""

    def segmenter(data: np.ndarray) -> np.ndarray:
        sizes = np.array([len(piece.encode()) for piece in cut(data.tobytes().decode()) if piece], np.int64)
        begins = np.zeros(len(data), np.uint8)
        begins[np.cumsum(sizes) - sizes] = 1
        return begins

    return segmenter


# Languages that another segmenter serves better than ICU, a line each, such as "zh": by_pieces(jieba.cut).
SEGMENTERS: dict[str, Segmenter] = {}


@lru_cache(maxsize=2)
def _kinds(tsheg_is_gap: bool) -> np.ndarray:
    """Return the kind of each code point for words, symbols and gaps, as the bits of kernels.segments."""
    categories = np.array([unicodedata.category(chr(code))[0] for code in range(0x110000)])
    kinds = np.zeros(0x110000, np.uint8)
    kinds[(categories == "L") | (categories == "N")] = segments.LETTER
    classes = character_classes()
    kinds[classes == SEPARATOR] = segments.SEPARATOR | segments.GAP
    kinds[classes == SPACELESS] |= segments.SPACELESS
    kinds[classes == MARK] |= segments.MARK
    kinds[classes == WORD] |= segments.IN_WORD
    kinds[[ord(am) for _, am in RESPELLED]] |= segments.MARK  # in normal form it begins with one
    kinds[[*map(ord, LINE_ENDS)]] = segments.SEPARATOR
    if tsheg_is_gap:
        kinds[ord(TSHEG)] = segments.GAP
    return kinds
