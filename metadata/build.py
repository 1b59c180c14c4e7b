"""Record the files from which each counted part of a build was made, and merge the entries of all sources.

A part has the n-grams of one language, or all titles; tasks count the parts (`stages`). A later build reuses parts
whose files and parameters have not changed. The driver merges: the first source with an entry decides the entry's
position and score, and all sources with the entry are recorded.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa

from metadata import frequency_lists, wordnet
from metadata.config import ENGLISH, MetadataConfig
from metadata.entries import SCHEMA, write_entries
from metadata.languages import language
from metadata.rules import are_plain, meta_can_match, meta_entry, normalise, symbols
from metadata.sources import Sources, inputs
from metadata.wikipedia import articles
from metadata.words import ICU_VERSION, in_both_alphabets
from runtime.arrow import gather
from runtime.errors import AGAIN, InputError
from runtime.folders.descriptor import DESCRIPTOR, Kind
from runtime.folders.parts import Parts
from runtime.progress import advance
from runtime.redaction import with_secrets
from runtime.storage.listing import version_of
from runtime.storage.own_files import OwnFile, is_sound, own_files
from runtime.storage.parquet import read_table
from runtime.tallies import Tally, written_name

NUMBERS = tuple(str(number) for number in range(100))  # entries of every language [1]

log = logging.getLogger("metadata")

COUNTED_PART = Kind("counted entries", "clip-metadata")
PARTS_VERSION = 3  # version of the format of parts; parts of another version are counted again
ROUND_BYTES = 1 << 30  # Languages are counted together in rounds; a round ends once its dumps have this many bytes.
LISTED_DROPPED = 100  # the most dropped entries per language and reason that metadata.json lists; all are counted
NGRAMS = "ngrams"  # the folder of the parts of n-grams, one part per language
_TITLES = "titles"
# Parameters whose names contain one of these words do not affect the counts of words and pairs.
_OTHERS = re.compile("title|zipf")

Read = Mapping[str, Tally]  # kind of source → counts of things read, and of things dropped by reason


@dataclass(frozen=True)
class BuildPart:
    """A folder of counted entries; `name` is its path in the folder of all parts, `title` its name in messages.

    `made_from` describes the source files and the parameters. If `made_from` changes, the part is counted again.
    """

    name: str
    title: str
    made_from: dict


@dataclass(frozen=True)
class Build:
    """One build: its parts (the n-grams of each language, the titles of all languages) and the merge of all sources."""

    config: MetadataConfig
    sources: Sources
    parts: Parts

    def ngrams(self, code: str) -> BuildPart:
        """Return the part with the words and word pairs of the language `code`, which need not be counted yet."""
        files = self._dumps(code)
        config = {name: value for name, value in self.config.numbers().items() if not _OTHERS.search(name)}
        made_from = {"version": PARTS_VERSION, "files": files, "icu": ICU_VERSION, "config": config}
        return BuildPart(_ngrams(code), f"words of {language(code).name}", made_from)

    def rounds(self) -> list[list[str]]:
        """Return lists of codes of the languages whose n-grams are not counted yet; a list is counted together."""
        codes = [code for code in self.sources.counted if not self.has(self.ngrams(code))]
        return list(gather(codes, self.bytes_of, ROUND_BYTES))

    def bytes_of(self, code: str) -> int:
        """Return the total size, in bytes, of a language's dump files."""
        return sum(size for _, size, *_ in self._dumps(code))

    def _dumps(self, code: str) -> list[list]:
        """Return the identities (see `_identity`) of the dumps of the language `code`, sorted."""
        paths = {file.path for file in self.sources.wikipedias_of(code)}
        return sorted(map(_identity, paths))

    def article_titles(self, code: str) -> list[OwnFile]:
        """Return the files with the titles of a language's articles."""
        return [file for name, file in self._files(_ngrams(code)).items() if name.startswith("titles-")]

    def _files(self, part: str) -> dict[str, OwnFile]:
        """Return the files of a part by name; InputError if a file is missing."""
        folder = self.parts.folder / part
        checksums = self._descriptor(part).get("checksums")
        return {file.path.name: file for file in own_files(folder, checksums, f"delete {folder} and {AGAIN}")}

    def titles(self) -> BuildPart:
        """Return the part with the titles of all languages, which need not be counted yet."""
        files = sorted(_identity(path) for path in self.sources.pageviews)
        facts = {"languages": self.sources.languages, "namespaces": self.sources.namespaces, "dumps": self._articles()}
        numbers = self.config.numbers().items()
        config = {name: value for name, value in numbers if "title" in name or "longest" in name}
        return BuildPart(_TITLES, "titles", {"version": PARTS_VERSION, "files": files, **facts, "config": config})

    def _articles(self) -> dict[str, list]:
        """Return, by language, the identities of the dumps whose articles decide which titles are kept.

        For a language whose entries now come from a list, the dumps of the earlier build are returned. Without them,
        `made_from` would change, and all titles would be counted again.
        """
        before = ((self.parts.descriptor(_TITLES) or {}).get("made_from") or {}).get("dumps", {})
        kept = {code: before[code] for code in self.sources.lists if code in before}
        return {code: self._dumps(code) for code in self.sources.counted} | kept

    def has(self, part: BuildPart) -> bool:
        """Return whether a part is complete, undamaged, and made from the same files and parameters."""
        descriptor = self.parts.descriptor(part.name)
        if descriptor is None or descriptor.get("made_from") != json.loads(json.dumps(part.made_from)):
            return False
        folder = self.parts.folder / part.name
        return all(
            is_sound(OwnFile(folder / name, checksum, AGAIN))
            for name, checksum in descriptor.get("checksums", {}).items()
        )

    def sources_of(self, code: str, read: Read) -> list[EntrySource]:
        """Return one EntrySource per source of the language `code`, the source with the highest precedence first.

        Count in `read`, for each kind of source, the entries that were read and dropped.
        """
        if code in self.sources.lists:
            return [EntrySource("list", self.sources.lists[code])]
        lemmas: set[str] = set()
        for file in self.sources.wordnets:
            if file.language.code == code:
                lemmas.update(wordnet.lemmas(file, read["wordnet"], names_only=code == ENGLISH))
        files: dict[str, OwnFile | None] = {}
        if code in self.sources.counted:
            counted = self._files(_ngrams(code))
            files |= {name: counted.get(f"{name}.parquet") for name in ("unigrams", "bigrams")}
        if self.sources.pageviews:
            files["titles"] = self._files(_TITLES).get(f"{code}.parquet")
        chosen = [_chosen(name, file) for name, file in files.items() if file]
        lists, least = self.sources.frequencies, self.config.least_zipf
        frequent = [
            EntrySource("frequencies", *frequency_lists.words_of_list(listed, least, read["frequencies"]))
            for listed in lists
            if listed.language.code == code
        ]
        # Lemmas are sorted because the order of the language's files is arbitrary.
        sources = [EntrySource("wordnet", sorted(lemmas)), *chosen, *frequent]
        both = (EntrySource(source.name, *in_both_alphabets(code, source.entries, source.scores)) for source in sources)
        return [EntrySource("numbers", NUMBERS), *both]

    def write(self, output: Path, check: Callable[[], None]) -> None:
        """Write the merged entries of all languages, and metadata.json, to a folder.

        Memory holds one language at a time. `check` is called just before the files get their names, and may raise.
        """
        read: Read = {"wordnet": Tally(), "frequencies": Tally()}
        owned: dict[str, dict[str, int]] = {}
        dropped: dict[str, dict] = {}

        def facts() -> dict:
            check()
            return self._facts(owned, dropped, read)

        write_entries(output, self._merged(read, owned, dropped), facts)

    def _merged(self, read: Read, owned: dict[str, dict[str, int]], dropped: dict[str, dict]) -> Iterator[pa.Table]:
        """Yield a table of entries for each language that has some; InputError if no language has entries.

        Record by language the number of entries of each source in `owned`, and the strings that cannot be entries in
        `dropped`.
        """
        advance(total=len(self.sources.languages))
        for code in self.sources.languages:
            merged = merged_entries(code, self.sources_of(code, read), self.config.rules, self.config.longest_entry)
            by_source = merged.by_source()
            if set(by_source) - {"numbers"}:
                owned[code] = by_source
                if merged.dropped:
                    entries_by_reason = merged.dropped.items()
                    dropped[code] = {
                        reason: {"count": len(entries), "first": entries[:LISTED_DROPPED]}
                        for reason, entries in entries_by_reason
                    }
                yield merged.table()
            advance(done=1)
        if not owned:
            raise InputError(
                "none of the sources has an entry; pass other files to --wordnet, --wikipedia, --pageviews, "
                "--frequencies or --entries"
            )

    def _facts(self, owned: dict[str, dict[str, int]], dropped: dict[str, dict], read: Read) -> dict:
        sources = self.sources
        return {
            "rules": self.config.rules,
            "parameters": self.config.numbers(),
            "sources": owned,
            "missing": sorted(set(sources.chosen_codes or []) - set(owned)),
            "dropped": dropped,
            **{name: _named(tally) for name, tally in read.items()},
            "wikipedia": {
                code: articles.summed(self._tally(_ngrams(code)), self._dumps_read(code)) for code in sources.counted
            },
            "without_articles": self._without_articles(),
            "pageviews": self._tally(_TITLES) if sources.pageviews else {},
            "excerpts": self._excerpts() if sources.pageviews else [],
            "inputs": inputs(sources) | {"lists": sorted(sources.lists)},
            "recipe": sources.recipe,
            "starter": sources.is_starter,
            "licences": sources.licences(),
            "versions": {"icu": ICU_VERSION} | sources.versions(),
        }

    def _without_articles(self) -> list[str]:
        """Return the paths of the Wikipedia files in which no article was found; log them as a warning."""
        paths = list[str]()
        for code in self.sources.counted:
            paths += articles.without_articles(self._dumps_read(code))
        if paths:
            log.warning("no articles were found in %s", ", ".join(paths))
        return paths

    def _dumps_read(self, code: str) -> list[articles.Dump]:
        """Return the facts that were noted when the Wikipedia files of the language `code` were read."""
        return self._descriptor(_ngrams(code)).get("facts", {}).get(articles.DUMPS_FACT, [])

    def _tally(self, part: str) -> dict[str, int]:
        """Return those counts of a part that have no language, by written name, such as `dropped.namespace`."""
        tallies = self._tallies(part)
        return {written_name((row["name"], row["item"])): int(row["value"]) for row in tallies if not row["language"]}

    def _excerpts(self) -> list[str]:
        """Return the codes of the languages whose dumps were judged to be excerpts when titles were counted."""
        return [row["language"] for row in self._tallies(_TITLES) if row["name"] == "excerpt"]

    def _tallies(self, part: str) -> list[dict]:
        return self._descriptor(part).get("tallies", [])

    def _descriptor(self, part: str) -> dict:
        """Return the descriptor of a counted part; InputError if it is missing or damaged."""
        descriptor = self.parts.descriptor(part)
        if descriptor is None:
            raise OwnFile(self.parts.folder / part / DESCRIPTOR, None, AGAIN).damaged("it cannot be read")
        return descriptor


