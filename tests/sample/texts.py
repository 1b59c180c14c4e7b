"""Sentences of each language and the entries that match them, both from the word material in `words/`.

A file of words has sections: [templates] with {slots}, one section a slot with its words, the most frequent first,
[entries] with words of the templates, and [absent] with entries that no text holds. Words of the slot {name} are no
entries.
"""

import re
from bisect import bisect
from collections.abc import Iterator
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from random import Random
from zlib import crc32

WORDS = Path(__file__).parent / "words"
LANGUAGES = sorted(path.stem for path in WORDS.glob("*.txt"))
SPACELESS = {"ja", "th", "zh"}
NO_SLOTS = {"templates", "entries", "absent", "name"}
ONE_IN = 20  # pairs of words that a template may bring together are entries: they are the tail
SLOT = re.compile(r"\{([^}]+)\}")


@cache
def sections(language: str) -> dict[str, list[str]]:
    """Return the sections of a language's words; items stand on lines of their own or between bars."""
    found, items = {}, []
    for line in (WORDS / f"{language}.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            items = found.setdefault(line.strip("[]"), [])
        else:
            items += [item.strip() for item in line.split(" | ")]
    return found


def sentence(language: str, random: Random) -> str:
    """Return a sentence; the words of a slot are drawn by a Zipf-like law, so a few are frequent and most rare."""
    words = sections(language)
    return SLOT.sub(lambda slot: zipf(words[slot[1]], random), zipf(words["templates"], random))


def names(language: str, random: Random) -> str:
    """Return a text without any entry."""
    people = sections(language).get("name", ["Xq", "Vv"])
    return f"{zipf(people, random)} {zipf(people, random)} ({2000 + int(random.random() * 25)})"


def zipf(items: list[str], random: Random) -> str:
    """Return one item, the nth with a chance that falls like n^-1.2."""
    # Only random() gives the same numbers in every version of Python; choice() need not.
    shares = _shares(len(items))
    return items[bisect(shares, random.random() * shares[-1])]


@cache
def _shares(length: int) -> list[float]:
    return list(accumulate((rank + 1) ** -1.2 for rank in range(length)))


@cache
def entries(language: str) -> list[str]:
    """Return the entries: words, phrases and pairs of words of the material, in order, each once."""
    words = sections(language)
    items = [item for slot, items in words.items() if slot not in NO_SLOTS for item in items]
    found = {*items, *words["entries"], *words["absent"]}
    if language not in SPACELESS:
        for item in items:
            found.update(_words(item))
            found.update(" ".join(pair) for pair in pairwise(_words(item)))
        found.update(pair for pair in _neighbours(words) if crc32(pair.encode()) % ONE_IN == 0)
    return sorted(found)


def _neighbours(words) -> Iterator[str]:
    """Yield the pairs of words that two slots with a space between them may bring together."""
    for template in words["templates"]:
        for left, right in re.findall(r"(?=\{([^}]+)\} \{([^}]+)\})", template):
            if not {left, right} & NO_SLOTS:
                yield from (f"{_words(a)[-1]} {_words(b)[0]}" for a in words[left] for b in words[right])


def _words(item: str) -> list[str]:
    return item.replace("'", " ").split()
