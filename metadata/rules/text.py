"""Normalise texts and entries by the two rule sets before they are compared.

`unicode` reads both as sequences of symbols; `meta` pads both with spaces, as Meta CLIP's reference does. This is the
definition in plain Python; `characters` has the tables by which curation's kernels do the same.
"""

import unicodedata
from typing import Literal, get_args

import regex

Rules = Literal["unicode", "meta"]
RULES: tuple[Rules, ...] = get_args(Rules)

REMAPPED = "™℠\u2018\u2019\u02bc\u00b4"  # read as a space or an apostrophe, whatever NFKC makes of them
_REMAPPED = regex.compile(f"[{REMAPPED}]")
_SIGNS = str.maketrans(REMAPPED, "  ''''")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc", "'''")

_META_WRAPPED = ",.;:?!`"
_META_SPACES = "\t\n\r"
_META_SPACING = str.maketrans({mark: f" {mark} " for mark in _META_WRAPPED} | dict.fromkeys(_META_SPACES, " "))
_MARK = f"[{_META_WRAPPED}]"
# Each mark has spaces of its own on both sides, so two of them stand between two marks.
_META_IMPOSSIBLE = regex.compile(rf"[{_META_SPACES}]|[^ ]{_MARK}|{_MARK}[^ ]|{_MARK} {_MARK}", regex.DOTALL)
# What needs no space beside it under `meta`: ASCII and CJK punctuation, ideographs and radicals, and the blocks of
# Thai, Lao, Myanmar, Khmer and Tibetan. Kana are not among them.
_META_OPEN = regex.compile(
    r"[!-/:-@\[-`{-~，。、；：？！“”‘’（）【】《》〈〉「」『』～—"
    r"\u4E00-\u9FFF\u3400-\u4DBF\U00020000-\U0002A6DF\U0002A700-\U0002B73F\U0002B740-\U0002B81F\U0002B820-\U0002CEAF"
    r"\U0002CEB0-\U0002EBEF\uF900-\uFAFF\u2E80-\u2EFF\u2F00-\u2FDF\u2FF0-\u2FFF"
    r"\u0E00-\u0E7F\u0E80-\u0EFF\u1000-\u109F\u1780-\u17FF\u0F00-\u0FFF]"
)


def normalise(text: str) -> str:
    """Return `text` as the `unicode` rules read it: NFKC, one kind of apostrophe, trade mark signs as spaces.

    >>> normalise("LEGO™ l’été ＡＢＣ")
    "LEGO  l'été ABC"
    """
    if _REMAPPED.search(text):
        text = text.translate(_SIGNS)
    text = unicodedata.normalize("NFKC", text)
    return text.translate(_APOSTROPHES) if _REMAPPED.search(text) else text


def is_plain(text: str) -> bool:
    """Return whether a text is letters and digits alone and in normal form, so that both rules read it as it is.

    >>> is_plain("dog"), is_plain("ＡＢＣ"), is_plain("St. Louis"), is_plain("")
    (True, False, False, False)
    """
    return text.isalnum() and unicodedata.is_normalized("NFKC", text) and "\u02bc" not in text


def meta_text(text: str) -> str:
    """Return `text` as the `meta` rules search it.

    >>> meta_text("a dog, a cat")
    ' a dog ,  a cat '
    """
    return f" {text.translate(_META_SPACING)} "


def meta_entry(entry: str) -> str:
    """Return the string that the `meta` rules look for: padded on each side that is not open.

    >>> meta_entry("C++"), meta_entry("dog")
    (' C++', ' dog ')
    """
    before = "" if _META_OPEN.match(entry[0]) else " "
    after = "" if _META_OPEN.match(entry[-1]) else " "
    return f"{before}{entry}{after}"


def meta_can_match(padded: str) -> bool:
    """Return whether any text can hold a padded entry: texts have spaces around each wrapped mark, and no line ends.

    >>> meta_can_match(" Yahoo!"), meta_can_match(" C++")
    (False, True)
    """
    return not _META_IMPOSSIBLE.search(padded)