def _named(tally: Tally) -> dict[str, int]:
    return dict(sorted((written_name(key), number) for key, number in tally.items()))


def _ngrams(code: str) -> str:
    return f"{NGRAMS}/{code}"


def _identity(path: str) -> list:
    """Return [path, size, ETag or else modification time, ctime, inode], which identify a version of a file."""
    system, inner = fsspec.url_to_fs(with_secrets(path))
    version = version_of(system, system.info(inner))
    return [path, version.size, version.etag or version.modified, version.changed, version.inode]


def _chosen(name: str, file: OwnFile) -> EntrySource:
    table = read_table(file)
    return EntrySource(name, table["entry"].to_pylist(), table["score"].to_pylist())


@dataclass(frozen=True)
class EntrySource:
    """The entries of a language from one source, best first, and their scores (None if the source has no scores)."""

    name: str
    entries: Sequence[str]
    scores: Sequence[float] | None = None


@dataclass(frozen=True)
class Merged:
    """The merged entries of one language, and the dropped strings by reason.

    `owners` has an integer per entry, whose bits are the sources of the entry: bit i is set if source names[i] has it.
    """

    language: str
    entries: pa.Array
    scores: pa.Array
    owners: np.ndarray
    names: list[str]
    dropped: dict[str, list[str]]

    @property
    def sources(self) -> dict[str, list[str]]:
        """A dictionary from each entry to the names of its sources, in the order of entries."""
        table = self.table()
        return dict(zip(table["entry"].to_pylist(), table["sources"].to_pylist(), strict=True))

    def table(self) -> pa.Table:
        """Return a table with the columns language, entry, sources and score, in the order of entries."""
        sets, indices = np.unique(self.owners, return_inverse=True)
        lists = [self._names_of(owners) for owners in sets.tolist()]
        columns = {
            "language": pa.repeat(self.language, len(self.entries)),
            "entry": self.entries,
            "sources": pa.array(lists, SCHEMA.field("sources").type).take(pa.array(indices)),
            "score": self.scores,
        }
        return pa.table(columns)

    def _names_of(self, owners: int) -> list[str]:
        return [name for bit, name in enumerate(self.names) if owners >> bit & 1]

    def by_source(self) -> dict[str, int]:
        """Return, by the name of the source, the number of entries for which it is the first source."""
        firsts = Counter((self.owners & -self.owners).tolist())
        return {name: firsts[1 << bit] for bit, name in enumerate(self.names) if firsts[1 << bit]}


