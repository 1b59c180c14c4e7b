"""Find entries in texts, by language: build, save and open the matcher or the automaton of each language.

The automaton is pyahocorasick's: the second, slower engine, and the reference in the matcher's tests. Each process
builds it from the entries. It is never pickled: pickling leaks memory in pyahocorasick 2.3.1.
"""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import regex

from curation.matching.matcher import MATCHER_VERSION, Matcher, valid_entries
from metadata.entries import Entries, EntriesOnDisk
from metadata.rules import Rules, meta_entry, meta_text, symbols
from runtime.argument_types import typed
from runtime.arrow import list_array, parts, string_array
from runtime.errors import AGAIN, InputError
from runtime.kernel_caches import cache_folder
from runtime.progress import advance
from runtime.storage.json_files import read_json, write_json
from runtime.storage.machine_cache import opened_folder, sound
from runtime.storage.paths import room
from runtime.tallies import TaskResult

if TYPE_CHECKING:
    import ahocorasick

_BETWEEN = "\x1f"  # No symbol contains this control character.
INDEX = "index.json"  # This file has the ids and the digest of each language.
PROCESS_ENTRIES = 2_000_000  # Each process builds about this many: two seconds, as long as it takes to start.
_entries = lru_cache(maxsize=1)(Entries.of_strings)


class Finders:
    """The finders of all languages; each is opened or built when the first text of its language is searched."""

    def __init__(
        self, ids: dict[str, range], finder_of: Callable[[str], Matcher | AhoCorasick], one_list: str | None = None
    ) -> None:
        self._ids = ids
        self._finder_of = lru_cache(maxsize=None)(finder_of)
        self._one_list = one_list

    def of_one_list(self, language: str | None) -> Finders:
        """Return finders that search all texts for the entries of `language`, or of each text's language if None."""
        return Finders(self._ids, self._finder_of, language)

    def find(self, language: str, texts: pa.Array) -> pa.ListArray:
        """Return the ids of the entries of `language` in each text, as list<int32>; an empty list for a null text."""
        language = self._one_list or language
        if not self._ids.get(language):
            return pa.ListArray.from_arrays(pa.array(np.zeros(len(texts) + 1, np.int32)), pa.nulls(0, pa.int32()))
        positions, offsets = parts(self._finder_of(language).find(texts))
        ids = positions.to_numpy() + np.int32(self._ids[language].start)
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(ids))


def built_finders(entries: Entries, rules: Rules) -> Finders:
    """Return finders whose matchers this process builds, each when the first text of its language is searched."""
    return Finders(_ids(entries), lambda language: Matcher.build(entries.of(language), rules))


@lru_cache(maxsize=1)
def open_automata(strings: Path, rules: Rules) -> Finders:
    """Return finders that build automata of the entries whose strings a folder holds; the latest result is cached."""
    entries = Entries.of_strings(strings)
    return Finders(_ids(entries), lambda language: AhoCorasick.build(entries.of(language), rules))


@lru_cache(maxsize=1)
def open_matchers(folder: Path, rules: Rules = "unicode", on_disk: EntriesOnDisk | None = None) -> Finders:
    """Return finders that open the matchers of a folder of `save_matchers`; the latest result is cached.

    A matcher that is missing or damaged is built from the entries `on_disk`, if they are given. They are read only in
    this case, because the entries of all languages would take gigabytes in each worker.
    """
    saved = _index(folder)
    ids = {code: range(record["first"], record["stop"]) for code, record in saved.items()}
    if on_disk is None:
        return Finders(ids, lambda code: _open_matcher(folder / code, saved[code]["digest"]))
    return Finders(ids, lambda code: _sound_matcher(folder / code, saved[code]["digest"], on_disk.open, rules))


def matchers_of(entries: Entries, rules: Rules, complete: bool = True) -> Path:
    """Return the folder of the matchers of all languages, built once per machine.

    If `complete`, each matcher is checked, and built if it is missing or damaged. Otherwise, matchers may be damaged,
    and matchers of entries that are built on demand may be missing.
    """
    # The versions of Unicode and regex decide the classes of characters.
    versions = f"{MATCHER_VERSION}-{unicodedata.unidata_version}-{regex.__version__}"
    folder = cache_folder() / f"matchers-{entries.digest}-{rules}-{versions}"
    languages = [] if entries.on_demand else [*entries.languages]
    saved = opened_folder(folder, lambda matchers: save_matchers(entries, rules, matchers, languages), _index)
    if complete:
        for code, record in saved.items():
            _sound_matcher(folder / code, record["digest"], lambda: entries, rules)
    return folder


