"""Policy rules over the texts of matched images.

ROWS has the rules about a single text. The function of a rule takes `texts`, the candidates of all images of a batch,
and `images`, the row of each text's image.
"""

from __future__ import annotations

from functools import partial
from urllib.parse import unquote_to_bytes

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.gate.archives import outside_archives
from curation.gate.phrases import PARTS, WHOLES, has_phrase
from curation.gate.rule import TEXTS, Rule, numbered
from curation.gate.shared import shared, urls_of
from curation.kernels.site_names import find_site_names
from curation.kernels.texts import UNSURE, YES, find_few_words, find_names_in_texts
from curation.kernels.url_paths import find_names
from curation.language.text_kinds import MarkedTexts
from metadata.languages import LANGUAGES
from runtime.arrow.buffers import string_buffers

# Languages in which a character is half a word: those that write no spaces, and Korean, whose words are long.
_HALVES = pa.array([language.code for language in LANGUAGES if not language.spaced or language.code == "ko"])


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
    """Return which texts are the URL of their image, or the name of its file, with or without the ending.

    Case makes no difference, nor what is written as %-escapes. The name of the file is the last part of the path.
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
    return out


def _folded(written: bytes) -> str:
    """Return a string with %-escapes undone, each character in lower case if that is one of its kind, ASCII or not."""
    text = unquote_to_bytes(written).decode("utf-8", "surrogateescape")
    lower = ((each, each.lower()) for each in text)
    return "".join(low if len(low) == 1 and low.isascii() == each.isascii() else each for each, low in lower)


def _kind(kind: str, removes: str) -> Rule:
    return Rule(kind, TEXTS, removes, partial(is_of_kind, kind=kind), is_recommended=True)


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
_EQUALS_URL = "texts that repeat the URL of their image, or the name of its file"
ROWS = (
    numbered(Rule("min_words", TEXTS, _WORDS, has_few_words), (2, 1_000), recommended=2),
    _kind("file_name", "texts that are the name of a file, such as IMG_0450"),
    _kind("address", "texts that are a URL, a domain or an e-mail address"),
    _kind("html", "texts with remnants of HTML, such as tags"),
    Rule("generic_text", TEXTS, _GENERIC, is_generic, is_recommended=True),
    Rule("logo_text", TEXTS, _LOGOS, is_logo_text, is_recommended=True),
    Rule("site_name", TEXTS, _SITE, is_site_name, is_recommended=True),
    Rule("equals_url", TEXTS, _EQUALS_URL, equals_url, is_recommended=True),
)
