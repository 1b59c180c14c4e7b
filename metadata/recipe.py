"""The recipe of metadata: which files they were built from, by name, size and SHA-256, with what, and under which name.

metadata.json holds it. Two labs that have the same sources can say so, and build the same entries.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import sha256
from posixpath import basename
from typing import Any

import fsspec

from metadata.sources import Sources
from metadata.words.segment import ICU_VERSION
from runtime.errors import InputError
from runtime.packages import PROJECT, __version__
from runtime.redaction import with_secrets
from runtime.storage.paths import as_path, reachable, read_bytes
from runtime.storage.whole import content_of

HASHED = 1 << 26  # bytes of a file of which the SHA-256 is stated; to read a dump again takes long
PAGEVIEWS, FREQUENCIES = "pageviews", "frequencies"
_DAY = re.compile(r"(?<!\d)(20\d\d)-?(\d\d)-?(\d\d)(?!\d)")
_PIECE = 1 << 20
_MEMBERS = ("name", "sha256", "sha256_of", "rules", "parameters")  # of metadata.json, which a recipe needs


def inputs(sources: Sources) -> dict[str, list[str]]:
    """Return the paths of each kind of source, by the flag that takes it."""
    return {
        "wordnet": sorted(file.path for file in sources.wordnets),
        "wikipedia": sorted({file.path for file in sources.wikipedias}),
        PAGEVIEWS: sorted(sources.pageviews),
        FREQUENCIES: sorted({each.source for each in sources.frequencies}),
    }


def recipe(sources: Sources) -> dict[str, Any]:
    """Return what metadata.json says of the sources of a build: their files, in an order that no path decides."""
    files = inputs(sources) | {FREQUENCIES: [each.path for each in sources.frequencies]}  # a package brings several
    described = {kind: _described(paths) for kind, paths in files.items()}
    lists = sorted(sources.lists.items())
    described["lists"] = [{"name": code, "sha256": _of_list(strings)} for code, strings in lists]
    names = [file["name"] for files in described.values() for file in files]
    return {
        "date": max((day for name in names for day in days(name)), default=None),
        "days": sorted({day for file in described[PAGEVIEWS] for day in days(file["name"])}),
        "languages": None if sources.wanted is None else sorted(sources.wanted),
        "sources": described,
        "made_with": {PROJECT: __version__, "icu": ICU_VERSION, "unicode": unicodedata.unidata_version},
    }


def days(name: str) -> list[str]:
    """Return the days in the name of a file.

    >>> days("dewiki-20251101-pages-articles.xml.bz2"), days("pageviews-20240229-130000.gz"), days("a-20259999.gz")
    (['2025-11-01'], ['2024-02-29'], [])
    """
    return [found for numbers in _DAY.findall(name) if (found := _day(*map(int, numbers)))]


def _day(*numbers: int) -> str | None:
    try:
        return date(*numbers).isoformat()
    except ValueError:
        return None


def _described(paths: Iterable[str]) -> list[dict[str, Any]]:
    """Return name, size and digest of each file; an archive is one file."""
    described = [_file(path) for path in {path.rpartition("::")[2] for path in paths}]
    return sorted(described, key=lambda file: (file["name"], file["bytes"] or 0, file.get("sha256", "")))


def _file(path: str) -> dict[str, Any]:
    system, inner = fsspec.url_to_fs(with_secrets(path))
    name = basename(path.partition("?")[0] if "://" in path else path)
    found = {"name": name, "bytes": system.size(inner)}
    if found["bytes"] is None or found["bytes"] > HASHED:  # not every server says a size
        return found
    hashed = sha256()
    with system.open(inner, "rb") as file:
        while data := file.read(_PIECE):
            hashed.update(data)
    return found | {"sha256": hashed.hexdigest()}


def _of_list(entries: Sequence[str]) -> str:
    return sha256("".join(f"{entry}\n" for entry in entries).encode()).hexdigest()


def read_recipe(path: str) -> dict[str, Any]:
    """Return the content of a metadata.json with a recipe."""
    try:
        with reachable(as_path(path)):
            facts = content_of(read_bytes(as_path(path)))
        found = {name: facts[name] for name in _MEMBERS}
        found["recipe"] = {name: facts["recipe"][name] for name in ("languages", "sources", "made_with")}
        found["inputs"] = {kind: facts["inputs"].get(kind, []) for kind in found["recipe"]["sources"]}
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no recipe ({error}); give the metadata.json of metadata") from None
    return found


def require_sources(wanted: dict[str, Any], found: dict[str, Any], name: str) -> None:
    """Refuse sources that are not those of the recipe of the metadata `name`; say which one differs first, and how."""
    for kind in dict.fromkeys([*wanted["sources"], *found["sources"]]):
        expected, given = (each["sources"].get(kind, []) for each in (wanted, found))
        lacking, more = (
            [file for file in one if file not in other] for one, other in ((expected, given), (given, expected))
        )
        for file in lacking:
            other = next((each for each in more if each["name"] == file["name"]), None)
            come = f"the one given has {_marks(other)}" if other else "it is not among those given"
            raise InputError(f"{name} was built from {kind} {file['name']} with {_marks(file)}; {come}")
        if more or len(given) != len(expected):
            raise InputError(f"{name} was built without {kind} {(more or given)[-1]['name']}; leave it out")


def require_entries(wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """Refuse entries, which were built by a recipe, that are others than it promises; say in which languages."""
    if wanted["sha256"] == found["sha256"]:
        return
    codes = sorted(
        code
        for code in wanted["sha256_of"].keys() | found["sha256_of"].keys()
        if wanted["sha256_of"].get(code) != found["sha256_of"].get(code)
    )
    ours, theirs = found["recipe"]["made_with"], wanted["recipe"]["made_with"]
    other = ", ".join(
        f"{name} {theirs.get(name)} where this is {ours[name]}" for name in ours if theirs.get(name) != ours[name]
    )
    raise InputError(
        f"the same sources gave other entries of {', '.join(codes)} than {wanted['name']} has; it was made with "
        f"{other or 'the same versions'}"
    )


def _marks(file: dict[str, Any]) -> str:
    size = f"{file['bytes'] or 0:,} bytes" if "bytes" in file else "a list"
    return f"{size} and SHA-256 {file['sha256'][:16]}…" if "sha256" in file else size
