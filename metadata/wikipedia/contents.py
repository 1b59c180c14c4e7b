"""Look into a file's beginning for what it says of itself: its Wikipedia, its namespaces, a column of languages.

A file that is none of its kind, or is another project's, is refused with a reason, to which the caller adds the path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import fsspec
import pyarrow as pa
import pyarrow.compute as pc

from metadata.languages import is_wikipedia
from metadata.wikipedia import projects
from metadata.wikipedia.dumps import CHUNK, CutError, first_source, unpacked
from metadata.wikipedia.names import known
from runtime.errors import InputError
from runtime.redaction import with_secrets
from runtime.storage.bounded_parquet import BoundedParquet

COLUMNS = ("title", "text")
LOOKED_AT = 1 << 16  # rows of a table whose languages are looked at together
# The first of these that a table has names the Wikipedia of each row.
LANGUAGE_COLUMNS = ("wikipedia", "wiki", "language", "lang")

_DBNAME = re.compile(r"<dbname>\s*([a-z0-9_]+)\s*</dbname>")
_BASE = re.compile(r"<base>([^<]*)</base>")
_HOST = re.compile(r"//([a-z-]+)\.(?:m\.)?wikipedia\.org\b")
_NAMESPACE = re.compile(r'<namespace\b[^>]*\bkey="(-?\d+)"[^>]*>([^<]+)</namespace>')


@dataclass(frozen=True)
class Content:
    """The Wikipedia and the namespaces that the content of a file names."""

    wikipedia: str | None = None
    namespaces: tuple[tuple[int, str], ...] = ()  # numbers and names, from a dump's head
    column: str | None = None
    codes: tuple[str, ...] = ()  # the values in that column


def refuse_project(project: str | None) -> None:
    """Refuse a file of another project than Wikipedia."""
    if project:
        raise InputError(f"of {project}, another project")


def look(path: str, kind: str) -> Content:
    """Return what the content of a file of that kind says."""
    return _LOOKS[kind](path)


def _look_into_xml(path: str) -> Content:
    head = _head(path)
    if head.strip() and "<mediawiki" not in head and "<page>" not in head:
        raise InputError(f"no MediaWiki dump: it begins {head.strip()[:60]!r}")
    siteinfo = head.partition("</siteinfo>")[0].partition("<page>")[0]
    named, base = _DBNAME.search(siteinfo), _BASE.search(siteinfo)
    database = named[1] if named else ""
    refuse_project(database if projects.is_other_project(database) else projects.in_address(base[1] if base else ""))
    found = _HOST.search(siteinfo)
    code = database.removesuffix("wiki") if database.endswith("wiki") else found[1] if found else ""
    names = tuple((int(key), name.strip()) for key, name in _NAMESPACE.findall(siteinfo))
    return Content(known(code), names)


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
            raise InputError("not packed as its ending says, or damaged: fetch it again") from None
    return head.decode(errors="replace")


def _look_into_cirrus(path: str) -> Content:
    try:
        source = first_source(unpacked(path))
    except CutError as cut:
        raise InputError(f"{cut.reason} at its beginning: fetch it again") from None
    if source is None:
        raise InputError("no Cirrus search dump: no page with title and text at its beginning")
    database = str(source.get("wiki"))
    refuse_project(database if projects.is_other_project(database) else None)
    return Content(known(database.removesuffix("wiki")) or known(str(source.get("language"))))


def _look_into_parquet(path: str) -> Content:
    try:
        with fsspec.open(with_secrets(path), "rb") as file:
            table = BoundedParquet(file)
            names = table.schema.names
            if missing := [name for name in COLUMNS if name not in names]:
                raise InputError(f"it lacks the columns {missing}, and has {names}")
            address = _first_address(table) if "url" in names else ""
            refuse_project(projects.in_address(address))
            column = next((name for name in LANGUAGE_COLUMNS if name in names), None)
            codes = _codes(table, column) if column else ()
            found = _HOST.search(address)
            return Content(known(found[1]) if found else None, column=column, codes=codes)
    except pa.ArrowInvalid as error:
        raise InputError(f"no Parquet: {error}; fetch it again") from None


def _codes(table: BoundedParquet, column: str) -> tuple[str, ...]:
    values = {value for batch in table.batches([column], LOOKED_AT) for value in pc.unique(batch[column]).to_pylist()}
    if strange := sorted(str(value) for value in values if not is_wikipedia(str(value))):
        raise InputError(
            f"its column {column} holds {strange[:3]}, no Wikipedia: mend it, or give --wikipedia-code for the file"
        )
    return tuple(sorted({str(value).replace("-", "_") for value in values}))


def _first_address(table: BoundedParquet) -> str:
    first = next(table.batches(["url"], 1), None)
    return str(first["url"][0]) if first else ""


_LOOKS: dict[str, Callable[[str], Content]] = {
    "xml": _look_into_xml,
    "cirrus": _look_into_cirrus,
    "parquet": _look_into_parquet,
}
