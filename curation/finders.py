"""The finder of each language: matchers saved in one folder, or the second engine, built in each process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

from curation.automaton import AhoCorasick
from curation.matcher import Matcher
from metadata.entries import Entries, digest_of
from metadata.errors import InputError
from metadata.places import room

PROCESS_ENTRIES = 2_000_000  # worth a process more: they take two seconds to build, and so does its start


class Finders:
    """The finders of the languages of some entries; each is opened or built when its first text comes."""

    def __init__(self, entries: Entries, make: Callable):
        self._entries = entries
        self._finder_of = lru_cache(maxsize=None)(lambda language: make(language, entries.of(language)))

    def of(self, language: str):
        """Return the language's finder and the id of its first entry, or None if it has no entries."""
        ids = self._entries.ids(language)
        return (self._finder_of(language), ids.start) if ids.start < ids.stop else None


@lru_cache(maxsize=1)
def open_finders(metadata: Path, engine: str, rules: str, matchers: Path | None) -> Finders:
    """Return the finders over the entries saved in the folder `metadata`; a process has one such object.

    The engine `trie` reads the matchers that `save_matchers` put into the folder `matchers`.
    """
    make = partial(_open, matchers) if engine == "trie" else partial(_build, rules)
    return Finders(Entries.open(metadata), make)


def save_matchers(metadata: Path, rules: str, matchers: Path, processes: int | None = None) -> None:
    """Build the matchers of all languages of the entries saved in `metadata`; by default in processes if that pays."""
    entries = Entries.open(metadata)
    if processes is None:
        processes = min(os.cpu_count() or 1, len(entries) // PROCESS_ENTRIES)
    if processes < 2:
        for language in entries.languages:
            save_matcher(entries, language, rules, matchers)
        return
    # A forked process would have the driver's threads' locks without the threads.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        save = partial(_save_one, metadata, rules=rules, matchers=matchers)
        for _ in pool.map(save, entries.languages):
            pass


def save_matcher(entries: Entries, language: str, rules: str, matchers: Path) -> None:
    """Build the matcher of a language and put it, whole, into the folder `matchers`."""
    place = Path(matchers) / language
    unfinished = place.with_name(f"{language}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    with room(matchers):
        Matcher.build(entries.of(language), rules).save(unfinished)
    shutil.rmtree(place, ignore_errors=True)
    unfinished.replace(place)


def _save_one(metadata: Path, language: str, rules: str, matchers: Path) -> None:
    save_matcher(_entries(metadata), language, rules, matchers)


@lru_cache(maxsize=1)
def _entries(metadata: Path) -> Entries:
    return Entries.open(metadata)


def _open(matchers: Path, language: str, entries) -> Matcher:
    matcher = Matcher.open(matchers / language)
    if matcher.digest != digest_of(entries):
        raise InputError(f"{matchers / language} was built from other entries; build the matchers again")
    return matcher


def _build(rules: str, language: str, entries) -> AhoCorasick:
    return AhoCorasick.build(entries, rules)
