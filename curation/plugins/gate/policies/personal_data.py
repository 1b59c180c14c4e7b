"""Policy rules over texts that hold personal data: e-mail addresses, phone numbers, card numbers and IBANs.

Before the search, ASCII letters are lower-cased, and digits, hyphens, spaces and full-width characters are replaced by
their ASCII equivalents (`plain_forms`). Then texts are searched with patterns of RE2. If a group of CARD, IBAN or EMAIL
captures a text, its check digits or its host are checked. A rule returns which texts contain such data; no value is
returned, kept or logged.

Precision comes before recall: most numbers in texts are ids, dates and names of files, and one id in ten has Luhn's
digit. So a number counts only in the format in which people write such numbers, or after a word that announces it, and
only if nothing around it makes it a part of something else.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from stdnum import iban, luhn

from curation.language.text_kinds import AT, FOREIGN, MarkedTexts
from curation.plugins.gate.filters import ImageBatch, shared
from curation.plugins.gate.kernels.phrases import find_signs
from curation.plugins.gate.policies.text_rules import marked_texts
from curation.plugins.gate.policies.word_tables import rows_in
from curation.url_hosts import is_top_level
from metadata.rules import paged
from runtime.arrow import Strings, string_buffers

# Words that announce a phone or card number, in lower case. A long number without groups is usually an id, and one id
# in ten has the check digit of a card, so it needs such a word.
PHONE_WORDS = [row["word"] for row in rows_in("number_words.csv") if row["before"] == "phone"]
CARD_WORDS = [row["word"] for row in rows_in("number_words.csv") if row["before"] == "card"]

# Country codes of the ITU's E.164, except 1, whose numbers have their own format.
_CODE = (
    "(?:7|2(?:[07]|[1-689][0-9])|3(?:[0-469]|[578][0-9])|4(?:[013-9]|2[0-9])|5(?:[1-8]|[09][0-9])|"
    "6(?:[0-6]|[789][0-9])|8(?:[1246]|[03578][0-9])|9(?:[0-58]|[679][0-9]))"
)
# phone_forms.csv refers to these parts by name; AREA and SUBSCRIBER are parts of North American numbers.
_PARTS = {"CODE": _CODE, "AREA": "[2-9][0-8][0-9]", "SUBSCRIBER": "[2-9][0-9]{2}"}
# The formats of phone numbers, with digits grouped as people in these countries group them.
PHONES = [re.sub("|".join(_PARTS), lambda name: _PARTS[name[0]], row["form"]) for row in rows_in("phone_forms.csv")]
_NUMBER = r"[+(]{0,2}[0-9](?:[ ./()-]{0,3}[0-9])"

# These may stand before and behind a number, so that it is not part of a code, a decimal, a date, a time or a name.
_BEFORE = "(?:^|[^0-9a-z_+./#-])"
_BEHIND = "(?:$|[^0-9a-z_./:-]|-(?:$|[^0-9a-z])|[./:](?:$|[^0-9]))"

# Card numbers begin with the digits of their issuer: 16 digits in fours, 15 for American Express, 14 for Diners Club.
_SIXTEEN = "(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|35[2-8][0-9]|6(?:011|2[0-9]{2}|4[4-9][0-9]|5[0-9]{2}))"
_OTHERS = "(?:3[47][0-9]{2}%s[0-9]{6}%s[0-9]{5}|3(?:0[0-5]|[689][0-9])[0-9]%s[0-9]{6}%s[0-9]{4})"

MIN_IBAN_DIGITS = 10  # the fewest digits of an IBAN; all IBANs in use have more
IBAN = r"(?:^|[^0-9a-z])([a-z]{2}[0-9]{2}(?:[ -]?[0-9a-z]){11,30})"
_LABEL = r"[0-9a-z\x{A1}-\x{10FFFF}](?:[0-9a-z\x{A1}-\x{10FFFF}-]*[0-9a-z\x{A1}-\x{10FFFF}])?"
EMAIL = rf"(?:^|[^0-9a-z._%+-])[0-9a-z._%+-]*[0-9a-z_%+-]@({_LABEL}(?:\.{_LABEL})+)"

_BETWEEN = "\ud800"  # This separates texts, because no text can contain it.
_GONE = 0x110000  # This code, which no character has, marks a character that is removed.
_HIDDEN = (0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFE0F, 0xFEFF)


def _any(forms: Iterable[str]) -> str:
    return f"(?:{'|'.join(forms)})"


_ANNOUNCED = rf"(?:^|[^a-z]){_any(PHONE_WORDS)}(?:(?:\.?: ?|\. ){_NUMBER}{{6,13}}|[ #-]{{0,3}}{_NUMBER}{{8,13}})"

PHONE = f"(?:{_BEFORE}{_any(PHONES)}|{_ANNOUNCED}){_BEHIND}"


def _cards(between: str) -> str:
    """Return the pattern of card numbers whose groups of digits are separated by `between`."""
    sixteen = _SIXTEEN + f"{between}[0-9]{{4}}" * 3
    return f"(?:{sixteen}|{_OTHERS.replace('%s', between)})"


_GROUPED = f"{_BEFORE}({_cards(' ')}|{_cards('-')})"
_BEHIND_WORD = f"(?:^|[^a-z]){_any(CARD_WORDS)}(?:[^0-9]{{0,30}}[^0-9a-z_./#-])?({_cards('')})"
CARD = f"(?:{_GROUPED}|{_BEHIND_WORD}){_BEHIND}"


def holds(kind: str, texts: Strings) -> np.ndarray:
    """Return a mask, bool[text]: which texts contain data of a kind, a key of KINDS; false for null.

    >>> holds("email_address", ["mail ann@example.org", "logo@2x.png", "photo by @ann", "Shelly @ Cookies"]).tolist()
    [True, False, False, False]
    >>> holds("phone_number", ["+49 30 1234567", "212-555-0123", "Tel: 5550123", "2010-2019", "1,000,000"]).tolist()
    [True, True, True, False, False]
    >>> holds("card_number", ["4111 1111 1111 1111", "4111 1111 1111 1112", "4111111111111111"]).tolist()
    [True, False, False]
    >>> holds("iban", ["IBAN GB82 WEST 1234 5698 7654 32", "GB83 WEST 1234 5698 7654 32"]).tolist()
    [True, False]
    """
    return _Read.of(MarkedTexts.of(texts)).hold(KINDS[kind])


def is_card(number: str) -> bool:
    """Return whether the last digit of a number is its check digit by Luhn's algorithm (ISO/IEC 7812-1)."""
    return luhn.is_valid(re.sub("[ -]", "", number))


