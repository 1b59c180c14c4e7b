"""Naive twin of the rule that numbers and single letters are no proof."""

import unicodedata

import regex

SPACELESS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Hangul}]"


def naive_has_letters(entry: str) -> bool:
    """Return whether an entry has two letters, or one character of a script without spaces or of Hangul."""
    letters = [each for each in entry if unicodedata.category(each).startswith("L")]
    return len(letters) >= 2 or bool(regex.search(SPACELESS, entry))


def naive_evidence(ids: list[int], entries: list[str]) -> list[int]:
    """Return the ids of the entries in a text, or none where none of these entries has letters."""
    return ids if any(naive_has_letters(entries[id]) for id in ids) else []