def merged_entries(
    language: str, sources: Iterable[EntrySource], rules: str = "unicode", longest: int = MetadataConfig.longest_entry
) -> Merged:
    """Return the merged entries of a language, each normalised by `rules`; strings that cannot be entries are dropped.

    An entry has at most `longest` characters.

    >>> titles = EntrySource("titles", ["dog", "..."], [70, 80])
    >>> merged_entries("en", [EntrySource("wordnet", ["dog", "l’été"]), titles]).sources
    {'dog': ['wordnet', 'titles'], "l'été": ['wordnet']}
    """
    dropped = dict[str, list[str]]()
    names = list[str]()
    entries = [pa.array([], pa.string())]
    scores = [pa.array([], pa.float64())]
    bits = [np.zeros(0, np.int64)]
    for source in sources:
        forms = _forms(source.entries, rules, longest, dropped)
        names += [source.name] * (source.name not in names)
        entries.append(pa.array(forms, pa.string()))
        scores.append(pa.array(source.scores, pa.float64()) if source.scores else pa.nulls(len(forms), pa.float64()))
        bits.append(np.full(len(forms), 1 << names.index(source.name)))
    written = pa.concat_arrays(entries)
    rows = written.is_valid().to_numpy(zero_copy_only=False).nonzero()[0]
    coded = written.drop_null().dictionary_encode()
    indices = coded.indices.to_numpy()
    first = np.empty(len(coded.dictionary), np.int64)
    first[indices[::-1]] = rows[::-1]
    owners = np.zeros(len(coded.dictionary), np.int64)
    np.bitwise_or.at(owners, indices, np.concatenate(bits)[rows])
    return Merged(
        language=language,
        entries=coded.dictionary,
        scores=pa.concat_arrays(scores).take(pa.array(first)),
        owners=owners,
        names=names,
        dropped=dropped,
    )


