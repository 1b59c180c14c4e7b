"""Normalise texts and entries by two rule sets, `unicode` and `meta`, and classify characters, letters and scripts.

`unicode` reads texts and entries as sequences of symbols; `meta` pads texts and entries with spaces, as Meta CLIP's
reference code does. The functions over strings define the rules; curation's kernels read the same rules from paged
tables, such as `CharacterTable`.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex

Rules = Literal["unicode", "meta"]
RULES: tuple[Rules, ...] = get_args(Rules)

REMAPPED = "™℠\u2018\u2019\u02bc\u00b4"  # replaced by a space or an apostrophe, before NFKC
_REMAPPED = regex.compile(f"[{REMAPPED}]")
_SIGNS = str.maketrans(REMAPPED, "  ''''")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc", "'''")

_META_WRAPPED = ",.;:?!`"
_META_SPACES = "\t\n\r"
_META_SPACING = str.maketrans({mark: f" {mark} " for mark in _META_WRAPPED} | dict.fromkeys(_META_SPACES, " "))
_MARK = f"[{_META_WRAPPED}]"
# Each mark has its own space on both sides, so there are two spaces between two marks.
_META_IMPOSSIBLE = regex.compile(rf"[{_META_SPACES}]|[^ ]{_MARK}|{_MARK}[^ ]|{_MARK} {_MARK}", regex.DOTALL)
# Characters that need no space beside them under `meta`: ASCII and CJK punctuation, ideographs and radicals, and the
# blocks of Thai, Lao, Myanmar, Khmer and Tibetan. Kana are not among these characters.
_META_OPEN = regex.compile(
    r"[!-/:-@\[-`{-~，。、；：？！“”‘’（）【】《》〈〉「」『』～—"
    r"\u4E00-\u9FFF\u3400-\u4DBF\U00020000-\U0002A6DF\U0002A700-\U0002B73F\U0002B740-\U0002B81F\U0002B820-\U0002CEAF"
    r"\U0002CEB0-\U0002EBEF\uF900-\uFAFF\u2E80-\u2EFF\u2F00-\u2FDF\u2FF0-\u2FFF"
    r"\u0E00-\u0E7F\u0E80-\u0EFF\u1000-\u109F\u1780-\u17FF\u0F00-\u0FFF]"
)

# The classes of characters decide where symbols begin and end.
SEPARATOR, PUNCTUATION, SPACELESS, MARK, WORD = range(5)

SPACELESS_SCRIPTS = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
UNNORMALISED = 255  # in CharacterTable.order; the largest combining class is 240
MAX_SCRIPTS = 62  # the most scripts that have their own bit in a letter table
# A character of these scripts is a word or a part of one; a syllable of Hangul is two letters or more.
_ENOUGH = "".join(rf"\p{{{script}}}" for script in (*SPACELESS_SCRIPTS, "Hangul"))
_LETTERED = rf"\p{{L}}.*\p{{L}}|[{_ENOUGH}]"
_ALL = np.arange(0x110000, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
_HANGUL_TAILS = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))  # vowels and finals that join the syllable before

CHINESE, JAPANESE = 1, 2  # bits
NO_SIGN = "のノ"  # kana that Chinese shop names use as decoration
# Character set → the largest first byte of its frequent characters.
_LAST = {"gb2312": 0xD7, "big5": 0xC6, "euc_jp": 0xCF}


def normalise(text: str) -> str:
    """Return `text` in the normal form of the `unicode` rules: NFKC, one kind of apostrophe, spaces for ™ and ℠.

    >>> normalise("LEGO™ l’été ＡＢＣ")
    "LEGO  l'été ABC"
    """
    if _REMAPPED.search(text):
        text = text.translate(_SIGNS)
    text = unicodedata.normalize("NFKC", text)
    return text.translate(_APOSTROPHES) if _REMAPPED.search(text) else text


def is_plain(text: str) -> bool:
    """Return whether a text has only letters and digits and is in normal form: both rule sets leave it unchanged.

    >>> is_plain("dog"), is_plain("ＡＢＣ"), is_plain("St. Louis"), is_plain("")
    (True, False, False, False)
    """
    return text.isalnum() and unicodedata.is_normalized("NFKC", text) and "\u02bc" not in text


def are_plain(texts: Sequence[str]) -> list[bool]:
    """Return `is_plain` of each text, in a tenth of the time."""
    alphanumeric = list(map(str.isalnum, texts))
    together = "\n".join(compress(texts, alphanumeric))
    if unicodedata.is_normalized("NFKC", together) and "\u02bc" not in together:
        return alphanumeric
    return list(map(is_plain, texts))


def meta_text(text: str) -> str:
    """Return `text` as the `meta` rules search it: with a space at both ends and on both sides of each mark (,.;:?!`).

    >>> meta_text("a dog, a cat")
    ' a dog ,  a cat '
    """
    return f" {text.translate(_META_SPACING)} "


def meta_entry(entry: str) -> str:
    """Return the string that the `meta` rules search for: `entry` with a space at both ends.

    An end that is punctuation or a Han character, for example, needs no space and gets none.

    >>> meta_entry("C++"), meta_entry("dog")
    (' C++', ' dog ')
    """
    before = "" if _META_OPEN.match(entry[0]) else " "
    after = "" if _META_OPEN.match(entry[-1]) else " "
    return f"{before}{entry}{after}"


def meta_can_match(padded: str) -> bool:
    """Return whether any text can contain this padded entry: texts have spaces around each mark, and no line ends.

    >>> meta_can_match(" Yahoo!"), meta_can_match(" C++")
    (False, True)
    """
    return not _META_IMPOSSIBLE.search(padded)


@dataclass(frozen=True)
class CharacterTable:
    """Properties of all code points in pages of 256: code point `c` is at index `pages[c >> 8] << 8 | c & 255`.

    `classes` (uint8) has the class of `c`. `twins` (int32) has the punctuation mark to which `c` normalises, else 0.
    `order` (uint8) has the canonical combining class, or UNNORMALISED if a text with `c` may not be in normal form:
    call `normalise` on such a text before it is matched.
    """

    pages: np.ndarray
    classes: np.ndarray
    twins: np.ndarray
    order: np.ndarray


def symbols(text: str) -> list[str]:
    """Return the symbols, in order, of a text or an entry under the `unicode` rules.

    >>> symbols("l’homme, ラーメン")
    ['l', "'", 'homme', ',', 'ラ', 'ー', 'メ', 'ン']
    """
    classes = character_classes()
    symbols: list[str] = []
    before = SEPARATOR  # Characters may still join the last symbol, which has this class.
    for character in normalise(text):
        kind = classes[ord(character)]
        if kind == MARK:
            kind = SPACELESS if before == SPACELESS else WORD
            joins = kind == before
        else:
            joins = kind == before == WORD
        if joins:
            symbols[-1] += character
        elif kind != SEPARATOR:
            symbols.append(character)
        before = kind
    return symbols


@lru_cache(maxsize=1)
def character_classes() -> np.ndarray:
    """Return the class of each code point, from SEPARATOR to WORD, as uint8 of shape (0x110000,)."""
    categories = np.frombuffer("".join(map(unicodedata.category, _ALL)).encode(), "S2")
    kinds = categories.view("S1")[::2]  # A kind is the first letter of a category: L, M, N, P, S, Z or C.
    classes = np.full(0x110000, WORD, np.uint8)
    scripts = "".join(rf"\p{{scx={script}}}" for script in SPACELESS_SCRIPTS)
    classes[_matching(f"[{scripts}]") & (categories != b"Cf")] = SPACELESS
    classes[kinds == b"M"] = MARK
    classes[(kinds == b"P") | (kinds == b"S")] = PUNCTUATION
    classes[(kinds == b"Z") | (categories == b"Cc")] = SEPARATOR
    classes[[0x200B, 0xFEFF]] = SEPARATOR  # These are the zero-width space and the byte order mark.
    classes[(categories == b"Cn") | _matching(r"\p{Cn}")] = WORD  # `unicodedata` or `regex` calls these unassigned.
    return classes


@lru_cache(maxsize=1)
def character_table() -> CharacterTable:
    """Return the character table for this Python's Unicode version, cached and read-only."""
    classes = character_classes().copy()
    twins = np.zeros(0x110000, np.int32)
    order = np.fromiter(map(unicodedata.combining, _ALL), np.uint8, 0x110000)
    joining = _joining()
    order[joining] = UNNORMALISED
    for code in _changed_by_normalising():
        form = normalise(chr(code))
        if all(classes[ord(c)] == SEPARATOR for c in form) and classes[code] in (SEPARATOR, PUNCTUATION):
            classes[code] = SEPARATOR
            order[code] = 0
        elif len(form) == 1 and classes[ord(form)] == PUNCTUATION and ord(form) not in joining:
            classes[code] = PUNCTUATION
            twins[code] = ord(form)
            order[code] = 0
        else:
            order[code] = UNNORMALISED
    return CharacterTable(*paged(classes, twins, order))


def _changed_by_normalising() -> list[int]:
    decomposed = [code for code, form in enumerate(map(unicodedata.decomposition, _ALL)) if form]
    return [code for code in {*decomposed, *map(ord, REMAPPED)} if normalise(chr(code)) != chr(code)]


def _joining() -> list[int]:
    """Return, sorted, the code points that NFKC may join with the character before; texts with one need normalising."""
    forms = [form.split() for form in map(unicodedata.decomposition, _ALL) if form and not form.startswith("<")]
    return sorted({int(form[1], 16) for form in forms if len(form) == 2}.union(_HANGUL_TAILS))


def _matching(pattern: str) -> np.ndarray:
    matches = np.zeros(0x110000, bool)
    for run in regex.finditer(f"(?:{pattern})+", _ALL):
        matches[run.start() : run.end()] = True
    return matches


def paged(*properties: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return read-only arrays: the page number (int16) of each 256 code points, then the pages of each property.

    `properties` are arrays of shape (0x110000,). Equal pages of 256 values are kept once, the ASCII page first. The
    value of code point `c` is at `pages[c >> 8] << 8 | c & 255`.
    """
    tables = [values.reshape(-1, 256) for values in properties]
    first: dict[tuple[bytes, ...], int] = {}  # the number of the first page with each content
    equal = []
    for page, rows in enumerate(zip(*tables, strict=True)):
        content = tuple(row.tobytes() for row in rows)
        equal.append(first.setdefault(content, page))
    kept, pages = np.unique(equal, return_inverse=True)
    arrays = pages.astype(np.int16), *(table[kept].ravel() for table in tables)
    for array in arrays:
        array.flags.writeable = False  # Arrays from files are read-only, too, so Numba compiles once for both.
    return arrays


@lru_cache(maxsize=1)
def letter_table(scripts: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the page number (int16) of each 256 code points, and the pages of script bits (int64).

    The bit of code point `c` is at `pages[c >> 8] << 8 | c & 255`. It is 1 << k for a letter of the script scripts[k],
    and 1 << MAX_SCRIPTS for letters of scripts not in `scripts`. It is 0 for characters that are not letters, and for
    letters of several scripts, such as the length mark of Japanese.
    """
    numbers = np.zeros(0x110000, np.int32)
    numbers[_letters(r"[^\p{Script=Common}\p{Script=Inherited}]")] = MAX_SCRIPTS + 1
    for number, script in enumerate(scripts):
        numbers[_letters(rf"\p{{Script={script}}}")] = number + 1
    pages, in_pages = paged(numbers)
    bits = np.where(in_pages > 0, np.left_shift(1, np.maximum(in_pages - 1, 0), dtype=np.int64), 0)
    bits.flags.writeable = False
    return pages, bits


def _letters(pattern: str) -> np.ndarray:
    """Return the code points (uint32) of all letters that match `pattern`."""
    letters = "".join(regex.findall(f"{pattern}+", _all_letters()))
    return np.frombuffer(letters.encode("utf-32-le"), np.uint32)


@lru_cache(maxsize=1)
def _all_letters() -> str:
    return "".join(regex.findall(r"\p{L}+", _ALL))


def have_letters(entries: pa.Array) -> np.ndarray:
    """Return a bool per entry: True if it has two letters, or one character of Hangul or of a script without spaces.

    >>> have_letters(pa.array(["dog", "2034", "b", "b 12 c", "犬", "개", "+"])).tolist()
    [True, False, False, True, True, True, False]
    """
    return pc.match_substring_regex(entries, f"(?s){_LETTERED}").to_numpy(zero_copy_only=False)


@lru_cache(maxsize=1)
def han_table() -> tuple[np.ndarray, ...]:
    """Return the page number (int16) of each 256 code points, and the pages of `han_bits` (int64).

    The bits of code point `c` are at `pages[c >> 8] << 8 | c & 255`. Kana also have the bit JAPANESE, except the
    characters in NO_SIGN.
    """
    bits = np.zeros(0x110000, np.int64)
    for code in range(0x4E00, 0xA000):
        bits[code] = han_bits(chr(code))
    kana = regex.findall(
        r"[\p{Hiragana}\p{Katakana}]", "".join(map(chr, (*range(0x3000, 0x3200), *range(0xFF00, 0xFFA0))))
    )
    bits[[ord(character) for character in kana if character not in NO_SIGN]] = JAPANESE
    return paged(bits)


def han_bits(character: str) -> int:
    """Return CHINESE or JAPANESE for a Han character that only that language writes today, 0 for other characters.

    A character is Chinese if it is frequent in GB 2312 or Big5 and missing in JIS X 0208. It is Japanese if it is
    frequent in JIS X 0208 and missing in GB 2312 and Big5. Most characters have 0: both languages write them.

    >>> [han_bits(character) for character in "们駅山"]
    [1, 2, 0]
    """
    frequent, encodable = {}, {}
    for name, last in _LAST.items():
        encoded = character.encode(name, "ignore")
        encodable[name] = len(encoded) == 2
        frequent[name] = encodable[name] and encoded[0] <= last
    if not encodable["euc_jp"]:
        return CHINESE if frequent["gb2312"] or frequent["big5"] else 0
    return JAPANESE if frequent["euc_jp"] and not (encodable["gb2312"] or encodable["big5"]) else 0
