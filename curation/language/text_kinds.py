"""Recognise texts that are not captions by their form, and texts in scripts in which their language is not written.

Forms are file names, addresses, HTML, and texts without letters. A text may be of several kinds: the URL of a picture
is an address and a file name. For speed, RE2 sees only the texts with bytes that every text of a kind has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.kernels.texts import DIGIT, DOT, LETTER, SPACE, SUFFIX, find_bits, find_foreign, find_marks
from metadata.languages import LANGUAGES, of_label
from metadata.rules import letter_table
from runtime.arrow import Strings, string_array, string_buffers
from runtime.packages import table_rows

SCRIPTS = tuple(sorted(set().union(*(language.scripts for language in LANGUAGES))))
_LATIN_BIT = 1 << SCRIPTS.index("Latn")
_ALL_SCRIPTS = -1  # All bits stand for `other` and for languages whose scripts are not known.
_SCRIPT_OF_LABEL = re.compile(r"_([A-Z][a-z]{3})$")

LONGEST_NAME = 255  # File systems allow this many bytes in a file's name.

# These are the words of the patterns, by kind. ASCII letters are compared in lower case.
_WORDS = {row["kind"]: row["words"].split("|") for row in table_rows("curation.language", "text_words.csv")}
ENDINGS = _WORDS["endings"]
COUNTRIES = _WORDS["countries"]
ATTRIBUTES = _WORDS["attributes"]
# These stand before a number: IMG_0450, image-1, unnamed (2).
CAMERAS = _WORDS["cameras"]
PICTURES = _WORDS["pictures"]
# These stand around a date: Screenshot 2020-01-01 at 10.11.12.
SHOTS = _WORDS["shots"]
DATE_WORDS = _WORDS["date_words"]
# These generic domains, of some 1,200, are not the first word of any sentence: Hello.World has lost a space.
GENERIC = _WORDS["generic"]
# The names of these elements are letters or words, so < and the name are not enough to recognise HTML.
WORD_ELEMENTS = _WORDS["word_elements"]
ELEMENTS = _WORDS["elements"]

# RE2 runs these patterns. They avoid \s, \w and \d, which match only ASCII in RE2 but more in Python.
_LATIN = r"0-9a-z\x{C0}-\x{24F}"
_COPY = r"(?: ?\([0-9]{1,4}\)|[ _-]copy)?"
_SIGNS = r"_.,()+~%!'$-"

_LABEL = r"[0-9a-z\x{A1}-\x{10FFFF}](?:[0-9a-z\x{A1}-\x{10FFFF}-]*[0-9a-z\x{A1}-\x{10FFFF}])?"

_HYPHEN, _UNDERSCORE, _MARKUP, _BEFORE_HOST, FOREIGN, AT = (np.uint16(1 << bit) for bit in range(5, 11))
_DATE_DIGITS = 8  # A date has this many digits.


def _any(words: list[str]) -> str:
    return f"(?:{'|'.join(words)})"


_FILE_NAMES = (
    rf".*[^ ]\.{_any(ENDINGS)}{_COPY}(?:\?[^ ]*)?",
    rf"[^ ]*{_any(CAMERAS)}[_ -]?[0-9]{{3,}}[^ ]*{_COPY}",
    rf"{_any(PICTURES)}[_ -]?[(#]?[0-9]+\)?{_COPY}",
    rf"{_any(SHOTS)}[ _-]+[0-9]{{4}}-?[0-9]{{2}}-?[0-9]{{2}}(?:[0-9 .:,_()-]|{_any(DATE_WORDS)})*",
    rf"[{_LATIN}{_SIGNS}]*[{_LATIN}]_[{_LATIN}][{_LATIN}{_SIGNS}]*{_COPY}",  # Words are joined by underscores.
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{16,}",  # UUID, digest
    "[0-9a-z]+(?:-[0-9a-z]+){3,}",  # Four words are joined by hyphens; three are also good English.
)

_HOST = rf"(?:{_LABEL}\.)+{_any(COUNTRIES + GENERIC)}"
_ADDRESSES = (
    "[a-z][a-z0-9+.-]*://[^ ]+",
    "(?:mailto:|data:[a-z]+/)[^ ]+",
    r"www\.[^ ]+\.[^ ]+",
    rf"(?://)?{_HOST}(?::[0-9]+)?(?:[/?#][^ ]*)?",
    rf"[0-9a-z._%+-]+@{_HOST}",
)
_HTML = (
    rf"<{_any(WORD_ELEMENTS)}(?: */?>| +[a-z-]+ ?=)",
    rf"</{_any(WORD_ELEMENTS)}(?: *>|\z)",
    rf"</?{_any(ELEMENTS)}(?:[ />]|\z)",
    r"<!--|<!\[cdata\[|<!doctype|<\?php|<\?xml",
    "&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8}[0-9]{0,2});",
    rf"[\"' ]{_any(ATTRIBUTES)} ?= ?[\"']",
)


def _marks() -> np.ndarray:
    """Return the marks of each byte value, uint16[256]."""
    marks = np.zeros(256, np.uint16)
    signs = {".": DOT, " ": SPACE, "-": _HYPHEN, "_": _UNDERSCORE}
    signs |= dict.fromkeys("<&=", _MARKUP) | dict.fromkeys("@:", _BEFORE_HOST)
    for sign, mark in signs.items():
        marks[ord(sign)] = mark
    for byte in range(128):
        marks[byte] |= LETTER if chr(byte).isalpha() else DIGIT if chr(byte).isdigit() else 0
    marks[ord("@")] |= AT
    marks[128:] = FOREIGN
    return marks


_MARKS = _marks()


@dataclass(frozen=True)
class MarkedTexts:
    """Texts with the size of each in bytes, the OR of its bytes' marks, and the numbers of its digits and spaces."""

    texts: pa.Array
    sizes: np.ndarray
    marks: np.ndarray
    digits: np.ndarray
    spaces: np.ndarray

    @classmethod
    def of(cls, texts: Strings) -> MarkedTexts:
        """Return the texts with the marks and counts of their bytes; a null has no byte."""
        texts = string_array(texts, "texts")
        offsets, data = string_buffers(texts)
        marks = np.empty(len(texts), np.uint16)
        digits = np.empty(len(texts), np.int32)
        spaces = np.empty(len(texts), np.int32)
        find_marks(offsets, data, _MARKS, marks, digits, spaces)
        return cls(texts, np.diff(offsets), marks, digits, spaces)

    def have(self, marks: np.unsignedinteger) -> np.ndarray:
        """Return a mask, bool[text]: which texts have a byte with one of these marks."""
        return self.marks & marks != 0

    def are(self, kind: str) -> np.ndarray:
        """Return a mask, bool[text]: which texts are of a kind of KINDS."""
        if kind == "no_letters":
            without = ~self.have(LETTER)
            without &= ~self._match(without & self.have(FOREIGN), r"\p{L}")
            return without & self.texts.is_valid().to_numpy(zero_copy_only=False)
        form = _FORMS[kind]
        return self._match(form.may_be(self), form.pattern)

    def _match(self, may_match: np.ndarray, pattern: str) -> np.ndarray:
        """Return a mask: which texts of the mask `may_match` match `pattern` in lower case."""
        rows = np.flatnonzero(may_match)
        lower = pc.ascii_lower(self.texts.take(pa.array(rows)))
        out = np.zeros(len(self.texts), bool)
        out[rows] = pc.match_substring_regex(lower, pattern).to_numpy(zero_copy_only=False)
        return out


