"""Merge the entries that several sources give for one language, in one order, each once.

The first source with an entry decides its position and score; all sources with the entry are recorded.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from metadata.config import MetadataConfig
from metadata.entry_files import SCHEMA
from metadata.rules.characters import symbols
from metadata.rules.text import is_plain, meta_can_match, meta_entry, normalise

NUMBERS = tuple(str(number) for number in range(100))  # entries of every language [1]


@dataclass(frozen=True)
class Source:
    """The entries that one source brings for a language, best first, with their scores where it has some."""

    name: str
    entries: Sequence[str]
    scores: Sequence[float] | None = None

    def rows(self) -> Iterable[tuple[str, float | None]]:
        """Yield each entry with its score."""
        scores: Sequence[float | None] = self.scores or [None] * len(self.entries)
        return zip(self.entries, scores, strict=True)


@dataclass
class Merged:
    """The entries of one language, and those that were left out, by reason."""

    language: str
    sources: dict[str, list[str]] = field(default_factory=dict)  # of each entry, in the entries' order
    scores: dict[str, float | None] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)

    def table(self) -> pa.Table:
        """Return language, entry, sources and score, in the entries' order."""
        kinds = {id(names): names for names in self.sources.values()}  # few: most entries share those of their source
        places = {key: place for place, key in enumerate(kinds)}
        owners = pa.array([places[id(names)] for names in self.sources.values()], pa.int32())
        columns = {
            "language": pa.repeat(self.language, len(self.sources)),
            "entry": pa.array(self.sources, pa.string()),
            "sources": pa.array(kinds.values(), SCHEMA.field("sources").type).take(owners),
            "score": pa.array(self.scores.values(), pa.float64()),
        }
        return pa.table(columns)

    def by_source(self) -> dict[str, int]:
        """Return how many entries each source owns."""
        return dict(Counter(names[0] for names in self.sources.values()))


def merge(
    language: str, sources: Iterable[Source], rules: str = "unicode", longest: int = MetadataConfig.longest_entry
) -> Merged:
    """Return the entries of a language, at most `longest` characters each, in the form in which the rules find them.

    >>> merge("en", [Source("wordnet", ["dog", "l’été"]), Source("titles", ["dog", "..."], [70, 80])]).sources
    {'dog': ['wordnet', 'titles'], "l'été": ['wordnet']}
    """
    form, merged = _FORMS[rules], Merged(language)
    owners, scores = merged.sources, merged.scores
    for source in sources:
        own = [source.name]  # of all entries that it alone has
        for written, score in source.rows():
            entry = written
            if not is_plain(written) or len(written) > longest:
                entry = form(written)
                if reason := _refusal(entry, rules, longest):
                    merged.dropped.setdefault(reason, []).append(written)
                    continue
            names = owners.setdefault(entry, own)
            scores.setdefault(entry, score)
            if names is not own and source.name not in names:
                owners[entry] = [*names, source.name]
    return merged


def _unicode_form(entry: str) -> str:
    return " ".join(normalise(entry).split())


def _refusal(entry: str, rules: str, longest: int) -> str | None:
    """Return why a string is no entry, or None if it is one."""
    if not entry:
        return "empty"
    if len(entry) > longest:
        return "too_long"
    if all(unicodedata.category(character)[0] == "P" for character in entry):
        return "punctuation"
    return None if _MATCHABLE[rules](entry) else "never_matches"


def _has_symbols(entry: str) -> bool:
    return any(map(str.isalnum, entry)) or bool(symbols(entry))  # no letter or digit separates symbols


def _fits_padded_text(entry: str) -> bool:
    return meta_can_match(meta_entry(entry))


# By rules: the form in which an entry is found, and whether one can be found at all.
_FORMS: dict[str, Callable[[str], str]] = {"unicode": _unicode_form, "meta": str.strip}
_MATCHABLE: dict[str, Callable[[str], bool]] = {"unicode": _has_symbols, "meta": _fits_padded_text}
