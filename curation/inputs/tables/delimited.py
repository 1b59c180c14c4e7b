"""Read CSV and TSV, with or without a header, in the dialect that is given or that their first rows show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import BinaryIO

import pyarrow as pa

from curation.inputs.candidates import FIRST_BAD, tallies
from curation.inputs.cleaning import HTTP_URL
from curation.inputs.tables.candidate_rows import from_rows
from curation.inputs.tables.columns import Glance, TableOptions, named_columns
from curation.inputs.tables.delimited_rows import Fields, Rows
from curation.inputs.tables.dialects import DIALECTS, Dialect, dialect_of, first_lines
from curation.inputs.tables.lines import lines
from runtime.errors import InputError

_WEB = re.compile(HTTP_URL)


def read(file: BinaryIO, path: str, options: TableOptions) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in a file, unpacked, and its tallies."""
    tally = Counter(files=1)
    rows, _ = _opened(lines(file, tally), path, options)
    first = next((row for row in rows if row is not None), None)
    if first is not None:
        columns = _columns(first, options, path)
        rows.expect(len(first), lambda row: _WEB.match(row[columns["url"]]) is not None)
        data = chain([first], rows) if options.numbers else rows
        wanted = itemgetter(*columns.values())  # at least two, so that it returns a tuple
        yield from from_rows(columns, map(wanted, _of_width(data, rows, tally)), tally)
    yield tallies(tally)


def check(file: BinaryIO, path: str, options: TableOptions) -> Glance:
    """Refuse a file, unpacked, without the columns that are needed, or without any row; return its dialect."""
    tally: Counter[str] = Counter()
    rows, dialect = _opened(lines(file, tally), path, options)
    first = next((row for row in rows if row is not None), None)
    if first is not None:
        _columns(first, options, path)
    elif options.numbers is None:
        what = "has no line that can be read" if tally else "is empty"
        raise InputError(f"{path} {what}; expected a line that names the columns, and rows of URL and text")
    return Glance(dialect=dialect.name)


def _opened(text: Iterator[str], path: str, options: TableOptions) -> tuple[Rows, Dialect]:
    """Return the rows of lines, and their dialect."""
    if options.dialect is not None:
        dialect = DIALECTS[options.dialect]
    else:
        begin = first_lines(text)
        dialect, text = dialect_of(begin, path, lambda rows: _worth(rows, options, path)), chain(begin, text)
    return Rows(text, dialect), dialect


def _worth(rows: Iterator[list[str]], options: TableOptions, path: str) -> int:
    """Return the number of rows that have a web address where it is expected; for a header whether it names columns."""
    first = next(rows, [])
    try:
        columns = _columns(first, options, path)
    except InputError:
        return 0
    if options.numbers is None:
        return 1
    alike = (row for row in chain([first], rows) if row and len(row) == len(first))
    return sum(_WEB.match(row[columns["url"]]) is not None for row in alike)


def _columns(first: list[str], options: TableOptions, path: str) -> dict[str, int]:
    """Return the position of each field of candidates, by the first row of the file."""
    columns = options.numbers
    if columns is None:
        return {field: first.index(name) for field, name in named_columns(first, options, path).items()}
    if first and max(columns.values()) >= len(first):
        raise InputError(
            f"{path} has {len(first)} columns, so there is none with number {max(columns.values())}: they count from 0;"
            " choose others with --url-column and --text-column"
        )
    return columns


def _of_width(data: Iterable[Fields], rows: Rows, tally: Counter[str]) -> Iterator[list[str]]:
    """Yield the rows that have as many fields as the first one; others are counted, and the line of the first noted."""
    for row in data:
        tally["records"] += 1
        if row is not None and len(row) == rows.width:
            yield row
        else:
            tally["dropped.bad_row"] += 1
            tally.setdefault(FIRST_BAD, rows.line + tally["dropped.long_line"])
