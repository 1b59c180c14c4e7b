"""Find the columns of a table that hold URL, text, uid, language and page URL, by name or by number.

The names of inputs that are not paths are also read here: `commoncrawl:CC-MAIN-2024-10` means all WAT files of the
crawl (with /warc, all its WARC files), and `table:sales.pairs` means a table of Spark's catalog.
"""

import gzip
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import chain, takewhile
from pathlib import Path
from urllib.parse import quote, unquote

from curation.column_names import RECOGNISED, USUAL, _one, recognised
from curation.inputs.tables.dialects import DIALECTS
from runtime.argument_types import require_integer, typed
from runtime.errors import InputError, ParameterError
from runtime.messages import no_column, quoted, quoted_names
from runtime.redaction import hidden
from runtime.storage.listing import ListedFile, without_query
from runtime.storage.paths import absolute

CRAWL = "commoncrawl:"
CRAWL_BASE = "https://data.commoncrawl.org"
BASE_VARIABLE = "COMMON_CRAWL_URL"  # It names another base: a mirror, a folder, or s3://commoncrawl.
CRAWL_EXAMPLE = "commoncrawl:CC-MAIN-2024-10"
_reference = re.compile(r"commoncrawl:(?P<crawl>CC-MAIN-\d{4}(?:-\d{2}|-\d{4})?)(?:/(?P<kind>wat|warc))?")
_line = re.compile(r"crawl-data/(?:[\w-][\w.-]*/)*[\w-][\w.-]*\.gz", re.ASCII)  # Such a path cannot leave the base.
TABLE_PREFIX = "table:"
TABLES_FOLDER = "tables"  # This folder in the output folder holds copied tables.

REQUIRED = ("url", "text")
GIVEN = (*REQUIRED, "uid")  # A user can name the columns of these fields.
NONE = "none"  # This name means that no column of the table is used for the field.
MAX_COLUMNS = 10**6
MAX_DOTS = 8  # most dots in the path of a field inside a struct or a JSON object, such as `meta.caption`
ColumnNames = str | int | Sequence[str | int] | None

# These phrases tell a user how to name a column of a file, and of a DataFrame.
FLAG = "--{}-column (a number from 0 if it is a CSV or TSV without header; PATTERN=NAME for some inputs)"
FIELD = "{}_column of TableOptions"


@typed
@dataclass(frozen=True)
class TableOptions:
    """The columns that hold the pairs: names, or numbers from 0 for CSV and TSV without header; None: usual names.

    If several names are given, the first one that a file has is used. PATTERN=NAME applies to the inputs that the
    pattern matches; names without a pattern are ignored for these inputs. A pattern matches the end of a path, as
    `cc3m*.tsv` or `wit/*`; * also matches /.
    """

    url_column: ColumnNames = None
    text_column: ColumnNames = None
    uid_column: ColumnNames = None  # `none`: the URL identifies the image.
    dialect: str | None = None  # one of DIALECTS, for CSV and TSV; None: recognised from each file's first rows
    skip_unreadable: bool = False  # skip and count files that cannot be used, instead of refusing all

    def __post_init__(self) -> None:
        for name in GIVEN:
            value = getattr(self, f"{name}_column")
            _require_column(f"{name}_column", value)
            object.__setattr__(self, f"{name}_column", _unwrapped(value, name in REQUIRED))
        if self.dialect is not None and self.dialect not in DIALECTS:
            raise InputError(f"dialect is {self.dialect!r}; expected one of {', '.join(DIALECTS)}")
        for column in GIVEN:
            if any(not name or pattern == "" for pattern, name in self._parts(column)):
                raise ParameterError("does not name a column; expected NAME or PATTERN=NAME", f"{column}_column")
        self.numbers("")  # This refuses combinations that no file can have.

    def candidates(self, field: str, path: str) -> tuple[str, ...]:
        """Return the names (or the number) given for a field's column in the file `path`; () if none is given."""
        parts = [*self._parts(field)]
        of_pattern = [name for pattern, name in parts if pattern is not None and is_like(path, pattern)]
        return tuple(of_pattern or [name for pattern, name in parts if pattern is None])

    def numbers(self, path: str) -> dict[str, int] | None:
        """Return the column number of each required field in the file `path`; None if columns have names.

        InputError unless either no required field has a number, or each has exactly one.
        """
        names_of_field = {field: self.candidates(field, path) for field in REQUIRED}
        all_names = chain.from_iterable(names or ("",) for names in names_of_field.values())
        numbered = [_is_number(name) for name in all_names]
        if not any(numbered):
            return None
        if not all(numbered) or len(numbered) > len(REQUIRED):
            of = f" for {path}" if path else ""
            url, text = (" ".join(names) or "not given" for names in names_of_field.values())
            raise InputError(
                f"--url-column is {url} and --text-column is {text}{of}; pass one number for each if files have no "
                "header, otherwise names for both"
            )
        numbers = {field: int(name) for field, (name,) in names_of_field.items()}
        if len({*numbers.values()}) < len(numbers):
            raise InputError(f"--url-column and --text-column are both {numbers['url']}; expected two columns")
        return numbers

    def require_use(self, paths: Sequence[str]) -> None:
        """Refuse a pattern that matches none of the inputs `paths`."""
        for column in GIVEN:
            for pattern, name in self._parts(column):
                if pattern is not None and not any(is_like(path, pattern) for path in paths):
                    fault = f"is {pattern}={name}, but no input matches {pattern}; * stands for any characters, even /"
                    raise ParameterError(fault, f"{column}_column")

    def _parts(self, field: str) -> Iterator[tuple[str | None, str]]:
        """Yield (pattern or None, name) for each column that is given for a field."""
        for value in self.arguments(field):
            pattern, equals, name = value.partition("=")
            yield (pattern, name) if equals else (None, pattern)

    def arguments(self, field: str) -> list[str]:
        """Return all values that a user gave for a field's column, with their patterns."""
        value: ColumnNames = getattr(self, f"{field}_column", None)
        if value is None:
            return []
        return [str(value)] if isinstance(value, str | int) else [*map(str, value)]


