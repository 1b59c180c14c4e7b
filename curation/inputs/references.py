"""Names of inputs that are not paths: a crawl of Common Crawl, or a table of Spark's catalog.

Examples: `commoncrawl:CC-MAIN-2024-10`, which stands for all WAT files of the crawl (or, with /warc, all its WARC
files), and `table:sales.pairs`.
"""

import gzip
import os
import re
import zlib
from pathlib import Path
from urllib.parse import quote, unquote

from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.storage.listing import ListedFile
from runtime.storage.paths import absolute

CRAWL = "commoncrawl:"
BASE = "https://data.commoncrawl.org"
BASE_VARIABLE = "COMMON_CRAWL_URL"  # another copy: a mirror, a folder, or s3://commoncrawl
EXAMPLE = "commoncrawl:CC-MAIN-2024-10"
_reference = re.compile(r"commoncrawl:(?P<crawl>CC-MAIN-\d{4}(?:-\d{2}|-\d{4})?)(?:/(?P<kind>wat|warc))?")
_line = re.compile(r"crawl-data/(?:[\w-][\w.-]*/)*[\w-][\w.-]*\.gz", re.ASCII)  # never outside the base
PREFIX = "table:"
FOLDER = "tables"  # in the output folder: the copies


def is_crawl(path: str) -> bool:
    """Say whether a path names a crawl.

    >>> is_crawl("commoncrawl:CC-MAIN-2024-10"), is_crawl("crawl/a.wat.gz")
    (True, False)
    """
    return path.startswith(CRAWL)


def crawl_files(reference: str, base: str | None = None) -> tuple[str, list[str]]:
    """Return the kind, wat or warc, and the paths of all files of a crawl; only their list is fetched."""
    crawl, kind = _parsed(reference)
    base = (base or os.environ.get(BASE_VARIABLE) or BASE).rstrip("/")
    listing = hidden(f"{base}/crawl-data/{crawl}/{kind}.paths.gz")
    lines = _lines(listing, crawl)
    odd = next((line for line in lines if not _line.fullmatch(line)), None)
    if odd is not None or not lines:
        raise InputError(
            f"{listing} is no list of files below crawl-data/: it holds {odd or 'nothing'!r}; check {base}"
        )
    return kind, [hidden(f"{base}/{line}") for line in lines]


def _parsed(reference: str) -> tuple[str, str]:
    found = _reference.fullmatch(reference)
    if not found:
        raise InputError(
            f"{reference} names no crawl; expected {EXAMPLE} for its WAT files or {EXAMPLE}/warc for its pages"
        )
    return found["crawl"], found["kind"] or "wat"


def _lines(listing: str, crawl: str) -> list[str]:
    try:
        with ListedFile(listing).open() as file:
            return gzip.decompress(file.read()).decode().split()
    except (InputError, PermissionError) as error:  # S3 forbids what is not there
        raise InputError(
            f"there is no crawl {crawl}, as {listing} cannot be had; https://index.commoncrawl.org lists all crawls"
        ) from error
    except (OSError, EOFError, ImportError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{listing}, the list of the files of {crawl}, cannot be read: {error}") from error


def is_table(given: str) -> bool:
    """Say whether an input names a table.

    >>> is_table("table:web.pairs"), is_table("tables/pairs.parquet")
    (True, False)
    """
    return given.startswith(PREFIX)


def table_name(given: str) -> str:
    """Return the name of the table that an input names."""
    name = given.removeprefix(PREFIX).strip()
    if not name:
        raise InputError(f"{given} names no table; expected one of Spark's catalog, such as table:db.pairs")
    return name


def tables_in(output: Path) -> Path:
    """Return the folder for copies of tables in an output folder, as its path is given to workers."""
    return absolute(output / FOLDER)


def folder_of(table: str) -> str:
    """Return the name of the folder for the copy of a table.

    >>> folder_of("web.`pairs 2024`")
    'web.%60pairs%202024%60'
    """
    return quote(table, safe="")


def copies_like(pattern: str) -> str:
    """Return the pattern that the files of the copies of tables have which a pattern of inputs matches.

    >>> copies_like("table:web.*")
    'tables/web.*/*'
    """
    return f"{FOLDER}/{quote(table_name(pattern), safe='*?[]!')}/*"


def input_of(path: str, tables: str) -> str:
    """Return the input that a file belongs to: the table of which it is a copy in the folder `tables`, or the file.

    >>> input_of("/out/tables/web.pairs/00000-1a.parquet", "/out/tables"), input_of("/data/a.parquet", "/out/tables")
    ('table:web.pairs', '/data/a.parquet')
    """
    folder, _, _ = path.rpartition("/")
    parent, _, name = folder.rpartition("/")
    return f"{PREFIX}{unquote(name)}" if parent == tables else path
