"""Read the tab files of the Open Multilingual Wordnet: a lemma of a synset on each line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from metadata.wordnet.files import EXPECTED, WordnetFile, lines, opened
from metadata.wordnet.lemmas import kept_words
from runtime.errors import InputError

_KEY = re.compile(r"([a-z]{3}:)?lemma")  # not arb:lemma:root, als:def


def codes(path: str) -> list[str]:
    """Return the code in line 1 (`# name TAB code TAB url TAB licence`), or else the one that ends the file's name."""
    with opened(path) as file:
        head = file.readline().decode("utf-8-sig", "replace").split("\t")
    if head[0].startswith("#") and len(head) > 1:
        return [head[1].strip()]
    named = re.search(r"-([a-z]{3})\.tab", path)
    if not named:
        raise InputError(f"neither line 1 nor the name says the language; {EXPECTED}")
    return [named[1]]


def lemmas(file: WordnetFile, tally: Counter, names_only: bool) -> Iterator[str]:
    """Yield the words of each line `synset TAB key TAB lemma` whose key says lemma."""
    for line in lines(file.path, tally):
        fields = line.split("\t")
        if line.startswith(("#", "\ufeff#")):
            continue
        if len(fields) < 3:
            tally["dropped.fields"] += 1
        elif not _KEY.fullmatch(fields[1]):
            tally["other_keys"] += 1
        else:
            yield from kept_words(fields[2], file.language.code, tally)