def is_like(path: str, pattern: str) -> bool:
    """Say whether a pattern matches the end of a path, or of a URL without its query.

    >>> is_like("/data/cc3m/val.tsv", "cc3m/*"), is_like("https://a.org/wit/x.jsonl?key=1", "*.jsonl")
    (True, True)
    >>> is_like("/data/cc3m/val.tsv", "val*.tsv"), is_like("/data/cc3m/val.tsv", "cc3m")
    (True, False)
    >>> is_like("table:web.pairs", "table:web.*"), is_like("/out/tables/web.pairs/00000-1a.parquet", "table:web.*")
    (True, True)
    """
    plain = without_query(path)
    if is_table(pattern) and not is_table(path):  # The file may be a copy of the table.
        pattern = copies_like(pattern)
    return fnmatchcase(plain, pattern) or fnmatchcase(plain, f"*/{pattern}")


def _unwrapped(column: ColumnNames, may_be_number: bool) -> ColumnNames:
    """Return a single name or number, a tuple of several, or None if there is none.

    If `may_be_number`, a single name of digits becomes an int.
    """
    if isinstance(column, Sequence) and not isinstance(column, str):
        return _unwrapped(column[0], may_be_number) if len(column) == 1 else tuple(column) or None
    return int(column) if may_be_number and column is not None and _is_number(column) else column


def _require_column(name: str, value: object) -> None:
    """Refuse values that are neither names nor valid column numbers."""
    for column in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
        if isinstance(column, str) and column.isascii() and column.isdigit():
            column = int(column)
        if column is not None and not isinstance(column, str):
            require_integer(name, column, 0, MAX_COLUMNS)


def _is_number(name: str | int) -> bool:
    return isinstance(name, int) or (name.isascii() and name.isdigit())


@dataclass(frozen=True)
class Glance:
    """The facts that the beginning of a file shows: columns, rows, bytes of pieces, and dialect."""

    columns: dict[str, str] = field(default_factory=dict)  # field → name or number of its column
    rows: int | None = None  # None unless the file states it
    piece_bytes: list[int] = field(default_factory=list)  # compressed bytes of each piece, if the format is split
    dialect: str | None = None  # name of the dialect of CSV and TSV


def named_columns(names: Sequence[str], options: TableOptions, path: str, naming: str = FLAG) -> dict[str, str]:
    """Return the name of each field's column, for the fields that the table has; InputError without url or text.

    A column given for uid (unless it is `none`) must also exist. `naming` is the phrase with which the error tells a
    user how to name a column.
    """
    if options.numbers(path):
        raise InputError(
            f"{path} has named columns ({quoted_names(names)}); "
            "pass names to --url-column and --text-column, not numbers"
        )
    columns = {field: _column(field, names, options, path, naming) for field in RECOGNISED}
    uids = options.candidates("uid", path)
    required = REQUIRED if not uids or NONE in uids else GIVEN
    lacking = next((field for field in required if columns[field] is None), None)
    if lacking:
        if meant := next((name for name in options.arguments(lacking) if "=" in name and name in names), None):
            raise InputError(f"{path} has a column {meant}, but a name with = is read as PATTERN=NAME; write *={meant}")
        expected = options.candidates(lacking, path) or RECOGNISED[lacking][:USUAL]
        of_others = chain.from_iterable(names for field, names in RECOGNISED.items() if field != lacking)
        others = [name.lower() for name in of_others]
        remedy = f"name the column of the {lacking} with {naming.format(lacking)}"
        raise no_column(path, expected, names, remedy, others)
    if columns["url"] == columns["text"]:
        raise InputError(f"column {columns['url']} of {path} is named for both URL and text; expected two columns")
    return {field: name for field, name in columns.items() if name is not None}


