"""Check single texts for the rules of `policies`: phrases of templates, numbers of words, and kinds of texts.

The function of a rule takes an ImageBatch, and returns a mask of the texts that are removed. Words and phrases are
looked up by hash.
"""

import unicodedata
from collections import defaultdict
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.language.text_kinds import MarkedTexts
from curation.plugins.gate.filters import ImageBatch, shared
from curation.plugins.gate.kernels import phrases as words
from curation.plugins.gate.policies.image_rules import outside_archives
from curation.plugins.gate.policies.word_tables import WordTable, phrase_key, rows_in, word_key
from metadata.languages import LANGUAGES
from runtime.arrow import string_buffers

# The positions in a text at which phrases count, by their kind in template_phrases.csv.
WHOLES = {"generic": words.WHOLE, "control": words.WHOLE, "network": words.WHOLE}
PARTS = {
    "logo": words.WHOLE | words.FIRST | words.LAST,
    "icon": words.WHOLE | words.LAST,
    "icon of": words.FIRST,
    "avatar": words.WHOLE | words.LAST,
    "avatar of": words.FIRST,
    "share": words.FIRST,
    "share last": words.LAST,
    "attachment": words.HEAD,
}
_ALONE = (  # the blocks in which each character is a word: Thai to Lao, Burmese, Khmer, kana, Han
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
)

# The languages in which a character is half a word: languages without spaces, and Korean, whose words are long.
_HALVES = pa.array([language.code for language in LANGUAGES if not language.spaced or language.code == "ko"])


def has_phrase(texts: pa.Array, kinds: tuple[str, ...]) -> np.ndarray:
    """Return which texts are a phrase of these kinds, or begin or end with one and have few other words.

    Case, accents, digits and punctuation make no difference.
    """
    offsets, data = string_buffers(texts)
    out = np.empty(len(texts), bool)
    may_end = any((WHOLES | PARTS)[kind] & words.LAST for kind in kinds)
    table = _table(kinds)
    words.find_candidates(data, offsets, letters(), table.keys, table.bits, may_end, out)
    rows = np.flatnonzero(out)
    is_phrase = np.empty(len(rows), bool)
    words.find_phrases(data, offsets, letters(), table.keys, table.bits, may_end, rows, is_phrase)
    out[rows] = is_phrase
    return out


def folded(text: str) -> list[str]:
    """Return the words of a text as they are compared.

    >>> folded("Logo: l’Équipe (2012)"), folded("東京のロゴ")
    (['logo', 'l', 'equipe'], ['東', '京', 'の', 'ロ', 'コ'])
    """
    codes = letters()
    out: list[str] = []
    is_inside = False
    for character in text:
        letter = int(codes[ord(character)]) if ord(character) < words.LETTERS else words.APART
        if letter >= words.ALONE:
            out.append(chr(letter - words.ALONE))
        elif letter not in (words.MARK, words.APART):
            out[-1:] = [out[-1] + chr(letter)] if is_inside else [*out[-1:], chr(letter)]
        is_inside = letter < words.ALONE and letter != words.APART and (is_inside or letter != words.MARK)
    return out


@lru_cache(maxsize=1)
def letters() -> np.ndarray:
    """Return the class of each character, int32[LETTERS], by which `find_phrases` reads texts."""
    return np.array([_letter(chr(code)) for code in range(words.LETTERS)], np.int32)


def _letter(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return words.MARK
    whole = unicodedata.normalize("NFKD", character)
    base = whole[0]
    marks = whole[1:]
    if ord(base) >= words.LETTERS or any(unicodedata.category(mark) != "Mn" for mark in marks):
        base = character
    if unicodedata.category(base)[0] not in "LM":
        return words.APART
    code = ord(base.lower()[0])
    return code + words.ALONE * any(first <= code <= last for first, last in _ALONE)


@lru_cache(maxsize=4)
def _table(kinds: tuple[str, ...]) -> WordTable:
    bits: defaultdict[int, int] = defaultdict(int)
    places = WHOLES | PARTS
    for row in rows_in("template_phrases.csv"):
        if row["kind"] not in kinds:
            continue
        place = int(places[row["kind"]])
        keys = [word_key(_units(word)) for word in folded(row["phrase"])]
        bits[phrase_key(keys)] |= place
        if place & ~int(words.LAST):
            for number in range(1, len(keys) + 1):
                bits[phrase_key(keys[:number])] |= int(words.BEGINS)
        if place & int(words.LAST):
            bits[keys[-1]] |= int(words.ENDS)
    return WordTable.of(bits)


def _units(word: str) -> list[int]:
    """Return the characters of a folded word as `find_phrases` hashes them."""
    return [int(letters()[ord(character)]) for character in word]


def has_few_words(batch: ImageBatch, number: int) -> np.ndarray:
    """Return which texts have fewer than `number` words.

    Words are separated by white space. In languages that write no spaces, and in Korean, whose words are long, n
    characters outside ASCII are 1 + n/2 words, rounded down: words of Chinese and Japanese have about two characters. A
    name in Latin letters stays one word.
    """
    spaced = pc.invert(pc.is_in(batch.texts.field("language"), _HALVES))
    offsets, data = string_buffers(batch.texts.field("text"))
    out = np.empty(len(batch.texts), bool)
    words.find_few_words(data, offsets, spaced.to_numpy(zero_copy_only=False), number, out)
    return out


def is_of_kind(batch: ImageBatch, kind: str) -> np.ndarray:
    """Return which texts are of a kind of `language.text_kinds`, such as html."""
    return marked_texts(batch).are(kind)


@shared
def marked_texts(batch: ImageBatch) -> MarkedTexts:
    """Return the texts of a batch, with the marks by which `MarkedTexts` tells kinds of texts."""
    return MarkedTexts.of(batch.texts.field("text"))


def is_generic(batch: ImageBatch) -> np.ndarray:
    """Return which texts are phrases that say nothing of a picture."""
    return has_phrase(batch.texts.field("text"), tuple(WHOLES))


def is_logo_text(batch: ImageBatch) -> np.ndarray:
    """Return which texts are, begin or end with a phrase of logos, icons or avatars; False for images of archives."""
    out = has_phrase(batch.texts.field("text"), tuple(PARTS))
    may_go = np.zeros(batch.images.num_rows, bool)
    may_go[batch.image[out]] = True
    return out & outside_archives(may_go, batch)[batch.image]
