"""Write the entries of Serbian and Uzbek, which have a Latin and a Cyrillic alphabet, in the other one, too.

Most sources have one alphabet, and texts have both. Kazakh is left out: its Latin alphabet is still being changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

MINORITY = 0.1  # of the entries of a source, that may be in the alphabet which is not its own: names, abbreviations

_SERBIAN = "аa бb вv гg дd ђđ еe жž зz иi јj кk лl љlj мm нn њnj оo пp рr сs тt ћć уu фf хh цc чč џdž шš"
_UZBEK = "аa бb вv гg дd еe еye ёyo жj зz иi йy кk лl мm нn оo пp рr сs тt уu фf хx чch шsh ъ' эe юyu яya ўo' қq ғg' ҳh"
ALPHABETS = {"sh": _SERBIAN, "sr": _SERBIAN, "uz": _UZBEK}  # each Cyrillic letter with Latin ones

_LATIN, _CYRILLIC = re.compile(r"[a-zà-ɏ]", re.IGNORECASE), re.compile(r"[\u0400-\u04ff]")
_APOSTROPHES = re.compile("[ʻʼ`‘’]")
# What an Uzbek е is called at the begin of a word and behind a vowel, and what an e there is.
_UZBEK_E = re.compile(r"\bе|(?<=[аеёиоуъэюяў])е", re.IGNORECASE), "йе"
_UZBEK_BEGIN = re.compile(r"\be", re.IGNORECASE), "э"


def in_other_alphabet(entry: str, code: str) -> str | None:
    """Return an entry of a language in its other alphabet; None if it has both or none, or letters of neither.

    >>> [in_other_alphabet(each, "sr") for each in ("Ljubav", "ЊЕГОВ", "queen", "7")], in_other_alphabet("ер", "uz")
    (['Љубав', 'NJEGOV', None, None], 'yer')
    """
    is_latin = bool(_LATIN.search(entry))
    if is_latin == bool(_CYRILLIC.search(entry)):
        return None
    letters, pattern = _letters(code, is_latin)
    entry = _APOSTROPHES.sub("'", entry)
    if code == "uz":
        sounds, letter = _UZBEK_BEGIN if is_latin else _UZBEK_E
        entry = sounds.sub(lambda found: _cased(letter, found[0], found[0]), entry)
    found = pattern.sub(lambda found: _cased(letters[found[0].lower()], found[0], entry), entry)
    return None if (_LATIN if is_latin else _CYRILLIC).search(found) else found


def in_both_alphabets(
    code: str, entries: Sequence[str], scores: Sequence[float] | None
) -> tuple[Sequence[str], Sequence[float] | None]:
    """Return the entries of a source, and their scores, each followed by itself in the other alphabet."""
    latin, cyrillic = (sum(bool(each.search(entry)) for entry in entries) for each in (_LATIN, _CYRILLIC))
    if code not in ALPHABETS or min(latin, cyrillic) > MINORITY * max(latin, cyrillic):
        return entries, scores
    both = [(entry, in_other_alphabet(entry, code)) for entry in entries]
    repeated = [score for score, each in zip(scores, both, strict=True) for form in each if form] if scores else scores
    return [form for each in both for form in each if form], repeated


@cache
def _letters(code: str, is_latin: bool) -> tuple[dict[str, str], re.Pattern[str]]:
    pairs = [(each[0], each[1:]) for each in ALPHABETS[code].split()]
    letters = {latin: cyrillic for cyrillic, latin in pairs} if is_latin else dict(reversed(pairs))
    if is_latin and code == "uz":
        letters |= {"e": "е", "yo'": "йў"}  # an э has been read, at the begin
    longest_first = sorted(letters, key=len, reverse=True)
    return letters, re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def _cased(letters: str, written: str, entry: str) -> str:
    """Return letters in the case of those that they stand for, all capitals in an entry of capitals."""
    if written == written.lower():
        return letters
    return letters.upper() if entry.isupper() and len(entry) > 1 else letters.capitalize()