def plain_forms(texts: list[str]) -> list[str]:
    """Return texts with digits, hyphens, spaces and full-width characters as ASCII, and without invisible characters.

    >>> plain_forms(["☎\\u202a＋49\\xa030–٥٥٥\\u202c"])
    ['☎+49 30-555']
    """
    codes = np.frombuffer(_BETWEEN.join(texts).encode("utf-32-le", "surrogatepass"), "<u4")
    read = _ascii()[codes]
    return read[read != _GONE].tobytes().decode("utf-32-le", "surrogatepass").split(_BETWEEN)


def _is_in_use(host: str) -> bool:
    """Return whether a label after a host's first one is, or begins with, a top-level domain.

    Text may follow a host without a space, as in `example.com写真`; then a character outside a-z ends the domain.
    """
    labels = host.split(".")[1:]
    beginnings = [re.split("[^a-z]", label)[0] for label in labels]
    return any(map(is_top_level, labels + beginnings))


def _is_iban(begin: str) -> bool:
    """Return whether `begin` begins with a complete IBAN, in its country's format in SWIFT's registry.

    Its check digits must be right. ISO 13616 has check digits from 02 to 98; `stdnum` also accepts others that are the
    same modulo 97.
    """
    if not "02" <= begin[2:4] <= "98":
        return False
    ends = (match.end() for match in re.finditer("[0-9a-z](?![0-9a-z])", begin))
    numbers = (begin[:end] for end in ends if sum(map(str.isdigit, begin[:end])) >= MIN_IBAN_DIGITS)
    return any(iban.is_valid(number, check_country=False) for number in numbers)


@dataclass(frozen=True)
class _Kind:
    """A kind of personal data: its pattern, and `is_right`, a check of the text that the pattern's group captures.

    Only texts with at least `digits` digits or, if `has_at`, with an @ are searched.
    """

    pattern: str
    digits: int = 0
    has_at: bool = False
    is_right: Callable[[str], bool] | None = None