def _forms(written: Sequence[str], rules: str, longest: int, dropped: dict[str, list[str]]) -> list[str | None]:
    """Return each string normalised by `rules`, or None if it cannot be an entry; add refused ones to `dropped`."""
    forms: list[str | None] = [*written]
    plain = are_plain(written)
    others = [index for index, is_plain in enumerate(plain) if not is_plain or len(written[index]) > longest]
    for index, entry in zip(others, _FORMS[rules]([written[index] for index in others]), strict=True):
        if reason := _refusal(entry, rules, longest):
            dropped.setdefault(reason, []).append(written[index])
        forms[index] = None if reason else entry
    return forms


def _unicode_forms(written: Sequence[str]) -> list[str]:
    lines = normalise("\n".join(written)).split("\n")  # No character is composed with a line feed, or becomes one.
    if len(lines) != len(written):
        lines = list(map(normalise, written))
    return [" ".join(line.split()) for line in lines]


def _refusal(entry: str, rules: str, longest: int) -> str | None:
    """Return the reason why a string, after normalising, cannot be an entry, such as "too_long"; None if it can."""
    if not entry:
        return "empty"
    if len(entry) > longest:
        return "too_long"
    if all(unicodedata.category(character)[0] == "P" for character in entry):
        return "punctuation"
    return None if _MATCHABLE[rules](entry) else "never_matches"


# By rule set: _FORMS normalises strings; _MATCHABLE returns whether any text can match an entry.
_FORMS: dict[str, Callable[[Sequence[str]], list[str]]] = {
    "unicode": _unicode_forms,
    "meta": lambda written: [*map(str.strip, written)],
}
_MATCHABLE: dict[str, Callable[[str], bool]] = {
    # Each letter or digit is in a symbol.
    "unicode": lambda entry: any(map(str.isalnum, entry)) or bool(symbols(entry)),
    "meta": lambda entry: meta_can_match(meta_entry(entry)),
}
