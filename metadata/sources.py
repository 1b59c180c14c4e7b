"""Find the files and lists from which entries are made, and describe these sources in a recipe.

The recipe is a part of metadata.json: it has each file's name, size and SHA-256, and the versions of the programs that
read the files. With it two labs can check that they have the same sources, and build the same entries.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from itertools import chain
from posixpath import basename
from typing import Any

import fsspec

from metadata import frequency_lists
from metadata import wordnet as wordnet_files
from metadata.frequency_lists import WORDFREQ, FrequencyList
from metadata.languages import LANGUAGES, language, of_wikipedia
from metadata.wikipedia import articles
from metadata.wikipedia import dump_files as files
from metadata.wikipedia import pageviews as views
from metadata.wikipedia.dump_files import WikipediaFile
from metadata.wordnet import WordnetFile
from metadata.words import ICU_VERSION
from runtime.argument_types import require_several, typed
from runtime.errors import InputError
from runtime.packages import PROJECT, __version__
from runtime.redaction import with_secrets
from runtime.storage.json_files import content_of
from runtime.storage.listing import without_query
from runtime.storage.paths import as_path, reachable, read_bytes

MAX_HASHED_BYTES = 1 << 26  # A recipe states the SHA-256 of files up to this size; reading a dump again takes long.
PAGEVIEWS, FREQUENCIES = "pageviews", "frequencies"
_DAY = re.compile(r"(?<!\d)(20\d\d)-?(\d\d)-?(\d\d)(?!\d)")
_MEMBERS = ("name", "sha256", "sha256_of", "rules", "parameters")  # members of metadata.json to follow a recipe


@typed
@dataclass(frozen=True)
class Sources:
    """The source files of a build, and the lists of entries that replace all other sources of some languages."""

    wordnets: Sequence[WordnetFile] = ()
    wikipedias: Sequence[WikipediaFile] = ()
    pageviews: Sequence[str] = ()
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by language code
    chosen_codes: Sequence[str] | None = None  # language codes; None: all languages that have a source
    frequencies: Sequence[FrequencyList] = ()

    @classmethod
    def find(
        cls,
        *,
        wordnet: Iterable[str] = (),
        wikipedia: Iterable[str] = (),
        pageviews: Iterable[str] = (),
        frequencies: Iterable[str] = (),
        lists: Mapping[str, Sequence[str]] | None = None,
        languages: Sequence[str] | None = None,
        wikipedia_code: str | None = None,
    ) -> Sources:
        """Return the sources in files, folders, globs or URLs; InputError for a missing file or another kind of file.

        `wikipedia_code` is the Wikipedia of all dumps, needed if neither a dump's path nor its header names one.
        """
        paths = wordnet, wikipedia, pageviews, frequencies
        for name, values in zip(("wordnet", "wikipedia", PAGEVIEWS, FREQUENCIES), paths, strict=True):
            require_several(name, values)
        return cls(
            wordnets=wordnet_files.find(wordnet),
            wikipedias=files.find(wikipedia, wikipedia_code),
            pageviews=views.find(pageviews),
            frequencies=frequency_lists.find(frequencies),
            lists=lists or {},
            chosen_codes=languages,
        )

    def __post_init__(self) -> None:
        for code, strings in self.lists.items():
            require_several(f"entries of {code}", strings)
        for code in self.chosen_codes or ():
            language(code)

    @cached_property
    def languages(self) -> list[str]:
        """The codes of the languages to build, in the order of languages.csv.

        They are the wanted languages with a source. Page views are a source of every language with a Wikipedia.
        """
        with_source = {file.language.code for file in self.wordnets} | set(self.lists)
        with_source |= {frequency.language.code for frequency in self.frequencies}
        with_source |= {of_wikipedia(file.wikipedia).code for file in self.wikipedias}
        if self.pageviews:
            with_source |= {language.code for language in LANGUAGES if language.wikipedia}
        if self.chosen_codes is not None:
            with_source &= set(self.chosen_codes)
        return [language.code for language in LANGUAGES if language.code in with_source]

    @cached_property
    def counted(self) -> list[str]:
        """The codes of the languages whose words and pairs are counted: with a Wikipedia and no list of entries."""
        return [code for code in self.languages if code not in self.lists and self.wikipedias_of(code)]

    @property
    def is_starter(self) -> bool:
        """Whether there are frequency lists, and neither Wikipedia files nor page views."""
        return bool(self.frequencies) and not (self.wikipedias or self.pageviews)

    def licences(self) -> dict[str, str]:
        """Return the licence of each frequency list and wordnet that states one, by the source's name."""
        lists = {frequency.source: frequency.licence for frequency in self.frequencies if frequency.licence}
        return lists | wordnet_files.licences(self.wordnets)

    def versions(self) -> dict[str, str]:
        """Return the version of each installed package that brings frequency lists or wordnets, by package name."""
        sources = {frequency.source for frequency in self.frequencies}
        of_wordfreq = {WORDFREQ: version(WORDFREQ)} if WORDFREQ in sources else {}
        return of_wordfreq | wordnet_files.package_versions(file.path for file in self.wordnets)

    def wikipedias_of(self, code: str) -> list[WikipediaFile]:
        """Return the files of the Wikipedias that are merged into the language `code`."""
        return [file for file in self.wikipedias if of_wikipedia(file.wikipedia).code == code]

    @cached_property
    def namespaces(self) -> dict[str, list[str]]:
        """The names of namespaces by Wikipedia code, from the headers of all dumps of a Wikipedia together."""
        names_of_wiki = defaultdict(set)
        for file in self.wikipedias:
            names_of_wiki[file.wikipedia].update(articles.namespaces(file))
        return {code: sorted(names) for code, names in sorted(names_of_wiki.items()) if names}

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """The recipe of these sources, a member of metadata.json; files are sorted by name, not by path."""
        # `inputs` names the package wordfreq once; a recipe lists each of its files.
        files = inputs(self) | {FREQUENCIES: [frequency.path for frequency in self.frequencies]}
        described = {kind: _described(paths) for kind, paths in files.items()}
        lists = sorted(self.lists.items())
        described["lists"] = [{"name": code, "sha256": _of_list(strings)} for code, strings in lists]
        return {
            "date": max(chain.from_iterable(map(_days_of, described.values())), default=None),
            "days": sorted(_days_of(described[PAGEVIEWS])),
            "languages": None if self.chosen_codes is None else sorted(self.chosen_codes),
            "sources": described,
            "made_with": {PROJECT: __version__, "icu": ICU_VERSION, "unicode": unicodedata.unidata_version},
        }


