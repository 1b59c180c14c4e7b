"""Find the files of Wikipedias, and the Wikipedia of each: dumps (XML), Cirrus search dumps (JSON), tables (Parquet).

The argument decides, else the path, else a table's column, else the content of the file (a dump's head, a table's
URLs). Heads come last because pages exported by hand, as Special:Export does, carry the head of whoever made the file.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import fsspec
import pyarrow as pa
import pyarrow.compute as pc

from metadata.languages import is_wikipedia, of_wikipedia
from metadata.wikipedia.dumps import CHUNK, CutError, first_source, unpacked
from runtime.errors import InputError
from runtime.storage.bounded_parquet import BoundedParquet
from runtime.storage.listing import expand

COLUMNS = ("title", "text")
LOOKED_AT = 1 << 16  # rows of a table whose languages are looked at together
# The first of these that a table has names the Wikipedia of each row.
LANGUAGE_COLUMNS = ("wikipedia", "wiki", "language", "lang")

_PACKED = r"(\.(gz|bz2|xz))?"
_KINDS = {  # of a file, by its name
    "xml": re.compile(rf".+\.xml(-[^.]+)?{_PACKED}", re.IGNORECASE),
    "cirrus": re.compile(rf".+\.(json|jsonl|ndjson){_PACKED}", re.IGNORECASE),
    "parquet": re.compile(r".+\.parquet", re.IGNORECASE),
}
_EXPECTED = "a Wikipedia is a dump (.xml, also .bz2, .gz or .xz), a Cirrus search dump (.json.gz) or Parquet"
# Other files in a dump's folder.
_NO_PAGES = re.compile(r"[._].*|.*-(abstract|all-titles|pages-(logging|meta)|siteinfo|stub).*")

_FILE_CODE = re.compile(r"([a-z][a-z_]*?)wiki(?![a-z])")  # enwiki-20240101-…, zh_min_nanwiki.xml
_FOLDER_CODE = re.compile(r"(?:\d{8}\.|(?:wikipedia|wiki|language|lang)=)?([a-z]+(?:[_-][a-z]+)*?)(?:wiki)?")
_DBNAME = re.compile(r"<dbname>\s*([a-z_]+?)wiki\s*</dbname>")
_HOST = re.compile(r"//([a-z-]+)\.(?:m\.)?wikipedia\.org\b")
_NAMESPACE = re.compile(r'<namespace\b[^>]*\bkey="(-?\d+)"[^>]*>([^<]+)</namespace>')


@dataclass(frozen=True)
class WikipediaFile:
    """A file and the Wikipedia whose pages are read from it; a table of two Wikipedias is two of these."""

    path: str
    kind: str  # xml, cirrus or parquet
    wikipedia: str  # its code, as in languages.csv
    conflict: bool = False  # path, head or argument name different Wikipedias
    column: str | None = None  # of a table: only rows that say `wikipedia` here are read
    namespaces: tuple[tuple[int, str], ...] = ()  # numbers and names, from a dump's head


@dataclass(frozen=True)
class _Content:
    """The Wikipedia and the namespaces that the content of a file names."""

    wikipedia: str | None = None
    namespaces: tuple[tuple[int, str], ...] = ()
    column: str | None = None
    codes: tuple[str, ...] = ()  # the values in that column


def find(paths: Iterable[str], language: str | None = None) -> list[WikipediaFile]:
    """Return the files that `paths` are or hold, each once; with `language`, all are of that Wikipedia."""
    if language is not None:
        of_wikipedia(language)
    described: list[WikipediaFile] = []
    faults: dict[str, str] = {}
    for file in dict.fromkeys(file for path in paths for file in _files(str(path))):
        try:
            described += _described(file, language)
        except InputError as error:
            faults[file] = str(error)
    if faults:
        raise InputError(_sentence(faults))
    return described


def _sentence(faults: dict[str, str]) -> str:
    """Return the fault of the first file, and the paths of the others."""
    first, *others = faults
    return f"{faults[first]}; refused, too: {', '.join(others)}" if others else faults[first]


def code_in_path(path: str) -> str | None:
    """Return the Wikipedia in the name of a file, or else of its folder.

    >>> code_in_path("dumps/enwiki-latest-pages-articles.xml.bz2"), code_in_path("20231101.zh-yue/train.parquet")
    ('en', 'zh_yue')
    """
    pure = PurePosixPath(path.replace("\\", "/"))
    by_name, by_folder = _FILE_CODE.match(pure.name), _FOLDER_CODE.fullmatch(pure.parent.name)
    return next((code for found in (by_name, by_folder) if found and (code := _known(found[1]))), None)


def _known(code: str) -> str | None:
    return code.replace("-", "_") if is_wikipedia(code) else None


def _files(path: str) -> list[str]:
    try:
        found = expand(path)
    except (ValueError, ImportError, OSError) as error:
        raise InputError(f"cannot open {path} ({error})") from error
    if not (found and found.files):
        raise InputError(f"no file or folder at {path}, or an empty one; {_EXPECTED}")
    files = found.paths if found.is_file else sorted(filter(_is_sought, found.paths))
    if not files:
        raise InputError(f"{path} holds no dump; {_EXPECTED}")
    return files


def _is_sought(path: str) -> bool:
    """Return whether a file in a folder is to be read: there, unlike by name, JSON may be anything."""
    name = PurePosixPath(path).name
    kind = _kind(path)
    return kind is not None and not _NO_PAGES.fullmatch(name) and (kind != "cirrus" or "cirrussearch" in name)


def _kind(path: str) -> str | None:
    name = PurePosixPath(path).name
    return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(name)), None)


def _described(path: str, language: str | None) -> Iterator[WikipediaFile]:
    kind = _kind(path)
    if kind is None:
        raise InputError(f"{path} is of no known kind; {_EXPECTED}")
    content = _LOOKS[kind](path)
    named = _known(language or "") or code_in_path(path)
    if named is None and content.column:
        for code in content.codes:
            yield WikipediaFile(path, kind, code, column=content.column)
        return
    candidates = (_known(language or ""), code_in_path(path), content.wikipedia, *content.codes)
    wikipedia = named or content.wikipedia
    if wikipedia is None:
        raise InputError(f"cannot tell which Wikipedia {path} is of; give --language, such as --language en")
    yield WikipediaFile(path, kind, wikipedia, len({*candidates} - {None}) > 1, namespaces=content.namespaces)


def _look_into_xml(path: str) -> _Content:
    head = _head(path)
    if head.strip() and "<mediawiki" not in head and "<page>" not in head:
        raise InputError(f"{path} is no MediaWiki dump: it begins {head.strip()[:60]!r}; {_EXPECTED}")
    siteinfo = head.partition("</siteinfo>")[0].partition("<page>")[0]
    found = _DBNAME.search(siteinfo) or _HOST.search(siteinfo)
    names = tuple((int(key), name.strip()) for key, name in _NAMESPACE.findall(siteinfo))
    return _Content(_known(found[1]) if found else None, names)


def _head(path: str) -> str:
    """Return the beginning of a dump, up to its first page; the end of a cut one is missed, and counted, in `dumps`."""
    head = b""
    try:
        for chunk in unpacked(path):
            head += chunk
            if b"<page>" in head or len(head) >= CHUNK:
                break
    except CutError as cut:
        if cut.reason == "corrupt" and not head:
            raise InputError(f"{path} is not packed as its ending says, or damaged; fetch it again") from None
    return head.decode(errors="replace")


def _look_into_cirrus(path: str) -> _Content:
    try:
        source = first_source(unpacked(path))
    except CutError as cut:
        raise InputError(f"{path} is {cut.reason} at its beginning; fetch it again") from None
    if source is None:
        raise InputError(f"{path} is no Cirrus search dump: no page with title and text at its beginning; {_EXPECTED}")
    return _Content(_known(str(source.get("wiki")).removesuffix("wiki")) or _known(str(source.get("language"))))


def _look_into_parquet(path: str) -> _Content:
    try:
        with fsspec.open(path, "rb") as file:
            table = BoundedParquet(file)
            names = table.schema.names
            if missing := [name for name in COLUMNS if name not in names]:
                raise InputError(f"{path} lacks the columns {missing}; it has {names}")
            column = next((name for name in LANGUAGE_COLUMNS if name in names), None)
            codes = _codes(table, column, path) if column else ()
            return _Content(_in_first_url(table) if "url" in names else None, column=column, codes=codes)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is no Parquet ({error}); fetch it again") from None


def _codes(table: BoundedParquet, column: str, path: str) -> tuple[str, ...]:
    values = {value for batch in table.batches([column], LOOKED_AT) for value in pc.unique(batch[column]).to_pylist()}
    if strange := sorted(str(value) for value in values if not is_wikipedia(str(value))):
        raise InputError(
            f"the column {column} of {path} holds {strange[:3]}, no Wikipedia; mend it, or give --language for the file"
        )
    return tuple(sorted({str(value).replace("-", "_") for value in values}))


def _in_first_url(table: BoundedParquet) -> str | None:
    first = next(table.batches(["url"], 1), None)
    found = _HOST.search(str(first["url"][0])) if first else None
    return _known(found[1]) if found else None


_LOOKS = {"xml": _look_into_xml, "cirrus": _look_into_cirrus, "parquet": _look_into_parquet}