def save_matchers(
    entries: Entries, rules: Rules, matchers: Path, languages: Sequence[str] | None = None, processes: int | None = None
) -> None:
    """Build and save the matchers of some languages, by default all, in a folder; use several processes if faster."""
    languages = [*entries.languages] if languages is None else languages
    if processes is None:
        processes = min(os.cpu_count() or 1, len(entries) // PROCESS_ENTRIES)
    if processes < 2 or not languages:
        matchers.mkdir(parents=True, exist_ok=True)
        advance(total=len(languages))
        for language in languages:
            save_matcher(entries, language, rules, matchers)
            advance(done=1)
    else:
        from runtime.engine.local import Local  # This import is here because few metadata are so large.

        entries.save_strings(strings := matchers / "strings")
        Local(processes).run([*languages], partial(_save_one, strings=strings, rules=rules, matchers=matchers))
        shutil.rmtree(strings)
    index = {
        code: {"first": ids.start, "stop": ids.stop, "digest": entries.digests[code]}
        for code, ids in _ids(entries).items()
    }
    write_json(matchers / INDEX, index)


def save_matcher(entries: Entries, language: str, rules: Rules, matchers: str | PathLike[str]) -> None:
    """Build the matcher of one language, and save it in the folder `matchers`; a partial matcher is never visible."""
    folder = Path(matchers) / language
    unfinished = folder.with_name(f"{language}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    with room(matchers):
        Matcher.build(entries.of(language), rules).save(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)


def _save_one(language: str, strings: Path, rules: Rules, matchers: Path) -> TaskResult:
    save_matcher(_entries(strings), language, rules, matchers)
    return TaskResult()


def _ids(entries: Entries) -> dict[str, range]:
    return {code: range(ids.start, ids.stop) for code, ids in entries.languages.items()}


def _index(matchers: Path) -> dict[str, dict[str, Any]]:
    """Return the first id, the id after the last, and the digest of each language in a folder of `save_matchers`."""
    saved = read_json(matchers / INDEX)
    if saved is None:
        raise InputError(f"{matchers} does not contain the {INDEX} of saved matchers; build the matchers again")
    return saved


def _sound_matcher(folder: Path, digest: str, entries: Callable[[], Entries], rules: Rules) -> Matcher:
    """Return the matcher in `folder`, whose name is its language; build it first if it is missing or damaged."""

    def build(part: Path) -> None:
        Matcher.build(entries().of(folder.name), rules).save(part)

    return sound(folder, build, lambda whole: _open_matcher(whole, digest))


def _open_matcher(folder: Path, digest: str) -> Matcher:
    try:
        matcher = Matcher.open(folder)
    except InputError as error:
        raise InputError(f"{error}: delete {folder.parent} and {AGAIN}") from None
    if matcher.digest != digest:
        raise InputError(f"{folder} was built from other entries; build the matchers again")
    return matcher


@typed
@dataclass(frozen=True)
class AhoCorasick:
    """Finds the entries of one list in texts by an automaton; an entry's id is its position in that list."""

    automaton: ahocorasick.Automaton | None  # maps a normal form to the ids of its entries; None: no entry
    read: Callable[[str], str]  # returns the normal form of a text, which the automaton searches

    @classmethod
    def build(cls, entries: Iterable[str] | pa.Array, rules: Rules = "unicode") -> AhoCorasick:
        """Return the automaton for a sequence or an Arrow array of strings; InputError for an empty or null entry."""
        read_entry = delimited if rules == "unicode" else meta_entry
        read_text = delimited if rules == "unicode" else meta_text
        ids = defaultdict(list)
        for position, entry in enumerate(valid_entries(entries).to_pylist()):
            ids[read_entry(entry)].append(position)
        ids.pop(_BETWEEN, None)  # Entries without a symbol match nothing.
        if not ids:
            return cls(None, read_text)
        import ahocorasick  # This import is here because most runs do not need it.

        automaton = ahocorasick.Automaton()
        for string, positions in ids.items():
            automaton.add_word(string, tuple(positions))
        automaton.make_automaton()
        return cls(automaton, read_text)

    def find(self, texts: Iterable[str | None] | pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """Return for each text the ids of the entries that it contains, as `Matcher.find` does."""
        if isinstance(texts, pa.ChunkedArray):
            return pa.chunked_array([self.find(chunk) for chunk in texts.chunks], pa.list_(pa.int32()))
        texts = string_array(texts, "texts")
        ids_of_texts = [self._ids_in(text) for text in texts.to_pylist()]
        offsets = np.append(0, np.cumsum([*map(len, ids_of_texts)], dtype=np.int64))
        ids = np.fromiter(chain.from_iterable(ids_of_texts), np.int32, offsets[-1])
        return list_array(offsets, ids, like=texts)

    def _ids_in(self, text: str | None) -> list[int]:
        if text is None or self.automaton is None:
            return []
        found = set[int]()
        for _, ids in self.automaton.iter(self.read(text)):
            found.update(ids)
        return sorted(found)


def delimited(text: str) -> str:
    r"""Return the symbols of a text or an entry with a control character around each.

    >>> delimited("a dog")
    '\x1fa\x1fdog\x1f'
    """
    return _BETWEEN + "".join(symbol + _BETWEEN for symbol in symbols(text))