def _may_be_name(texts: MarkedTexts) -> np.ndarray:
    """Return a mask, bool[text]: which texts may match one of _FILE_NAMES.

    They have at most LONGEST_NAME bytes and at least one of these: an ending, an underscore, as many digits as a date,
    a digit and at most two spaces, or a hyphen and no space.
    """
    may_be = texts.have(SUFFIX | _UNDERSCORE) | (texts.digits >= _DATE_DIGITS)
    may_be |= texts.have(DIGIT) & (texts.spaces <= 2)
    return (may_be | texts.have(_HYPHEN) & (texts.spaces == 0)) & (texts.sizes <= LONGEST_NAME)


@dataclass(frozen=True)
class _Form:
    """A pattern for texts of a kind, and a quick check of which texts may match it."""

    pattern: str  # It matches texts in lower case.
    may_be: Callable[[MarkedTexts], np.ndarray]  # It returns a mask of the texts that may match.


_FORMS = {
    "file_name": _Form(rf"(?s)\A{_any([*_FILE_NAMES])}\z", _may_be_name),
    "address": _Form(
        rf"(?s)\A[(<\[]?{_any([*_ADDRESSES])}[)>\]]?\z",
        lambda texts: texts.have(DOT | _BEFORE_HOST) & ~texts.have(SPACE),
    ),
    "html": _Form("|".join(_HTML), lambda texts: texts.have(_MARKUP)),
}
KINDS = {name: 1 << bit for bit, name in enumerate([*_FORMS, "no_letters"])}


def text_kinds(texts: Strings) -> np.ndarray:
    """Return the kinds of each text as uint8, with the bits of KINDS; a null has no kind.

    >>> found = text_kinds(["IMG_0450 (1).jpg", "Canon EOS 450", "&nbsp;", "10 / 12", "http://example.org/a.png"])
    >>> [[name for name, bit in KINDS.items() if kinds & bit] for kinds in found.tolist()]
    [['file_name'], [], ['html'], ['no_letters'], ['file_name', 'address']]
    """
    read = MarkedTexts.of(texts)
    out = np.zeros(len(read.texts), np.uint8)
    for kind, bit in KINDS.items():
        out[read.are(kind)] |= bit
    return out


def is_foreign(texts: pa.Array, labels: pa.DictionaryArray) -> np.ndarray:
    """Return whether all letters of each text are of scripts in which the language of its label is not written.

    A text without letters is not foreign, and neither is a null.
    """
    foreign = np.empty(len(texts), bool)
    find_foreign(*string_buffers(texts), *letter_table(SCRIPTS), _all_written(labels), foreign)
    return foreign


def can_write(texts: pa.Array, languages: pa.DictionaryArray) -> np.ndarray:
    """Return whether each text may be in its language: all letters are of its scripts, or some are, and others Latin.

    Latin letters spell brands in texts of any language. A null may be in any language.
    """
    letters = np.empty(len(texts), np.int64)
    find_bits(*string_buffers(texts), *letter_table(SCRIPTS), letters)
    others = letters & ~_all_written(languages)
    return (others == 0) | ((others == _LATIN_BIT) & (letters != others))


def _all_written(labels: pa.DictionaryArray) -> np.ndarray:
    """Return the bits of the scripts that each label admits; all bits for a null."""
    written = np.array([*map(_written, labels.dictionary.to_pylist()), _ALL_SCRIPTS], np.int64)
    return written[labels.indices.fill_null(-1).to_numpy()]


@cache
def _written(label: str) -> int:
    """Return the bits of the scripts that a label admits: its language's scripts, and the script in its name."""
    scripts = {*of_label(label).scripts, *_SCRIPT_OF_LABEL.findall(label)}
    if not of_label(label).scripts:
        return _ALL_SCRIPTS
    return sum(1 << number for number, script in enumerate(SCRIPTS) if script in scripts)
