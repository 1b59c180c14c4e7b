"""The phrases that templates of web pages bring, in many languages, and the texts that are made of them."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from functools import lru_cache

import numpy as np
import pyarrow as pa

from curation.gate.word_tables import WordTable, listed, phrase_key, word_key
from curation.kernels import phrases as kernel
from curation.kernels.phrases import ALONE, APART, FIRST, LAST, LETTERS, MARK, WHOLE
from runtime.arrow.buffers import string_buffers

# Where phrases of a kind of template_phrases.csv stand in a text.
WHOLES = {"generic": WHOLE, "control": WHOLE, "network": WHOLE}
PARTS = {
    "logo": WHOLE | FIRST | LAST,
    "icon": WHOLE | LAST,
    "icon of": FIRST,
    "avatar": WHOLE | LAST,
    "avatar of": FIRST,
    "share": FIRST,
    "share last": LAST,
}
_ALONE = (  # blocks whose characters are words: Thai to Lao, Burmese, Khmer, kana, Han
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
)


def has_phrase(texts: pa.Array, kinds: tuple[str, ...]) -> np.ndarray:
    """Return which texts are a phrase of these kinds, or begin or end with one and have few other words.

    Case, accents, digits and signs make no difference.
    """
    offsets, data = string_buffers(texts)
    out = np.empty(len(texts), bool)
    may_end = any((WHOLES | PARTS)[kind] & LAST for kind in kinds)
    kernel.find_candidates(data, offsets, letters(), *_table(kinds), may_end, out)
    rows = np.flatnonzero(out)
    found = np.empty(len(rows), bool)
    kernel.find_phrases(data, offsets, letters(), *_table(kinds), may_end, rows, found)
    out[rows] = found
    return out


def folded(text: str) -> list[str]:
    """Return the words of a text as they are compared.

    >>> folded("Logo: l’Équipe (2012)"), folded("東京のロゴ")
    (['logo', 'l', 'equipe'], ['東', '京', 'の', 'ロ', 'コ'])
    """
    known, words, is_inside = letters(), [], False
    for character in text:
        letter = int(known[ord(character)]) if ord(character) < LETTERS else APART
        if letter >= ALONE:
            words.append(chr(letter - ALONE))
        elif letter not in (MARK, APART):
            words[-1:] = [words[-1] + chr(letter)] if is_inside else [*words[-1:], chr(letter)]
        is_inside = letter < ALONE and letter != APART and (is_inside or letter != MARK)
    return words


@lru_cache(maxsize=1)
def letters() -> np.ndarray:
    """Return the class of each character that find_phrases asks for."""
    return np.array([_letter(chr(code)) for code in range(LETTERS)], np.int32)


def _letter(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return MARK
    base, marks = (whole := unicodedata.normalize("NFKD", character))[0], whole[1:]
    if ord(base) >= LETTERS or any(unicodedata.category(mark) != "Mn" for mark in marks):
        base = character
    if unicodedata.category(base)[0] not in "LM":
        return APART
    code = ord(base.lower()[0])
    return code + ALONE * any(first <= code <= last for first, last in _ALONE)


@lru_cache(maxsize=4)
def _table(kinds: tuple[str, ...]) -> WordTable:
    bits: defaultdict[int, int] = defaultdict(int)
    places = WHOLES | PARTS
    for row in listed("template_phrases.csv"):
        if row["kind"] in kinds:
            place, words = int(places[row["kind"]]), [word_key(_units(word)) for word in folded(row["phrase"])]
            bits[phrase_key(words)] |= place
            for number in range(1, len(words) + 1) if place & int(WHOLE | FIRST) else ():
                bits[phrase_key(words[:number])] |= int(kernel.BEGINS)
            bits[words[-1]] |= int(kernel.ENDS) if place & int(LAST) else 0
    return WordTable.of(bits)


def _units(word: str) -> list[int]:
    """Return the characters of a folded word as `find_phrases` hashes them."""
    return [int(letters()[ord(each)]) for each in word]
