"""The finder of each language: matchers saved in one folder, or the second engine, built in each process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

from curation.automaton import AhoCorasick
from curation.matcher import Matcher
from metadata.entries import Entries, digest_of
from metadata.errors import InputError


class Finders:
    """The finders of the languages of some entries; each is opened or built when its first text comes."""

    def __init__(self, entries: Entries, make: Callable):
        self._entries = entries
        self._finder_of = lru_cache(maxsize=None)(lambda language: make(language, entries.of(language)))

    def of(self, language: str):
        """Return the language's finder and the id of its first entry, or None if it has no entries."""
        ids = self._entries.ids(language)
        return (self._finder_of(language), ids.start) if ids.start < ids.stop else None


def built_finders(entries: Entries, rules: str) -> Finders:
    """Return finders that lie in this process alone, each built when the first text of its language comes."""
    return Finders(entries, lambda _, of_language: Matcher.build(of_language, rules))


@lru_cache(maxsize=1)
def open_finders(metadata: str, engine: str, rules: str, matchers: str) -> Finders:
    """Return the finders over the entries saved in the folder `metadata`; a process has one such object.

    The engine `trie` reads the matchers that `save_matcher` put into the folder `matchers`.
    """
    make = partial(_open, Path(matchers)) if engine == "trie" else partial(_build, rules)
    return Finders(Entries.open(metadata), make)


def save_matcher(entries: Entries, language: str, rules: str, matchers: str) -> None:
    """Build the matcher of a language and put it, whole, into the folder `matchers`."""
    place = Path(matchers) / language
    unfinished = place.with_name(f"{language}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    Matcher.build(entries.of(language), rules).save(unfinished)
    shutil.rmtree(place, ignore_errors=True)
    unfinished.replace(place)


def _open(matchers: Path, language: str, entries) -> Matcher:
    matcher = Matcher.open(matchers / language)
    if matcher.digest != digest_of(entries):
        raise InputError(f"{matchers / language} was built from other entries; build the matchers again")
    return matcher


def _build(rules: str, language: str, entries) -> AhoCorasick:
    return AhoCorasick.build(entries, rules)
