"""Clean lemmas as wordnet files spell them: return the words in a field, and drop everything else.

The oddities are those of the Open Multilingual Wordnet, which has many contributors: remnants of wiki markup and HTML
(French), glosses in parentheses (Slovak), several words in one field (Thai), morpheme signs (Chinese), placeholders for
English words without an equivalent (Italian, Hebrew), vowel points that nobody types (Hebrew, Arabic).
"""

import html
import re
from collections import Counter
from urllib.parse import unquote

_INVISIBLE = "\u00ad\u200b\u200e\u200f\ufeff"  # not the joiners, which Persian and Hindi spell with

# Applied in this order: a gloss can only be seen as one after the markup around it is gone.
_REPAIRS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (rf"[{_INVISIBLE}]", ""),
        (r"<!-.*?-->", ""),
        (r"</?(?:b|big|br|i|small|sub|sup)\s*/?>", ""),
        (r"''[^']*''", ""),  # Marches ''pl''
        (r"'{2,}[ ']*", ""),  # gå ''til: the Danish mark of stress
        (r"\{\{.*?\}\}|\[\[|\]\]", ""),
        (r"^[|\[](-?\w+)[|\]](?= )", r"\1"),  # |se| întinde, [se] umili: Romanian reflexives
        (r"\|\s*[a-z]{2,3}\s*[:=].*$|^[a-z]{2}:(?=\w)", ""),  # urochordata|fr:urochordés, fr:saphisme
        (r"(?<=\w) ?#.+$", ""),  # the section of an article
        (r"\([^()]*\)|\[[^\[\]]*\]|\(.*$|\)", ""),
        (r"(?<=\w)(?: ?\+(?=\w)|\+(?= \w))", ""),  # 形状+的; C++ stays
        (r"^[!?*]+(?=\w)|:x$|[,;:*]+$", ""),  # !רעד, *account, slovenski jezik:x, molypđen,
    )
]
_BETWEEN_WORDS = re.compile(r"[;|]|\s,|(?<!\d),(?=[^\d\s])")  # Atlanta, Georgia and 3,14 are one each
_ODD = re.compile(rf"[&%<|\[{{#:+!?*();,\"{_INVISIBLE}]|''")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")

_PLACEHOLDERS = {"GAP!", "PSEUDOGAP!"}
_LOST_LETTER = re.compile(r"\w\?+\w|[\s-]\?|\ufffd")  # sva?a, latón ?

# Signs that dictionaries write and captions leave out. Not for Yiddish and Urdu, whose spelling needs some of them.
_ARABIC_POINTS = re.compile("[\u0640\u064b-\u0652\u0670]")
_HEBREW_POINTS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]")
_POINTS = {"ar": _ARABIC_POINTS, "fa": _ARABIC_POINTS, "he": _HEBREW_POINTS}


def refusal(lemma: str) -> str | None:
    """Return why `lemma` is no word at all, or None.

    >>> refusal("GAP!"), refusal("sva?a"), refusal("wat is je baan?")
    ('placeholder', 'lost_letter', None)
    """
    if lemma in _PLACEHOLDERS:
        return "placeholder"
    odd = "?" in lemma or "\ufffd" in lemma  # without which the pattern, which takes longer, finds nothing
    return "lost_letter" if odd and _LOST_LETTER.search(lemma) else None


def kept_words(lemma: str, language: str, tally: Counter) -> list[str]:
    """Return the words that a lemma means; a lemma that means none is counted in `tally` under its reason."""
    reason = refusal(lemma)
    found = [] if reason else words(lemma, language)
    if not found:
        tally[f"dropped.{reason or 'empty'}"] += 1
    return found


def words(lemma: str, language: str) -> list[str]:
    """Return the words, often one, perhaps none, that a lemma of a wordnet of `language` (a metadata code) means.

    >>> words("morse_(animal)|fr:morse", "fr"), words("napeti,napenjati", "sl"), words("(Ath", "is")
    (['morse'], ['napeti', 'napenjati'], [])
    """
    if lemma.isalnum() and language not in _POINTS:
        return [lemma]
    lemma = lemma.replace("_", " ")
    if language in _POINTS:
        lemma = _POINTS[language].sub("", lemma)
    parts = _repaired(lemma) if _ODD.search(lemma) else [lemma]
    spaced = (" ".join(part.split()) for part in parts)
    return [part for part in spaced if part]


def _repaired(lemma: str) -> list[str]:
    lemma = _unescaped(lemma)
    for pattern, replacement in _REPAIRS:
        lemma = pattern.sub(replacement, lemma).strip()
    return [_quotes_paired(part) for part in _BETWEEN_WORDS.split(lemma)]


def _unescaped(lemma: str) -> str:
    while lemma != (once := html.unescape(lemma)):  # mo&amp;amp;#269;virniki
        lemma = once
    return unquote(lemma) if _ESCAPED.search(lemma) else lemma


def _quotes_paired(word: str) -> str:
    """Return `word` without a quotation mark at an end that lacks its partner; דו"ח keeps its own."""
    return word.strip('" ') if word.count('"') == 1 else word
