"""Find Wikipedia files (XML dumps, Cirrus search dumps in JSON, Parquet tables), and the Wikipedia of each file.

The user's argument decides the Wikipedia, else the path, else a table's column, else the file's content (the header of
a dump, the URLs of a table). Files of Wikimedia's other projects, such as Wiktionary and Commons, are never read as a
Wikipedia: the file name and the XML header of a dump name the database (`enwiktionary`).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc

from metadata.languages import is_wikipedia, of_wikipedia
from metadata.wikipedia.dumps import CHUNK_BYTES, CutError, Span, first_source, is_index, one_form, spans, unpacked
from runtime.errors import InputError
from runtime.messages import quoted, quoted_names
from runtime.redaction import with_secrets
from runtime.storage.listing import expand
from runtime.storage.parquet import BoundedParquet

_PACKED = r"(\.(gz|bz2|xz))?"
_FORMATS = {  # the patterns of file names, by format
    "xml": re.compile(rf".+\.xml(-[^.]+)?{_PACKED}", re.IGNORECASE),
    "cirrus": re.compile(rf".+\.(json|jsonl|ndjson){_PACKED}", re.IGNORECASE),
    "parquet": re.compile(r".+\.parquet", re.IGNORECASE),
}
# Files in a dump's folder that hold no pages.
_NO_PAGES = re.compile(r"[._].*|.*-(abstract|all-titles|pages-(logging|meta)|siteinfo|stub).*")
# Cirrus search dumps of articles: enwiki-20240101-cirrussearch-content.json.gz, and since 2025
# index_name=enwiki_content/enwiki_content-20251102-00000.json.bz2. `general` holds all other pages.
_CIRRUS = re.compile(r".*cirrussearch(?!-general).*|.+_content-\d{8}-\d+\..+")
_CIRRUS_FOLDER = re.compile(r"index_name=.+_content")

_FILE_CODE = re.compile(r"([a-z][a-z_]*?)wiki(?![a-z])")  # enwiki-20240101-…, zh_min_nanwiki.xml
_FOLDER_CODE = re.compile(
    r"(?:\d{8}\.|(?:wikipedia|wiki|language|lang|index_name)=)?([a-z]+?(?:[_-][a-z]+)*?)(?:wiki(?:_content)?)?"
)

_FAMILIES = "wikibooks wikimedia wikinews wikiquote wikisource wikiversity wikivoyage wiktionary".split()
# Databases `…wiki` that do not belong to a Wikipedia.
WIKIS = (
    "advisory apiportal commons donate foundation incubator labs labtest login mediawiki meta nostalgia outreach "
    "quality sources species strategy ten test test2 testcommons testwikidata thankyou usability vote wikidata "
    "wikifunctions wikimania wikitech"
).split()
_DATABASE = rf"[a-z_]+(?:{'|'.join(_FAMILIES)})|(?:{'|'.join(WIKIS)})wiki|wikimania\d{{4}}wiki"
_NAMED = re.compile(_DATABASE)
_NAME = re.compile(rf"({_DATABASE})(?![a-z0-9])")
_FOLDER = re.compile(rf"(?:index_name=)?({_DATABASE})(?:_content|_general)?")
_SITES = "mediawiki wikibooks wikidata wikifunctions wikimedia wikinews wikiquote wikisource wikiversity wikivoyage"
_ADDRESS = re.compile(rf"//((?:[a-z0-9-]+\.)*(?:{'|'.join([*_SITES.split(), 'wiktionary'])})\.org)\b")

PAGE_COLUMNS = ("title", "text")
CODES_BATCH_ROWS = 1 << 16  # rows of the batches from which the languages of a table are collected
# The first of these columns that a table has names the Wikipedia of each row.
LANGUAGE_COLUMNS = ("wikipedia", "wiki", "language", "lang")

_DBNAME = re.compile(r"<dbname>\s*([a-z0-9_]+)\s*</dbname>")
_BASE = re.compile(r"<base>([^<]*)</base>")
_HOST = re.compile(r"//([a-z-]+)\.(?:m\.)?wikipedia\.org\b")
_NAMESPACE = re.compile(r'<namespace\b[^>]*\bkey="(-?\d+)"[^>]*>([^<]+)</namespace>')
EXPECTED_FORMATS = "a Wikipedia is a dump (.xml, also .bz2, .gz or .xz), a Cirrus search dump (.json.gz) or Parquet"


def format_of(path: str) -> str | None:
    """Return the format of a file by its name: xml, cirrus or parquet, or None."""
    name = PurePosixPath(path).name
    return next((format for format, pattern in _FORMATS.items() if pattern.fullmatch(name)), None)


def is_sought(path: str) -> bool:
    """Return whether the name of a file in a folder says to read it; JSON is read only if a Cirrus dump of articles."""
    pure = PurePosixPath(path)
    format = format_of(path)
    if format is None or _NO_PAGES.fullmatch(pure.name):
        return False
    return format != "cirrus" or bool(_CIRRUS.fullmatch(pure.name) or _CIRRUS_FOLDER.fullmatch(pure.parent.name))


def code_in_path(path: str) -> str | None:
    """Return the Wikipedia code in the name of a file, or else in the name of its folder; None if there is none.

    >>> code_in_path("dumps/enwiki-latest-pages-articles.xml.bz2"), code_in_path("20231101.zh-yue/train.parquet")
    ('en', 'zh_yue')
    """
    pure = PurePosixPath(path.replace("\\", "/"))
    matches = filter(None, (_FILE_CODE.match(pure.name), _FOLDER_CODE.fullmatch(pure.parent.name)))
    codes = (listed_code(match[1]) for match in matches)
    return next(filter(None, codes), None)


def project_in_path(path: str) -> str | None:
    """Return the database of a Wikimedia project other than Wikipedia that a path names; None if it names none.

    The project is in the name of the file, or of one of the two folders above it. If the file's name has the code of a
    Wikipedia, the result is None.

    >>> project_in_path("en/enwiktionary-latest.xml"), project_in_path("commonswiki/enwiki-latest.xml")
    ('enwiktionary', None)
    """
    pure = PurePosixPath(path.replace("\\", "/"))
    by_name = _FILE_CODE.match(pure.name)
    if by_name and listed_code(by_name[1]):
        return None
    by_folder = (_FOLDER.fullmatch(folder.name) for folder in list(pure.parents)[:2])
    matches = (_NAME.match(pure.name.lower()), *by_folder)
    return next((match[1] for match in matches if match), None)


def listed_code(code: str) -> str | None:
    """Return a Wikipedia's code as languages.csv spells it; None if the table does not have the code."""
    return code.replace("-", "_") if is_wikipedia(code) else None


