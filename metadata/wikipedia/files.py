"""Find the files of Wikipedias, and the Wikipedia of each: dumps (XML), Cirrus search dumps (JSON), tables (Parquet).

The argument decides, else the path, else a table's column, else the content of the file (a dump's head, a table's
URLs). Heads come last because pages exported by hand, as Special:Export does, carry the head of whoever made the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from metadata.languages import of_wikipedia
from metadata.wikipedia import multistream
from metadata.wikipedia.contents import look, refuse_project
from metadata.wikipedia.forms import one_form
from metadata.wikipedia.multistream import Span
from metadata.wikipedia.names import code_in_path, is_sought, kind_of, known, project_in_path
from runtime.errors import InputError
from runtime.storage.listing import expand

_EXPECTED = "a Wikipedia is a dump (.xml, also .bz2, .gz or .xz), a Cirrus search dump (.json.gz) or Parquet"


@dataclass(frozen=True)
class WikipediaFile:
    """A file and the Wikipedia whose pages are read from it; a table of two Wikipedias is two of these."""

    path: str
    kind: str  # xml, cirrus or parquet
    wikipedia: str  # its code, as in languages.csv
    conflict: bool = False  # path, head or argument name different Wikipedias
    column: str | None = None  # of a table: only rows that say `wikipedia` here are read
    namespaces: tuple[tuple[int, str], ...] = ()  # numbers and names, from a dump's head
    span: Span | None = None  # of a multistream dump: the part of the file that is read


def find(paths: Iterable[str], language: str | None = None) -> list[WikipediaFile]:
    """Return the files that `paths` are or hold, each once; with `language`, all are of that Wikipedia.

    A long multistream dump with its index is one of these for each of its spans. All that is no Wikipedia is refused
    together.
    """
    if language is not None:
        of_wikipedia(language)
    described: list[WikipediaFile] = []
    faults: dict[str, str] = {}
    for file in one_form(_files(map(str, paths), faults)):
        try:
            described += _described(file, language)
        except InputError as error:
            faults[file] = str(error)
    if faults:
        raise InputError(_sentence(faults))
    return [part for file in described for part in _in_spans(file)]


def _sentence(faults: dict[str, str]) -> str:
    """Return a sentence that names every file, those of one fault together."""
    by_fault: dict[str, list[str]] = {}
    for path, fault in faults.items():
        by_fault.setdefault(fault, []).append(path)
    named = "; ".join(f"{', '.join(paths)} ({fault})" for fault, paths in by_fault.items())
    return f"cannot be read as a Wikipedia: {named}; {_EXPECTED}"


def _files(paths: Iterable[str], faults: dict[str, str]) -> dict[str, int]:
    """Return the files that `paths` are or hold, with their bytes; a path that holds none is one of the faults."""
    files: dict[str, int] = {}
    indexes = []
    for path in paths:
        try:
            found = expand(path)
        except (ValueError, ImportError, OSError) as error:
            faults[path] = f"it cannot be opened: {error}"
            continue
        if not (found and found.files):
            faults[path] = "no file or folder is there, or an empty one"
        elif found.is_file and multistream.is_index(path):
            indexes.append(path)  # as `dumps/*` means them, too
        elif sought := [(name, version.size or 0) for name, version in found.files if found.is_file or is_sought(name)]:
            files.update(sorted(sought))
        else:
            faults[path] = "it holds no dump"
    if indexes and not files:
        faults.update({path: "the index of a multistream dump: give the dump, too" for path in indexes})
    return files


def _described(path: str, language: str | None) -> Iterator[WikipediaFile]:
    kind = kind_of(path)
    if kind is None:
        raise InputError("of no known kind")
    refuse_project(project_in_path(path))
    content = look(path, kind)
    named = known(language or "") or code_in_path(path)
    if named is None and content.column:
        for code in content.codes:
            yield WikipediaFile(path, kind, code, column=content.column)
        return
    candidates = (known(language or ""), code_in_path(path), content.wikipedia, *content.codes)
    wikipedia = named or content.wikipedia
    if wikipedia is None:
        raise InputError("of an unknown Wikipedia: give --wikipedia-code, such as --wikipedia-code en")
    yield WikipediaFile(path, kind, wikipedia, len({*candidates} - {None}) > 1, namespaces=content.namespaces)


def _in_spans(file: WikipediaFile) -> list[WikipediaFile]:
    """Return the file once for each of its spans; once, where it is read as a whole."""
    spans = multistream.spans(file.path) if file.kind == "xml" else []
    return [replace(file, span=span) for span in spans] or [file]
