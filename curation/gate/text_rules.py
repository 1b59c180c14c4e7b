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

from curation.gate.rule import TEXTS, Rule, numbered
from curation.kernels.texts import UNSURE, YES, count_words, find_names_in_texts
from curation.kernels.url_paths import find_names
from curation.language.text_kinds import is_kind
from metadata.languages import LANGUAGES
from runtime.arrow.buffers import string_buffers

_UNSPACED = pa.array([language.code for language in LANGUAGES if not language.spaced])


def has_few_words(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch, number: int) -> np.ndarray:
    """Return which texts have fewer than `number` words.

    Words are separated by white space. In languages that write none between words, two characters outside ASCII count
    as a word: words of Chinese and Japanese have about two, and a name in Latin letters stays one word.
    """
    spaced = pc.invert(pc.is_in(texts.field("language"), _UNSPACED))
    offsets, data = string_buffers(texts.field("text"))
    words = np.empty(len(texts), np.int64)
    count_words(data, offsets, spaced.to_numpy(zero_copy_only=False), words)
    return words < number


def is_of_kind(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch, kind: str) -> np.ndarray:
    """Return which texts are of a kind of `text_kinds`."""
    return is_kind(texts.field("text"), kind)


def equals_url(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return which texts are the URL of their image, or the name of its file, with or without the ending.

    Case makes no difference, nor what is written as %-escapes. The name of the file is the last part of the path.
    """
    strings, urls = texts.field("text"), batch["url"]
    offsets, data = string_buffers(urls)
    names = np.empty((len(urls), 3), np.int64)
    find_names(data, offsets, names)
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


_WORDS = "texts of fewer than N words; where words have no spaces between them, two characters are one"
_EQUALS_URL = "texts that repeat the URL of their image, or the name of its file"
ROWS = (
    numbered(Rule("min_words", TEXTS, _WORDS, has_few_words), (2, 1_000), recommended=2),
    _kind("file_name", "texts that are the name of a file, such as IMG_0450"),
    _kind("address", "texts that are a URL, a domain or an e-mail address"),
    _kind("html", "texts with remnants of HTML, such as tags"),
    Rule("equals_url", TEXTS, _EQUALS_URL, equals_url, is_recommended=True),
)