def is_other_project(database: str) -> bool:
    """Return whether a database belongs to another Wikimedia project than Wikipedia.

    >>> is_other_project("enwiktionary"), is_other_project("commonswiki"), is_other_project("enwiki")
    (True, True, False)
    """
    return _NAMED.fullmatch(database) is not None


def project_in_address(address: str) -> str | None:
    """Return the host in an address if it belongs to another Wikimedia project, else None.

    >>> project_in_address("https://en.wiktionary.org/wiki/dog"), project_in_address("https://en.wikipedia.org/wiki/Dog")
    ('en.wiktionary.org', None)
    """
    match = _ADDRESS.search(address)
    return match[1] if match else None


@dataclass(frozen=True)
class WikipediaFile:
    """A file to read, or a span of it, as pages of one Wikipedia; a table of two Wikipedias gives two such objects."""

    path: str
    format: str  # xml, cirrus or parquet
    wikipedia: str  # its code, as in languages.csv
    conflict: bool = False  # whether path, head and argument name different Wikipedias
    column: str | None = None  # If set, only the rows of a table are read that have `wikipedia` in this column.
    namespaces: tuple[tuple[int, str], ...] = ()  # numbers and names, from a dump's head
    span: Span | None = None  # the part of a multistream dump that is read


@dataclass(frozen=True)
class _Content:
    """The Wikipedia that a file's content states, its namespaces and, for a table, the column of Wikipedia codes."""

    wikipedia: str | None = None
    namespaces: tuple[tuple[int, str], ...] = ()  # numbers and names, from a dump's head
    column: str | None = None
    codes: tuple[str, ...] = ()  # the values in that column