def inputs(sources: Sources) -> dict[str, list[str]]:
    """Return the sorted paths of the source files of each kind; the kinds are named as their flags are."""
    return {
        "wordnet": sorted(file.path for file in sources.wordnets),
        "wikipedia": sorted({file.path for file in sources.wikipedias}),
        PAGEVIEWS: sorted(sources.pageviews),
        FREQUENCIES: sorted({frequency.source for frequency in sources.frequencies}),
    }


def _days_of(files: Iterable[dict[str, Any]]) -> set[str]:
    """Return the valid dates in the names of described files."""
    return {*chain.from_iterable(days(file["name"]) for file in files)}


def days(name: str) -> list[str]:
    """Return the valid dates in the name of a file, as YYYY-MM-DD.

    >>> days("dewiki-20251101-pages-articles.xml.bz2"), days("pageviews-20240229-130000.gz"), days("a-20259999.gz")
    (['2025-11-01'], ['2024-02-29'], [])
    """
    return [*filter(None, map(_day, _DAY.findall(name)))]


def _day(numbers: Iterable[str]) -> str | None:
    """Return the date with these numbers of year, month and day, or None if there is no such date."""
    try:
        return date(*map(int, numbers)).isoformat()
    except ValueError:
        return None


def _described(paths: Iterable[str]) -> list[dict[str, Any]]:
    """Return a dictionary for each file with `name`, `bytes` and, if it is small, `sha256`, sorted by these values.

    An archive counts as one file, however many of its members are read.
    """
    files = {path.rpartition("::")[2] for path in paths}
    described = [_file(path) for path in files]
    return sorted(described, key=lambda file: (file["name"], file["bytes"] or 0, file.get("sha256", "")))