def _column(field: str, names: Sequence[str], options: TableOptions, path: str, naming: str) -> str | None:
    candidates = options.candidates(field, path)
    if candidates:
        chosen = next(filter(names.__contains__, takewhile(NONE.__ne__, candidates)), None)
        return _one([name for name in names if name == chosen], path, "")
    if field not in REQUIRED:
        return recognised(field, names, path)
    return recognised(field, names, path, f"name the right one with {naming.format(field)}")


def is_crawl(path: str) -> bool:
    """Say whether an input names a crawl.

    >>> is_crawl("commoncrawl:CC-MAIN-2024-10"), is_crawl("crawl/a.wat.gz")
    (True, False)
    """
    return path.startswith(CRAWL)


def crawl_files(reference: str, base: str | None = None) -> tuple[str, list[str]]:
    """Return the kind, wat or warc, and the paths of all files of a crawl; only the crawl's list of files is fetched.

    InputError if `reference` names no crawl, or if the list cannot be fetched.
    """
    crawl, kind = _parsed(reference)
    base = (base or os.environ.get(BASE_VARIABLE) or CRAWL_BASE).rstrip("/")
    listing = hidden(f"{base}/crawl-data/{crawl}/{kind}.paths.gz")
    lines = _lines(listing, crawl)
    odd = next((line for line in lines if not _line.fullmatch(line)), None)
    if odd is not None or not lines:
        raise InputError(
            f"{listing} is not a list of files below crawl-data/, as it contains {quoted(odd or 'nothing')!r}; "
            f"check {base}"
        )
    return kind, [hidden(f"{base}/{line}") for line in lines]


def _parsed(reference: str) -> tuple[str, str]:
    match = _reference.fullmatch(reference)
    if not match:
        raise InputError(
            f"{reference} does not name a crawl; expected {CRAWL_EXAMPLE} for its WAT files, or "
            f"{CRAWL_EXAMPLE}/warc for its pages"
        )
    return match["crawl"], match["kind"] or "wat"


def _lines(listing: str, crawl: str) -> list[str]:
    try:
        with ListedFile(listing).open() as file:
            return gzip.decompress(file.read()).decode().split()
    except (InputError, PermissionError) as error:  # S3 answers 403 for missing objects.
        raise InputError(
            f"there is no crawl {crawl}, as {listing} cannot be fetched; https://index.commoncrawl.org lists all crawls"
        ) from error
    except (OSError, EOFError, ImportError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{listing}, the list of the files of {crawl}, cannot be read: {error}") from error


def is_table(source: str) -> bool:
    """Say whether an input names a table of Spark's catalog.

    >>> is_table("table:web.pairs"), is_table("tables/pairs.parquet")
    (True, False)
    """
    return source.startswith(TABLE_PREFIX)


def table_name(source: str) -> str:
    """Return the name of the table without the prefix `table:`; InputError if the name is empty."""
    name = source.removeprefix(TABLE_PREFIX).strip()
    if not name:
        raise InputError(f"{source} does not name a table; expected a table of Spark's catalog, such as table:db.pairs")
    return name


def tables_in(output: Path) -> Path:
    """Return the folder of copied tables in an output folder, as an absolute path for workers."""
    return absolute(output / TABLES_FOLDER)


def folder_of(table: str) -> str:
    """Return the name of the folder for the copy of a table: the table's name, percent-encoded.

    >>> folder_of("web.`pairs 2024`")
    'web.%60pairs%202024%60'
    """
    return quote(table, safe="")


def copies_like(pattern: str) -> str:
    """Return the pattern of the paths of copies, given a pattern of tables.

    >>> copies_like("table:web.*")
    'tables/web.*/*'
    """
    return f"{TABLES_FOLDER}/{quote(table_name(pattern), safe='*?[]!')}/*"


def input_of(path: str, tables: str) -> str:
    """Return the input that a file comes from: `table:NAME` for a copy below the folder `tables`, else the file.

    >>> input_of("/out/tables/web.pairs/00000-1a.parquet", "/out/tables"), input_of("/data/a.parquet", "/out/tables")
    ('table:web.pairs', '/data/a.parquet')
    """
    folder, _, _ = path.rpartition("/")
    parent, _, name = folder.rpartition("/")
    return f"{TABLE_PREFIX}{unquote(name)}" if parent == tables else path