def find(paths: Iterable[str], language: str | None = None) -> list[WikipediaFile]:
    """Return the Wikipedia files at `paths` (files, folders, globs, URLs); of a dump in several forms, only the best.

    `language` is the Wikipedia code of all files, if given. A long multistream dump with its index gives one object for
    each span. The InputError for faulty files names all of them together.
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
    return [*chain.from_iterable(map(_in_spans, described))]


def _in_spans(file: WikipediaFile) -> list[WikipediaFile]:
    """Return one object for each span of a file, or the file itself if it has no spans."""
    of_file = spans(file.path) if file.format == "xml" else []
    return [replace(file, span=span) for span in of_file] or [file]


def _sentence(faults: dict[str, str]) -> str:
    """Return the message of a refusal that names every file, grouped by fault; `faults` maps path to fault."""
    by_fault: dict[str, list[str]] = {}
    for path, fault in faults.items():
        by_fault.setdefault(fault, []).append(path)
    named = "; ".join(f"{', '.join(paths)} ({fault})" for fault, paths in by_fault.items())
    return f"some paths cannot be read as a Wikipedia: {named}; {EXPECTED_FORMATS}"


def _files(paths: Iterable[str], faults: dict[str, str]) -> dict[str, int]:
    """Return the size in bytes of each Wikipedia file at `paths`, by path.

    Paths without such a file are added to `faults`, each with the reason.
    """
    files: dict[str, int] = {}
    indexes = []
    for path in paths:
        try:
            contents = expand(path)
        except (ValueError, ImportError, OSError) as error:
            faults[path] = f"it cannot be opened: {error}"
            continue
        if not (contents and contents.files):
            faults[path] = "it does not exist, or is an empty folder"
        elif contents.is_file and is_index(path):
            indexes.append(path)  # A shell also expands `dumps/*` to indexes.
        elif sought := [
            (name, version.size or 0) for name, version in contents.files if contents.is_file or is_sought(name)
        ]:
            files.update(sorted(sought))
        else:
            faults[path] = "it does not hold a dump"
    if indexes and not files:
        faults.update({path: "it is the index of a multistream dump: also pass the dump" for path in indexes})
    return files


def _described(path: str, language: str | None) -> Iterator[WikipediaFile]:
    format = format_of(path)
    if format is None:
        raise InputError("its name does not end as a known format does")
    _refuse_project(project_in_path(path))
    content = _LOOKS[format](path)
    named = listed_code(language or "") or code_in_path(path)
    if named is None and content.column:
        for code in content.codes:
            yield WikipediaFile(path, format, code, column=content.column)
        return
    candidates = (listed_code(language or ""), code_in_path(path), content.wikipedia, *content.codes)
    wikipedia = named or content.wikipedia
    if wikipedia is None:
        raise InputError("its Wikipedia is not known: pass its code to --wikipedia-code, such as en")
    yield WikipediaFile(path, format, wikipedia, len({*candidates} - {None}) > 1, namespaces=content.namespaces)


def _refuse_project(project: str | None) -> None:
    """Raise InputError if a file belongs to `project`, another project than Wikipedia; None or "" is accepted."""
    if project:
        raise InputError(f"it belongs to {project}, another project")


def _look_into_xml(path: str) -> _Content:
    head = _head(path)
    if head.strip() and "<mediawiki" not in head and "<page>" not in head:
        raise InputError(f"it is not a MediaWiki dump: it begins with {quoted(head.strip())!r}")
    siteinfo = head.partition("</siteinfo>")[0].partition("<page>")[0]
    named = _DBNAME.search(siteinfo)
    base = _BASE.search(siteinfo)
    database = named[1] if named else ""
    _refuse_project(database if is_other_project(database) else project_in_address(base[1] if base else ""))
    host = _HOST.search(siteinfo)
    of_host = host[1] if host else ""
    code = database.removesuffix("wiki") if database.endswith("wiki") else of_host
    names = tuple((int(key), name.strip()) for key, name in _NAMESPACE.findall(siteinfo))
    return _Content(listed_code(code), names)


def _head(path: str) -> str:
    """Return the beginning of a dump as text, to the chunk with its first page, or to CHUNK_BYTES bytes.

    InputError if the dump is damaged from the first byte on. Other damage is ignored here, and counted when pages are
    read.
    """
    head = b""
    try:
        for chunk in unpacked(path):
            head += chunk
            if b"<page>" in head or len(head) >= CHUNK_BYTES:
                break
    except CutError as cut:
        if cut.reason == "corrupt" and not head:
            raise InputError("it is not compressed as its ending says, or is damaged: download it again") from None
    return head.decode(errors="replace")


def _look_into_cirrus(path: str) -> _Content:
    try:
        source = first_source(unpacked(path))
    except CutError as cut:
        raise InputError(f"{cut.reason} at its beginning: fetch it again") from None
    if source is None:
        raise InputError("it is not a Cirrus search dump: it does not begin with a page with title and text")
    database = str(source.get("wiki"))
    _refuse_project(database if is_other_project(database) else None)
    return _Content(listed_code(database.removesuffix("wiki")) or listed_code(str(source.get("language"))))


def _look_into_parquet(path: str) -> _Content:
    try:
        with fsspec.open(with_secrets(path), "rb") as file:
            table = BoundedParquet(file)
            names = table.schema.names
            if missing := [name for name in PAGE_COLUMNS if name not in names]:
                raise InputError(f"it lacks the columns {missing}, and has {quoted_names(names)}")
            first = next(table.batches(["url"], 1), None) if "url" in names else None
            address = str(first["url"][0]) if first else ""
            _refuse_project(project_in_address(address))
            column = next((name for name in LANGUAGE_COLUMNS if name in names), None)
            codes = _codes(table, column) if column else ()
            host = _HOST.search(address)
            return _Content(listed_code(host[1]) if host else None, column=column, codes=codes)
    except pa.ArrowInvalid as error:
        raise InputError(f"it is not Parquet ({error}): download it again") from None


def _codes(table: BoundedParquet, column: str) -> tuple[str, ...]:
    values = set[Any]()
    for batch in table.batches([column], CODES_BATCH_ROWS):
        values.update(pc.unique(batch[column]).to_pylist())
    if strange := sorted(str(value) for value in values if not is_wikipedia(str(value))):
        raise InputError(
            f"its column {column} holds {strange[:3]}, which are not codes of Wikipedias: fix the column, or pass "
            "--wikipedia-code for the file"
        )
    return tuple(sorted({str(value).replace("-", "_") for value in values}))


_LOOKS: dict[str, Callable[[str], _Content]] = {
    "xml": _look_into_xml,
    "cirrus": _look_into_cirrus,
    "parquet": _look_into_parquet,
}