def _file(path: str) -> dict[str, Any]:
    system, inner = fsspec.url_to_fs(with_secrets(path))
    name = basename(without_query(path))
    facts = {"name": name, "bytes": system.size(inner)}
    if facts["bytes"] is None or facts["bytes"] > MAX_HASHED_BYTES:  # Not every server states sizes.
        return facts
    with system.open(inner, "rb") as file:
        return facts | {"sha256": sha256(file.read()).hexdigest()}


def _of_list(entries: Sequence[str]) -> str:
    return sha256("".join(f"{entry}\n" for entry in entries).encode()).hexdigest()


def read_recipe(path: str) -> dict[str, Any]:
    """Return the members of a metadata.json by which `--recipe` builds the same metadata again.

    InputError if a member is missing.
    """
    try:
        with reachable(as_path(path)):
            facts = content_of(read_bytes(as_path(path)))
        members = {name: facts[name] for name in _MEMBERS}
        members["recipe"] = {name: facts["recipe"][name] for name in ("languages", "sources", "made_with")}
        members["inputs"] = {kind: facts["inputs"].get(kind, []) for kind in members["recipe"]["sources"]}
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, KeyError):
            reason = f"it has no {error}"
        elif isinstance(error, ValueError | TypeError):
            reason = "it is not JSON" if isinstance(error, ValueError) else "its JSON has another structure"
        raise InputError(
            f"{path} does not hold a recipe ({reason}); specify the metadata.json of a folder of clip-metadata"
        ) from None
    return members


def require_sources(original: dict[str, Any], recipe: dict[str, Any], name: str) -> None:
    """Raise InputError, which names the first difference, if `recipe` has other sources than `original`.

    `name` is the name of the metadata that `original` describes.
    """
    for kind in dict.fromkeys([*original["sources"], *recipe["sources"]]):
        expected, actual = (one["sources"].get(kind, []) for one in (original, recipe))
        lacking = [file for file in expected if file not in actual]
        more = [file for file in actual if file not in expected]
        for file in lacking:
            other = next((candidate for candidate in more if candidate["name"] == file["name"]), None)
            given = f"your file has {_marks(other)}" if other else "your sources lack this file"
            raise InputError(f"{name} was built from {kind} {file['name']} with {_marks(file)}, but {given}")
        if more or len(actual) != len(expected):
            raise InputError(f"{name} was built without {kind} {(more or actual)[-1]['name']}; leave this file out")


def require_entries(original: dict[str, Any], facts: dict[str, Any]) -> None:
    """Raise InputError, which names the languages that differ, if a build's entries differ from its recipe's entries.

    `original` is the metadata.json of the recipe, `facts` the metadata.json of the build.
    """
    if original["sha256"] == facts["sha256"]:
        return
    codes = sorted({code for code, _ in original["sha256_of"].items() ^ facts["sha256_of"].items()})
    ours = facts["recipe"]["made_with"]
    theirs = original["recipe"]["made_with"]
    other = ", ".join(
        f"{name} {theirs.get(name)} instead of {ours[name]}" for name in ours if theirs.get(name) != ours[name]
    )
    raise InputError(
        f"the entries of {', '.join(codes)} differ from {original['name']}, although the sources are the same; "
        f"{original['name']} was made with "
        f"{other or 'the same versions'}"
    )


def _marks(file: dict[str, Any]) -> str:
    size = f"{file['bytes'] or 0:,} bytes" if "bytes" in file else "a list"
    return f"{size} and SHA-256 {file['sha256'][:16]}…" if "sha256" in file else size
