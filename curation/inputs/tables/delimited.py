"""Read CSV and TSV, with or without a header."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import BinaryIO

import pyarrow as pa

from curation.inputs.candidates import tallies
from curation.inputs.tables.candidate_rows import from_rows
from curation.inputs.tables.columns import TableOptions, named_columns
from curation.inputs.tables.lines import LONGEST_LINE, lines, unpacked_name
from runtime.errors import InputError

Fields = list[str] | None  # of a row; None for a broken one


def read(file: BinaryIO, path: str, options: TableOptions) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in a file, unpacked, and its tallies; the ending of its path says whether it is TSV."""
    tally = Counter(files=1)
    rows = _rows(lines(file, tally), path)
    first = next((row for row in rows if row is not None), None)
    if first is not None:
        columns = _columns(first, options, path)
        data = chain([first], rows) if options.numbers else rows
        wanted = itemgetter(*columns.values())  # at least two, so that it returns a tuple
        yield from from_rows(columns, map(wanted, _of_width(data, len(first), tally)), tally)
    yield tallies(tally)


def check(file: BinaryIO, path: str, options: TableOptions) -> None:
    """Refuse a file, unpacked, without the columns that are needed."""
    rows = _rows(lines(file, Counter()), path)
    _columns(next((row for row in rows if row is not None), []), options, path)


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


def _rows(text: Iterable[str], path: str) -> Iterator[Fields]:
    return _tsv_rows(text) if unpacked_name(path).endswith(".tsv") else _csv_rows(text)


def _tsv_rows(text: Iterable[str]) -> Iterator[Fields]:
    """Yield the fields of each line that is not blank. Captions are full of stray quotes, so a quote means nothing."""
    return (line.rstrip("\r\n").split("\t") for line in text if line.strip())


def _csv_rows(text: Iterable[str]) -> Iterator[Fields]:
    """Yield the fields of each row that is not blank; a quoted field may hold line ends."""
    lines = _RowLines(text)
    reader = csv.reader(lines)
    while True:
        lines.begin_row()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a quote that never ends stops at csv's limit for one field, 128 KB
            yield None
            continue
        if row:
            yield row


class _RowLines:
    """The lines that a csv reader takes, of which one row may have LONGEST_LINE characters at most."""

    def __init__(self, text: Iterable[str]):
        self._lines, self._left = iter(text), LONGEST_LINE

    def begin_row(self) -> None:
        """Say that the next line is the first of a row."""
        self._left = LONGEST_LINE

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._left -= len(line)
        if self._left < 0:
            raise csv.Error("a row without end")
        return line


def _of_width(rows: Iterable[Fields], width: int, tally: Counter[str]) -> Iterator[list[str]]:
    """Yield the rows that have `width` fields; others are counted."""
    for row in rows:
        tally["records"] += 1
        if row is not None and len(row) == width:
            yield row
        else:
            tally["dropped.bad_row"] += 1
