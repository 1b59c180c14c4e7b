"""One build: the files of each language, what its sources gave, and how they become the metadata.

Spark's part is in `stages`; here is what the driver does with what they wrote.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import fsspec
import pyarrow as pa

from metadata.config import ENGLISH, MetadataConfig
from metadata.entries import Entries
from metadata.languages import LANGUAGES, language, of_wikipedia
from metadata.merge import NUMBERS, Merged, Source, merge
from metadata.wikipedia import articles
from metadata.wikipedia.files import WikipediaFile
from metadata.wordnet import formats
from metadata.wordnet.formats import WordnetFile
from metadata.words.segment import ICU_VERSION
from runtime.errors import InputError
from runtime.storage.parquet import read_table
from runtime.storage.whole import Parts

SOURCES = ("list", "numbers", "wordnet", "unigrams", "bigrams", "titles")
VERSION = 1  # of the parts; another one is counted anew
LISTED = 100  # dropped entries of one language and reason that metadata.json lists; it counts all


@dataclass(frozen=True)
class Build:
    """What is built from which files; `lists` are entries that come instead of a language's sources."""

    config: MetadataConfig
    rules: str
    wordnets: list[WordnetFile]
    wikipedias: list[WikipediaFile]
    pageviews: list[str]
    lists: dict[str, list[str]]
    wanted: list[str] | None  # language codes; None: all that have a source
    parts: Parts

    @cached_property
    def languages(self) -> list[str]:
        """The languages to build, in the fixed order; with page views alone that is every one that is wanted."""
        with_source = {file.language.code for file in self.wordnets} | set(self.lists)
        with_source |= {of_wikipedia(file.wikipedia).code for file in self.wikipedias}
        if self.pageviews:
            with_source |= {language.code for language in LANGUAGES if language.wikipedia}
        if self.wanted is not None:
            with_source &= set(self.wanted)
        return [language.code for language in LANGUAGES if language.code in with_source]

    @cached_property
    def counted(self) -> list[str]:
        """The languages whose words and pairs are counted."""
        return [code for code in self.languages if code not in self.lists and self.wikipedias_of(code)]

    def wikipedias_of(self, code: str) -> list[WikipediaFile]:
        """Return the files of the Wikipedias that are merged into a language."""
        return [file for file in self.wikipedias if of_wikipedia(file.wikipedia).code == code]

    @cached_property
    def namespaces(self) -> dict[str, list[str]]:
        """The namespaces of each Wikipedia that the heads of its files tell; perhaps only one of them has a head."""
        found = defaultdict(set)
        for file in self.wikipedias:
            found[file.wikipedia].update(articles.namespaces(file))
        return {code: sorted(names) for code, names in sorted(found.items()) if names}

    def ngrams_made_from(self, code: str) -> dict:
        """Return what the n-grams of a language depend on."""
        files = [_identity(file.path) for file in self.wikipedias_of(code)]
        config = {name: value for name, value in asdict(self.config).items() if "title" not in name}
        return {"version": VERSION, "files": sorted(files), "icu": ICU_VERSION, "config": config}

    def titles_made_from(self) -> dict:
        """Return what the titles depend on."""
        files = [_identity(path) for path in self.pageviews]
        known = {"languages": self.languages, "namespaces": self.namespaces}
        config = {name: value for name, value in asdict(self.config).items() if "title" in name or "longest" in name}
        return {"version": VERSION, "files": sorted(files), **known, "config": config}

    def is_there(self, part: str, made_from: dict) -> bool:
        """Return whether a part is whole and made from just that."""
        stamp = self.parts.stamp(part)
        return stamp is not None and stamp["made_from"] == json.loads(json.dumps(made_from))

    def sources_of(self, code: str, tally: Counter) -> list[Source]:
        """Return what there is for a language, the first owner first."""
        if code in self.lists:
            return [Source("list", self.lists[code])]
        own = [file for file in self.wordnets if file.language.code == code]
        # Sorted, as the files of a language come in any order.
        lemmas = sorted({lemma for file in own for lemma in formats.lemmas(file, tally, names_only=code == ENGLISH)})
        files = {}
        if code in self.counted:
            files |= {name: self.parts.place / "ngrams" / code / f"{name}.parquet" for name in ("unigrams", "bigrams")}
        if self.pageviews:
            files["titles"] = self.parts.place / "titles" / f"{code}.parquet"
        chosen = [_chosen(name, path) for name, path in files.items() if path.exists()]
        return [Source("numbers", NUMBERS), Source("wordnet", lemmas), *chosen]

    def merged(self) -> tuple[Entries, dict]:
        """Return the entries of all languages, and what metadata.json says of them."""
        tally: Counter = Counter()
        sources = {code: self.sources_of(code, tally) for code in self.languages}
        merged = [merge(code, of, self.rules, self.config.longest_entry) for code, of in sources.items()]
        merged = [each for each in merged if set(each.by_source()) - {"numbers"}]
        if not merged:
            raise InputError(
                "no source brought an entry; give --wordnet, --wikipedia, --pageviews or --entries with some"
            )
        entries = Entries.of_table(pa.concat_tables(each.table() for each in merged))
        return entries, self._facts(merged, tally)

    def _facts(self, merged: list[Merged], tally: Counter) -> dict:
        return {
            "rules": self.rules,
            "parameters": asdict(self.config),
            "sources": {each.language: each.by_source() for each in merged},
            "missing": sorted(set(self.wanted or []) - {each.language for each in merged}),
            "dropped": {each.language: _listed(each.dropped) for each in merged if each.dropped},
            "wordnet": dict(sorted(tally.items())),
            "wikipedia": {code: self._tally(f"ngrams/{code}") for code in self.counted},
            "pageviews": self._tally("titles") if self.pageviews else {},
            "inputs": {
                "wordnet": sorted(file.path for file in self.wordnets),
                "wikipedia": sorted(file.path for file in self.wikipedias),
                "pageviews": sorted(self.pageviews),
                "lists": sorted(self.lists),
            },
            "versions": {"icu": ICU_VERSION},
        }

    def _tally(self, part: str) -> dict[str, int]:
        """Return what was read for a part, and what was dropped of it and why."""
        rows = self.parts.stamp(part)["tallies"]
        return {row["name"]: int(row["value"]) for row in rows if row["language"] is None}


