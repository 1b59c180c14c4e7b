"""Read CSV and TSV, with or without a header, in the dialect that is given or that their first rows show.

A quote that is opened and never closed would swallow all rows after it, so it is read as an ordinary character.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import BinaryIO

import pyarrow as pa

from curation.inputs.candidates import FIRST_BAD, HTTP_URL, from_rows, tallies
from curation.inputs.tables.columns import Glance, TableOptions, named_columns
from curation.inputs.tables.lines import DIALECTS, ESCAPED, LONGEST_LINE, PLAIN, Dialect, dialect_of, first_lines, lines
from runtime.errors import InputError

Fields = list[str] | None  # of a row; None for a broken one
_WEB = re.compile(HTTP_URL)
_QUOTED_OR_BACKSLASH = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\Z))|\\', re.S)  # the first in a quoted field, the second not


def read(file: BinaryIO, path: str, options: TableOptions) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in a file, unpacked, and its tallies."""
    tally = Counter(files=1)
    rows, first, columns = _opened(file, path, options, tally)
    if first is not None:
        rows.width, rows.is_pair = len(first), lambda row: _WEB.match(row[columns["url"]]) is not None
        data = rows if options.numbers(path) is None else chain([first], rows)
        wanted = itemgetter(*columns.values())  # at least two, so that it returns a tuple
        yield from from_rows(columns, map(wanted, _of_width(data, rows, tally)), tally)
    yield tallies(tally)


def check(file: BinaryIO, path: str, options: TableOptions) -> Glance:
    """Refuse a file, unpacked, without the columns that are needed, or without any row; return its dialect."""
    tally: Counter[str] = Counter()
    rows, first, columns = _opened(file, path, options, tally)
    numbers = options.numbers(path)
    if first is None and numbers is None:
        what = "has no line that can be read" if tally else "is empty"
        raise InputError(f"{path} {what}; expected a line that names the columns, and rows of URL and text")
    named = {field: str(place) if numbers else (first or [])[place] for field, place in columns.items()}
    return Glance(named, dialect=rows.dialect.name)


def _opened(
    file: BinaryIO, path: str, options: TableOptions, tally: Counter[str]
) -> tuple[DelimitedRows, Fields, dict[str, int]]:
    """Return the rows of a file behind the first that is not broken, that one, and the position of each field in it."""
    text = lines(file, tally)
    if options.dialect is not None:
        dialect = DIALECTS[options.dialect]
    else:
        begin = first_lines(text)
        dialect, text = dialect_of(begin, path, lambda rows: _worth(rows, options, path)), chain(begin, text)
    rows = DelimitedRows(text, dialect)
    first = next((row for row in rows if row is not None), None)
    return rows, first, {} if first is None else _columns(first, options, path)


def _worth(rows: Iterator[list[str]], options: TableOptions, path: str) -> int:
    """Return the number of rows that have a web address where it is expected; for a header whether it names columns."""
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
    """Return the position of each field of candidates, by the first row of the file."""
    columns = options.numbers(path)
    if columns is None:
        return {field: first.index(name) for field, name in named_columns(first, options, path).items()}
    if first and max(columns.values()) >= len(first):
        raise InputError(
            f"{path} has {len(first)} columns, so there is none with number {max(columns.values())}: they count from 0;"
            " choose others with --url-column and --text-column"
        )
    return columns


def _of_width(data: Iterable[Fields], rows: DelimitedRows, tally: Counter[str]) -> Iterator[list[str]]:
    """Yield the rows with as many fields as the first row; count other rows, and note the first one's line."""
    for row in data:
        tally["records"] += 1
        if row is not None and len(row) == rows.width:
            yield row
        else:
            tally["dropped.bad_row"] += 1
            tally.setdefault(FIRST_BAD, rows.line + tally["dropped.long_line"])


class DelimitedRows:
    """The rows of lines that are not blank; `line` is the number, from 1, of the line on which the last row began."""

    def __init__(self, text: Iterable[str], dialect: Dialect):
        self.dialect = dialect
        self.line = 0
        self.width: int | None = None  # fields of a row, once they are known
        self.is_pair: Callable[[list[str]], bool] = lambda row: False  # likewise: whether a row of this width is one
        self._text = iter(text)
        self._own: list[str] = []  # lines of the row that is read
        self._again: list[str] = []  # a line that was read for another row
        self._left = LONGEST_LINE  # characters that the row may still have
        self._rows = self._plain() if dialect.quotes == PLAIN else self._quoted()

    def __iter__(self) -> Iterator[Fields]:
        return self._rows

    def _plain(self) -> Iterator[Fields]:
        for number, line in enumerate(self._text, 1):
            if line.strip():
                self.line = number
                yield self.dialect.plain_row(line)

    def _quoted(self) -> Iterator[Fields]:
        reader, begin = self._reader(), 1
        while True:
            begin += len(self._own)
            self.line, self._own, self._left = begin, [], LONGEST_LINE
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:  # also a quote that never ends: at csv's limit for one field, 128 KB
                if len(self._own) > 1:  # the line that broke the row begins the next one
                    self._again.append(self._own.pop())
                yield from self._alone()
                reader = self._reader()
                continue
            if len(self._own) > 1 and all(map(self._is_plain_pair, self._own)):  # from one stray quote to another
                yield from self._alone()
            elif row:
                yield row

    def _reader(self) -> Iterator[list[str]]:
        delimiter, escape = self.dialect.delimiter, "\\" if self.dialect.quotes == ESCAPED else None
        text = iter(self._next_line, None)
        return csv.reader(text, delimiter=delimiter, escapechar=escape, doublequote=escape is None, strict=True)

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
        """Yield a row for each of the lines, in which quotes have no partner."""
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
    """Return a line with backslashes outside of quoted fields doubled: Spark writes these as they are.

    `is_inside`: the line begins in a quoted field.
    """
    begin = '"' * is_inside
    return _QUOTED_OR_BACKSLASH.sub(lambda found: found[1] or "\\\\", begin + line)[len(begin) :]