KINDS = {
    "email_address": _Kind(EMAIL, has_at=True, is_right=_is_in_use),
    "phone_number": _Kind(PHONE, 7),
    "card_number": _Kind(CARD, 14, is_right=is_card),
    "iban": _Kind(IBAN, MIN_IBAN_DIGITS, is_right=_is_iban),
}
_DIGITS = [kind.digits for kind in KINDS.values() if kind.digits]


@dataclass(frozen=True)
class _Read:
    """Facts of each text, found before a search: its digits, and whether it may have an @, or data of any kind.

    texts: only the texts that may hold data (`may_hold`), as `plain_forms` writes them, in lower case.
    """

    digits: np.ndarray
    may_have_at: np.ndarray
    may_hold: np.ndarray
    texts: pa.Array

    @classmethod
    def of(cls, marked: MarkedTexts) -> _Read:
        """Return the facts of `marked` texts; `may_hold` is False for a null text."""
        digits = marked.digits.copy()
        may_have_at = marked.have(AT)
        foreign = marked.have(FOREIGN)
        offsets, data = string_buffers(marked.texts.filter(pa.array(foreign)))
        digits_of_foreign = np.empty(len(offsets) - 1, np.int32)
        foreign_with_at = np.empty(len(offsets) - 1, bool)
        pages, is_digit = _digit_table()
        find_signs(data, offsets, pages, is_digit, max(_DIGITS), digits_of_foreign, foreign_with_at)
        digits[foreign] = digits_of_foreign
        may_have_at[foreign] = foreign_with_at
        may_hold = (digits >= min(_DIGITS)) | may_have_at
        some = marked.texts.filter(pa.array(may_hold))
        foreign = pc.invert(pc.string_is_ascii(some))
        if pc.any(foreign).as_py():
            read = pa.array(plain_forms(some.filter(foreign).to_pylist()), some.type)
            some = pc.replace_with_mask(some, foreign, read)
        return cls(digits, may_have_at, may_hold, pc.ascii_lower(some))

    def hold(self, kind: _Kind) -> np.ndarray:
        """Return a mask, bool[text]: which texts have personal data of the kind."""
        may = self.may_have_at if kind.has_at else self.digits >= kind.digits
        some = self.texts.filter(pa.array(may[self.may_hold]))
        mask = pc.match_substring_regex(some, f"(?s){kind.pattern}").to_numpy(zero_copy_only=False)
        if kind.is_right is not None:
            of_python = re.sub(r"\\x\{([0-9A-F]+)\}", lambda code: rf"\U{code[1]:0>8}", kind.pattern)
            pattern = re.compile(f"(?s)(?={of_python})")
            for number in np.flatnonzero(mask).tolist():
                groups = (match[match.lastindex or 0] for match in pattern.finditer(some[number].as_py()))
                mask[number] = any(map(kind.is_right, groups))
        out = np.zeros(len(may), bool)
        out[may] = mask
        return out


@lru_cache(maxsize=1)
def _ascii() -> np.ndarray:
    """Return the code point that `plain_forms` writes for each code point, uint32; _GONE for one that it leaves out."""
    read = np.arange(sys.maxunicode + 1, dtype="<u4")
    for code in range(128, len(read)):
        kind = unicodedata.category(chr(code))
        if kind in ("Nd", "Pd", "Zs"):
            read[code] = ord({"Pd": "-", "Zs": " "}.get(kind) or str(unicodedata.decimal(chr(code))))
    read[0xFF01:0xFF5F] = np.arange(0x21, 0x7F)
    read[ord("−")] = ord("-")
    read[[*_HIDDEN]] = _GONE
    return read


@lru_cache(maxsize=1)
def _digit_table() -> tuple[np.ndarray, np.ndarray]:
    """Return a table of the code points that are digits, as `paged` makes it: page numbers (int16) and pages (bool)."""
    pages, digits = paged((_ascii() >= ord("0")) & (_ascii() <= ord("9")))
    pages.flags.writeable = digits.flags.writeable = False  # All arrays have one type, so the kernel is compiled once.
    return pages, digits


@shared
def _read(batch: ImageBatch) -> _Read:
    return _Read.of(marked_texts(batch))


def has_personal_data(batch: ImageBatch, kind: str) -> np.ndarray:
    """Return which texts contain data of a kind of KINDS, bool[text]."""
    return _read(batch).hold(KINDS[kind])