def pageview_files(paths: Iterable[str]) -> list[str]:
    """Return the page-view files that paths, folders and globs stand for, in order; what is missing is refused."""
    found = [file for path in paths for file in _files(path)]
    return sorted(set(found))


def _files(path: str) -> list[str]:
    filesystem, inner = fsspec.url_to_fs(path)
    pattern = f"{inner.rstrip('/')}/**" if filesystem.isdir(inner) else inner
    files = [file for file in filesystem.glob(pattern) if filesystem.isfile(file) and not file.endswith(".partial")]
    if not files:
        raise InputError(f"there are no page views at {path}; give files, folders or globs of them")
    return [filesystem.unstrip_protocol(file) if "://" in path else file for file in files]


def table(facts: dict) -> str:
    """Return the entries of each language by source as lines for a person, given what metadata.json says."""
    names = [name for name in SOURCES if any(name in of for of in facts["sources"].values())]
    total = {code: sum(of.values()) for code, of in facts["sources"].items()}
    rows = [["language", "entries", *names]]
    for code in sorted(total, key=lambda code: (-total[code], code)):
        of = facts["sources"][code]
        rows.append(
            [f"{language(code).name} ({code})", f"{total[code]:,}", *(f"{of.get(name, 0):,}" for name in names)]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    missing = [f"no source has entries of {language(code).name} ({code})" for code in facts["missing"]]
    return "\n".join(["  ".join(line) for line in lines] + missing)


def _identity(path: str) -> list:
    """Return path, size and time of a file: enough to know it again."""
    filesystem, inner = fsspec.url_to_fs(path)
    facts = filesystem.info(inner)
    return [path, facts["size"], str(facts.get("mtime") or facts.get("LastModified") or facts.get("ETag"))]


def _chosen(name: str, path: Path) -> Source:
    table = read_table(path)
    return Source(name, table["entry"].to_pylist(), table["score"].to_pylist())


def _listed(dropped: dict[str, list[str]]) -> dict:
    return {reason: {"count": len(entries), "first": entries[:LISTED]} for reason, entries in dropped.items()}
