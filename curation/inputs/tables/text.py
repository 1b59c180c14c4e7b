"""Read JSON lines, one object per pair, and CSV and TSV, with or without a header.

CSV and TSV are read in a given dialect or in the one that a file's first rows show. A quote that is opened and never
closed would swallow all rows after it, so it is read as an ordinary character.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from curation.inputs.candidates import BATCH_BYTES, FIRST_BAD, HTTP_URL, candidates_in_rows
from curation.inputs.tables.columns import MAX_DOTS, REQUIRED, Glance, TableOptions, named_columns
from curation.inputs.tables.dialects import DIALECTS, ESCAPED, PLAIN, Dialect, dialect_of, first_lines
from runtime.arrow import gather
from runtime.errors import InputError
from runtime.messages import NAMES, listed, quoted
from runtime.tallies import Tally

LONGEST_LINE = 4 << 20  # A line with more characters is not a pair, and might not fit into memory.
PROBED_OBJECTS = 100  # This many objects are searched for keys, because an object may omit a key whose value is null.
_KEY_BYTES = 100  # A key takes this many bytes of memory besides its characters.

Object = dict[str, Any]


def read_json_pairs(
    file: BinaryIO, path: str, options: TableOptions, tally: Tally, _pieces: range | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in an unpacked file, and count in `tally`."""
    tally["files"] += 1
    objects = _objects(lines(file, tally), tally)
    probe = _probe(objects)
    if probe:
        columns = _keys(probe, options, path)
        keys = list(columns.values())
        if any("." in key for key in keys):
            objects = map(_flat, objects)
        rows = (_row(record, keys) for record in chain(probe, objects))
        yield from candidates_in_rows(columns, rows, tally)


def _row(record: Object, keys: list[str]) -> tuple[str | None, ...]:
    """Return the values of an object's `keys` as strings, None for values that are not scalars."""
    return tuple(map(_string, map(record.get, keys)))


def row_of_line(line: str, keys: list[str]) -> tuple[str | None, ...] | None:
    """Return the values of `keys` in the object on a line, as `read_json_pairs` reads them; None if there is none."""
    value = _json(line)
    return _row(_flat(value), keys) if type(value) is dict else None


def check_json(file: BinaryIO, path: str, options: TableOptions) -> Glance:
    """Return the columns of an unpacked file; InputError if needed columns are missing; an empty file passes."""
    tally = Tally()
    text = lines(file, tally)
    first = next(text, "")
    probe = _probe(_objects(chain([first], text), tally))
    if tally and not probe:
        array = ": jq -c '.[]' converts an array" if first.lstrip().startswith("[") else ""
        expected = f"expected JSON lines, one object for each pair{array}"
        raise InputError(f"{path} has no line that is a JSON object; {expected}")
    return Glance(_keys(probe, options, path) if probe else {})


def _objects(text: Iterable[str], tally: Tally) -> Iterator[Object]:
    """Yield the object of each non-blank line; count lines without an object, and note the first such line."""
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        tally["records"] += 1
        value = _json(line)
        if type(value) is dict:
            yield value
        else:
            tally["dropped", "bad_json"] += 1
            tally.setdefault(FIRST_BAD, number + tally["dropped", "long_line"])


def _json(line: str) -> Any:
    try:
        return orjson.loads(line)
    except ValueError:  # orjson also refuses lone surrogates. json reads them, so that they are counted as bad UTF-8.
        pass
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _probe(objects: Iterator[Object]) -> list[Object]:
    """Return up to PROBED_OBJECTS first objects, fewer if they are large, with values as `_string` returns them."""
    return next(gather(map(_strings, objects), _size, BATCH_BYTES, PROBED_OBJECTS), [])


def _strings(record: Object) -> Object:
    """Return an object as `_flat` does, with scalars as strings and other values as None."""
    return {name: _string(value) for name, value in _flat(record).items()}


def _flat(record: Object) -> Object:
    """Return an object with its members, and with the members of inner objects under their paths, as `meta.caption`.

    >>> _flat({"url": "a", "meta": {"caption": "b", "more": [{"c": 1}]}})
    {'url': 'a', 'meta': {'caption': 'b', 'more': [{'c': 1}]}, 'meta.caption': 'b', 'meta.more': [{'c': 1}]}
    """
    members = [*record.items()]
    for name, value in members:  # The loop also visits the members that it adds.
        if type(value) is dict and name.count(".") < MAX_DOTS:
            members += [(f"{name}.{inner}", member) for inner, member in value.items()]
    return dict(members) | record


def _size(values: Object) -> int:
    return sum(_KEY_BYTES + len(name) + len(value or "") for name, value in values.items())


def _keys(objects: list[Object], options: TableOptions, path: str) -> dict[str, str]:
    """Return the key of each field of candidates, from the keys of all `objects`."""
    return named_columns(list(dict.fromkeys(chain.from_iterable(objects))), options, path)


def _string(value: Any) -> str | None:
    """Return a JSON string or number as a string, None for any other value."""
    if type(value) is str:
        return value
    return str(value) if type(value) in (int, float) else None


