"""Policy rules over the texts of matched images, with the phrases that templates of web pages bring, in many languages.

ROWS has the rules about a single text. The function of a rule takes `texts`, the candidates of all images of a batch,
and `images`, the row of each text's image. Media archives are exempt from some rules: their pictures have a subject
also where they are drawings, logos, or on many pages.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from functools import lru_cache, partial
from urllib.parse import unquote_to_bytes

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.kernels import texts as kernel
from curation.kernels.texts import (
    ALONE,
    APART,
    FIRST,
    LAST,
    LETTERS,
    MARK,
    UNSURE,
    WHOLE,
    YES,
    find_few_words,
    find_names_in_texts,
)
from curation.kernels.url_paths import find_names
from curation.language.text_kinds import MarkedTexts
from curation.leaves.gate.kernels import find_site_names
from curation.leaves.gate.rule import TEXTS, Rule, WordTable, listed, numbered, phrase_key, shared, urls_of, word_key
from metadata.languages import LANGUAGES
from runtime.arrow import string_buffers

ARCHIVES = (
    "wikimedia.org",
    "wikipedia.org",
    "openclipart.org",
    "freesvg.org",
    "publicdomainvectors.org",
    "svgsilh.com",
)
_HOSTS = rf"\A[a-z+.-]+://(?:[^/?#]*[.])?(?:{'|'.join(map(re.escape, ARCHIVES))})(?:[:/?#]|\z)"

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

# Languages in which a character is half a word: those that write no spaces, and Korean, whose words are long.
_HALVES = pa.array([language.code for language in LANGUAGES if not language.spaced or language.code == "ko"])

_HEADLINE = 3  # words
_WORDS = (
    "texts of fewer than N words; where words have no spaces between them, and in Korean, n characters outside ASCII "
    "are 1 + n/2 words, rounded down"
)
_GENERIC = (
    "texts that say nothing of the picture, such as “no image available”, “menu” or “Google Play”, in 79 languages"
)
_LOGOS = (
    "texts of logos, icons, avatars and sharing, such as “BBC logo”, “avatar of Kim” or “share on Facebook”, likewise"
)
_SITE = "texts that are the name of their page's site"
_EQUALS_URL = "texts of one or two words that repeat the URL of their image, or the name of its file"


def outside_archives(images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return bool[image]: those of `images`, likewise, whose URL has no host of ARCHIVES and none below one."""
    urls = batch["url"].filter(pa.array(images))
    found = pc.match_substring_regex(urls, _HOSTS, ignore_case=True).fill_null(False)
    out = images.copy()
    out[images] = ~found.to_numpy(zero_copy_only=False)
    return out


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


def has_few_words(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch, number: int) -> np.ndarray:
    """Return which texts have fewer than `number` words.

    Words are separated by white space. In languages that write none between words, and in Korean, whose words hold what
    others part, characters outside ASCII are one word and one more for each two of them: words of Chinese and Japanese
    have about two, and two characters may be two words. A name in Latin letters stays one word.
    """
    spaced = pc.invert(pc.is_in(texts.field("language"), _HALVES))
    offsets, data = string_buffers(texts.field("text"))
    out = np.empty(len(texts), bool)
    find_few_words(data, offsets, spaced.to_numpy(zero_copy_only=False), number, out)
    return out


def is_of_kind(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch, kind: str) -> np.ndarray:
    """Return which texts are of a kind of `text_kinds`."""
    return _marked(texts).are(kind)


@shared
def _marked(texts: pa.StructArray) -> MarkedTexts:
    return MarkedTexts.of(texts.field("text"))


def is_generic(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return which texts are phrases that say nothing of a picture."""
    return has_phrase(texts.field("text"), tuple(WHOLES))


def is_logo_text(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return which texts of images outside archives are, begin or end with a phrase of logos, icons or avatars."""
    out = has_phrase(texts.field("text"), tuple(PARTS))
    may_go = np.zeros(batch.num_rows, bool)
    may_go[images[out]] = True
    return out & outside_archives(may_go, batch)[images]


def is_site_name(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return which texts are the name in the host of their page: `Cookie and Kate` on www.cookieandkate.com.

    The page is the text's own, else that of the image; without one the host is that of the image's URL.
    """
    out = np.empty(len(texts), bool)
    pages = (texts.field("page_url"), batch["page_url"], batch["url"])
    buffers = [buffer for strings in pages for buffer in string_buffers(strings)]
    find_site_names(*string_buffers(texts.field("text")), *buffers, images, out)
    return out


def equals_url(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return which texts of fewer than _HEADLINE words are the URL of their image, or the name of its file.

    The ending of the file may be missing. Case makes no difference, nor what is written as %-escapes. The name of the
    file is the last part of the path. Longer texts are captions after which a site names its files.
    """
    strings = texts.field("text")
    offsets, data, paths = urls_of(batch)
    names = np.empty((batch.num_rows, 3), np.int64)
    find_names(data, paths, names)
    text_offsets, text_data = string_buffers(strings)
    found = np.empty(len(texts), np.uint8)
    find_names_in_texts(text_data, text_offsets, images, data, offsets, names, found)
    out = found == YES
    for text in np.flatnonzero(found == UNSURE).tolist():
        first, last, dot = names[images[text]].tolist()
        whole = data[offsets[images[text]] : offsets[images[text] + 1]].tobytes()
        named = (data[first:end].tobytes() for end in (last, dot) if first < last)
        given = _folded(strings[text].as_py().encode())
        out[text] = any(given == _folded(each) for each in (whole, *named))
    return out & has_few_words(texts, images, batch, _HEADLINE) if out.any() else out


def _folded(written: bytes) -> str:
    """Return a string with %-escapes undone, each character in lower case if that is one of its kind, ASCII or not."""
    text = unquote_to_bytes(written).decode("utf-8", "surrogateescape")
    lower = ((each, each.lower()) for each in text)
    return "".join(low if len(low) == 1 and low.isascii() == each.isascii() else each for each, low in lower)


def _kind(kind: str, removes: str) -> Rule:
    return Rule(kind, TEXTS, removes, partial(is_of_kind, kind=kind), is_recommended=True)


ROWS = (
    numbered(Rule("min_words", TEXTS, _WORDS, has_few_words), (2, 1_000), recommended=2),
    _kind("file_name", "texts that are the name of a file, such as IMG_0450"),
    _kind("address", "texts that are a URL, a domain or an e-mail address"),
    _kind("html", "texts with remnants of HTML; tags are taken out first, if an entry is left"),
    Rule("generic_text", TEXTS, _GENERIC, is_generic, is_recommended=True),
    Rule("logo_text", TEXTS, _LOGOS, is_logo_text, is_recommended=True),
    Rule("site_name", TEXTS, _SITE, is_site_name, is_recommended=True),
    Rule("equals_url", TEXTS, _EQUALS_URL, equals_url, is_recommended=True),
)
