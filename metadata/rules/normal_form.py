"""Bring whole batches into normal form: as `text.normalise` does line by line, at the speed of a scan.

Only chunks between spaces that may not be in normal form are handed to it: nothing joins a space or moves past it.
"""

import unicodedata
from functools import lru_cache

import numpy as np

from metadata.kernels.normal_form import SUSPECT, replace_signs, suspect_chunks
from metadata.rules.characters import UNNORMALISED, character_table
from metadata.rules.text import REMAPPED, normalise

# As normal form and as ICU's dictionaries spell them: NFKC takes Thai and Lao AM apart.
RESPELLED = (("\u0e4d\u0e32", "\u0e33"), ("\u0ecd\u0eb2", "\u0eb3"))


def readable(text: str) -> bytes:
    """Return the UTF-8 of a text in normal form, but for the spellings that ICU knows; `spelled` undoes those.

    >>> readable("LEGO™ l’été ﬁn น้ำ").decode()
    "LEGO  l'été fin น้ำ"
    """
    if text.isascii():
        return text.encode()
    written = np.frombuffer(_respelled(text.encode()), np.uint8)
    data = np.empty(len(written), np.uint8)
    data = data[: replace_signs(written, _ascii(), data)]
    starts, ends = np.empty(len(data) // 2 + 1, np.int32), np.empty(len(data) // 2 + 1, np.int32)
    found = suspect_chunks(data, _order(), starts, ends)
    return _with_normal_chunks(data.tobytes(), starts[:found].tolist(), ends[:found].tolist())


def spelled(word: str) -> str:
    """Return a word of a readable text in normal form."""
    for normal, read in RESPELLED:
        word = word.replace(read, normal)
    return word


def _respelled(encoded: bytes) -> bytes:
    for normal, read in RESPELLED:
        encoded = encoded.replace(normal.encode(), read.encode())
    return encoded


def _with_normal_chunks(encoded: bytes, starts: list[int], ends: list[int]) -> bytes:
    parts: list[bytes] = []
    last = 0
    for start, end in zip(starts, ends, strict=True):
        parts += encoded[last:start], _respelled(normalise(encoded[start:end].decode()).encode())
        last = end
    return b"".join([*parts, encoded[last:]])


@lru_cache(maxsize=1)
def _ascii() -> np.ndarray:
    """Return for each code point the one ASCII character that is its normal form, or 0.

    Most of what is not in normal form is of this kind: typographic apostrophes and spaces, full-width signs.
    """
    twins = np.zeros(0x110000, np.uint8)
    for code in range(0x80, 0x110000):
        if unicodedata.decomposition(chr(code)) or chr(code) in REMAPPED:
            form = normalise(chr(code))
            if len(form) == 1 and form.isascii():
                twins[code] = ord(form)
    return twins


@lru_cache(maxsize=1)
def _order() -> np.ndarray:
    """Return the canonical combining class of each code point, or SUSPECT where its text may not be in normal form."""
    table = character_table()
    codes = np.arange(0x110000)
    positions = table.pages[codes >> 8].astype(np.int64) << 8 | codes & 255
    changed = (table.order[positions] == UNNORMALISED) | (table.twins[positions] != 0)
    order = np.where(changed, SUSPECT, table.order[positions]).astype(np.uint8)
    order[[ord(read) for _, read in RESPELLED]] = 0
    return order