Fields = list[str] | None  # the fields of a row; None for a broken row
_WEB = re.compile(HTTP_URL)
_QUOTED_OR_BACKSLASH = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\Z))|\\', re.S)  # Group 1 is a quoted field.


def read_delimited(
    file: BinaryIO, path: str, options: TableOptions, tally: Tally, _pieces: range | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in an unpacked file, and count in `tally`."""
    tally["files"] += 1
    rows, data, columns = opened_rows(file, path, options, tally)
    if columns:
        values_of = itemgetter(*columns.values())  # There are at least two columns, so this returns tuples.
        yield from candidates_in_rows(columns, map(values_of, _of_width(data, rows, tally)), tally)


def opened_rows(
    file: BinaryIO, path: str, options: TableOptions, tally: Tally
) -> tuple[DelimitedRows, Iterator[Fields], dict[str, int]]:
    """Return the reader of an unpacked file, an iterator over its rows of data, and the column number of each field.

    A row that is broken is None, or does not have `width` fields. The columns are {} if every row is broken.
    """
    rows, first, columns = _opened(file, path, options, tally)
    if first is None:
        return rows, iter(rows), {}
    rows.width = len(first)
    rows.is_pair = lambda row: _WEB.match(row[columns["url"]]) is not None
    data = iter(rows) if options.numbers(path) is None else chain([first], rows)
    return rows, data, columns


def check_delimited(file: BinaryIO, path: str, options: TableOptions) -> Glance:
    """Return the columns and the dialect of an unpacked file; InputError if needed columns or all rows are missing."""
    tally = Tally()
    rows, first, columns = _opened(file, path, options, tally)
    numbers = options.numbers(path)
    if first is None and numbers is None:
        what = "has no line that can be read" if tally else "is empty"
        raise InputError(f"{path} {what}; expected a line that names the columns, and rows of URL and text")
    if numbers:
        return Glance({field: str(number) for field, number in columns.items()}, dialect=rows.dialect.name)
    return Glance({field: (first or [])[number] for field, number in columns.items()}, dialect=rows.dialect.name)


def _opened(
    file: BinaryIO, path: str, options: TableOptions, tally: Tally
) -> tuple[DelimitedRows, Fields, dict[str, int]]:
    """Return an iterator over the rows after the first unbroken row, this row, and the column number of each field.

    The first row is None, and the columns are {}, if every row is broken.
    """
    text = lines(file, tally)
    if options.dialect is not None:
        dialect = DIALECTS[options.dialect]
    else:
        begin = first_lines(text)
        dialect = dialect_of(begin, path, lambda rows: _worth(rows, options, path))
        text = chain(begin, text)
    rows = DelimitedRows(text, dialect)
    first = next((row for row in rows if row is not None), None)
    return rows, first, {} if first is None else _columns(first, options, path)


def _worth(rows: Iterator[list[str]], options: TableOptions, path: str) -> int:
    """Return the score of a delimiter, given the rows that it makes; the delimiter with the highest score is used.

    With a header, 1 if it names the needed columns, else 0. Without one, the number of rows with a web address as URL.
    """
    first = next(rows, [])
    try:
        columns = _columns(first, options, path)
    except InputError:
        return 0
    if options.numbers(path) is None:
        return 1
    alike = (row for row in chain([first], rows) if row and len(row) == len(first))
    return sum(_WEB.match(row[columns["url"]]) is not None for row in alike)


def _columns(first: list[str], options: TableOptions, path: str) -> dict[str, int]:
    """Return the column number of each field of candidates, from the first row of the file or from the options."""
    columns = options.numbers(path)
    if columns is None and first and first[0].startswith("{"):
        raise InputError(f"{path} was read as CSV or TSV, but contains JSON; rename it to end in .jsonl")
    if columns is None:
        _require_header(first, options, path)
        return {field: first.index(name) for field, name in named_columns(first, options, path).items()}
    if first and max(columns.values()) >= len(first):
        raise InputError(
            f"{path} has {len(first)} columns, numbered from 0, so it has no column {max(columns.values())};"
            " choose others with --url-column and --text-column"
        )
    return columns


def _require_header(first: list[str], options: TableOptions, path: str) -> None:
    """Raise an InputError if the first row has a web address, and thus is a row of data, and no names are given."""
    url = next((number for number, field in enumerate(first) if _WEB.match(field)), None)
    if url is None or any(options.candidates(field, path) for field in REQUIRED):
        return
    text = 1 - url if len(first) == 2 else "N"
    fields = listed([repr(quoted(field)) for field in first], NAMES)
    raise InputError(
        f"{path} has no header, as it begins with {fields}. Pass the numbers of its columns, counted from 0: "
        f"--url-column {url} --text-column {text}"
    )


def _of_width(data: Iterable[Fields], rows: DelimitedRows, tally: Tally) -> Iterator[list[str]]:
    """Yield the rows with as many fields as the first row; count the other rows, and note the line of the first one."""
    for row in data:
        tally["records"] += 1
        if row is not None and len(row) == rows.width:
            yield row
        else:
            tally["dropped", "bad_row"] += 1
            tally.setdefault(FIRST_BAD, rows.line + tally["dropped", "long_line"])


class DelimitedRows:
    """Iterator over the rows of non-blank lines; a broken row is None.

    `line` is the number, from 1, of the line on which the latest row began.
    """

    def __init__(self, text: Iterable[str], dialect: Dialect):
        self.dialect = dialect
        self.line = 0
        self.width: int | None = None  # number of fields in a row, once it is known
        self.is_pair: Callable[[list[str]], bool] = lambda row: False  # It says whether a row is a pair.
        self._text = iter(text)
        self._own: list[str] = []  # the lines of the row that is being read
        self._again: list[str] = []  # a line that was read but belongs to the next row
        self._left = LONGEST_LINE  # number of characters that the row may still have
        self._rows = self._plain() if dialect.quotes == PLAIN else self._quoted()

    def __iter__(self) -> Iterator[Fields]:
        return self._rows

    def _plain(self) -> Iterator[Fields]:
        for number, line in enumerate(self._text, 1):
            if line.strip():
                self.line = number
                yield self.dialect.plain_row(line)

    def _quoted(self) -> Iterator[Fields]:
        reader = self._reader()
        begin = 1
        while True:
            begin += len(self._own)
            self.line = begin
            self._own = []
            self._left = LONGEST_LINE
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:  # A quote that never ends also causes this, at csv's limit of 128 KB per field.
                if len(self._own) > 1:  # The line that broke the row begins the next row.
                    self._again.append(self._own.pop())
                yield from self._alone()
                reader = self._reader()
                continue
            if len(self._own) > 1 and all(map(self._is_plain_pair, self._own)):
                # The row reaches from one stray quote to another.
                yield from self._alone()
            elif row:
                yield row

    def _reader(self) -> Iterator[list[str]]:
        escape = "\\" if self.dialect.quotes == ESCAPED else None
        return csv.reader(
            iter(self._next_line, None),
            delimiter=self.dialect.delimiter,
            escapechar=escape,
            doublequote=escape is None,
            strict=True,
        )

    def _next_line(self) -> str | None:
        line = self._again.pop() if self._again else next(self._text, None)
        if line is None:
            return None
        self._own.append(line)
        self._left -= len(line)
        if self._left < 0:
            raise csv.Error("a row without end")
        is_escaped = self.dialect.quotes == ESCAPED and "\\" in line
        return _escaped(line, len(self._own) > 1) if is_escaped else line

    def _alone(self) -> Iterator[Fields]:
        """Yield one row for each line of the current row, because its quotes have no partner."""
        for number, line in enumerate(self._own, self.line):
            if line.strip():
                self.line = number
                yield self._of_line(line)

    def _of_line(self, line: str) -> Fields:
        plain = self.dialect.plain_row(line)
        if len(plain) == self.width:
            return plain
        try:
            row = next(csv.reader([line], delimiter=self.dialect.delimiter))
        except csv.Error:
            return None
        return row if self.width in (None, len(row)) else None

    def _is_plain_pair(self, line: str) -> bool:
        row = self.dialect.plain_row(line)
        return len(row) == self.width and self.is_pair(row)


def _escaped(line: str, is_inside: bool) -> str:
    """Return a line with each backslash outside of quoted fields doubled: Spark writes such backslashes unescaped.

    `is_inside` says that the line begins inside a quoted field.
    """
    begin = '"' * is_inside
    return _QUOTED_OR_BACKSLASH.sub(lambda match: match[1] or "\\\\", begin + line)[len(begin) :]


def lines(file: BinaryIO, tally: Tally) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their line ends; bytes that are not UTF-8 become lone surrogates.

    If a packed file is truncated or corrupt, the lines end there, and `tally` counts the file as `truncated` or
    `corrupt_file`. OSError if a disk or network fails.
    """
    try:
        with io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="\n") as text:
            yield from _short(text, tally)
    except EOFError:
        tally["dropped", "truncated"] += 1
    except (zlib.error, gzip.BadGzipFile):
        tally["dropped", "corrupt_file"] += 1
    except OSError as error:  # Arrow also raises it for a broken zstd stream.
        if "Truncated compressed stream" in str(error):
            tally["dropped", "truncated"] += 1
        elif "ZSTD" in str(error):
            tally["dropped", "corrupt_file"] += 1
        else:
            raise


def _short(text: io.TextIOBase, tally: Tally) -> Iterator[str]:
    """Yield the lines of up to LONGEST_LINE characters; count longer lines in `tally`, and skip them."""
    while line := text.readline(LONGEST_LINE):
        if len(line) < LONGEST_LINE or line.endswith("\n"):
            yield line
        else:
            tally["records"] += 1
            tally["dropped", "long_line"] += 1
            while line and not line.endswith("\n"):
                line = text.readline(LONGEST_LINE)
