"""Cut the lines of CSV and TSV into rows. A quote that breaks rows costs no other row: it means nothing in its line."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator

from curation.inputs.tables.dialects import ESCAPED, PLAIN, Dialect
from curation.inputs.tables.lines import LONGEST_LINE

Fields = list[str] | None  # of a row; None for a broken one
_QUOTED_OR_BACKSLASH = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\Z))|\\', re.S)  # the first in a quoted field, the second not


class Rows:
    """The rows of lines that are not blank; `line` is the number of the one with which the last row began, from 1."""

    def __init__(self, text: Iterable[str], dialect: Dialect):
        self.line = 0
        self.width: int | None = None  # fields of a row, once they are known
        self._is_pair: Callable[[list[str]], bool] = lambda row: False
        self._dialect = dialect
        self._rows = self._plain(iter(text)) if dialect.quotes == PLAIN else self._quoted(_RowLines(text, dialect))

    def __iter__(self) -> Iterator[Fields]:
        return self._rows

    def expect(self, width: int, is_pair: Callable[[list[str]], bool]) -> None:
        """Say how many fields the rows have, and which of these rows are pairs."""
        self.width, self._is_pair = width, is_pair

    def _plain(self, text: Iterator[str]) -> Iterator[Fields]:
        for number, line in enumerate(text, 1):
            if line.strip():
                self.line = number
                yield self._dialect.plain_row(line)

    def _quoted(self, lines: _RowLines) -> Iterator[Fields]:
        escape = "\\" if self._dialect.quotes == ESCAPED else None
        reader = csv.reader(
            lines, delimiter=self._dialect.delimiter, escapechar=escape, doublequote=escape is None, strict=True
        )
        while True:
            self.line = lines.begin_row()
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:  # also a quote that never ends: at csv's limit for one field, 128 KB
                yield from self._alone(lines.broken())
                continue
            if len(lines.own) > 1 and all(map(self._is_plain_pair, lines.own)):  # from one stray quote to another
                yield from self._alone(lines.own)
            elif row:
                yield row

    def _alone(self, lines: list[str]) -> Iterator[Fields]:
        """Yield a row for each of lines in which quotes have no partner."""
        for number, line in enumerate(lines, self.line):
            if line.strip():
                self.line = number
                yield self._of_line(line)

    def _of_line(self, line: str) -> Fields:
        plain = self._dialect.plain_row(line)
        if len(plain) == self.width:
            return plain
        try:
            row = next(csv.reader([line], delimiter=self._dialect.delimiter))
        except csv.Error:
            return None
        return row if self.width in (None, len(row)) else None

    def _is_plain_pair(self, line: str) -> bool:
        row = self._dialect.plain_row(line)
        return len(row) == self.width and self._is_pair(row)


class _RowLines:
    """Gives lines to a csv reader: for one row, LONGEST_LINE characters at most."""

    def __init__(self, text: Iterable[str], dialect: Dialect):
        self.own: list[str] = []  # of the row that is read
        self._text, self._escapes = iter(text), dialect.quotes == ESCAPED
        self._number, self._left = 1, LONGEST_LINE
        self._again: list[str] = []  # a line that was read for another row

    def begin_row(self) -> int:
        """Say that the next line is the first of a row; return its number."""
        self._number += len(self.own)
        self.own, self._left = [], LONGEST_LINE
        return self._number

    def broken(self) -> list[str]:
        """Return the lines of the row without the one that broke it, which the next row begins with, if others did."""
        if len(self.own) > 1:
            self._again.append(self.own.pop())
        return self.own

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._text)
        self.own.append(line)
        self._left -= len(line)
        if self._left < 0:
            raise csv.Error("a row without end")
        return _escaped(line, len(self.own) > 1) if self._escapes and "\\" in line else line


def _escaped(line: str, is_inside: bool) -> str:
    """Return a line with backslashes outside of quoted fields doubled: Spark writes these as they are.

    `is_inside`: the line begins in a quoted field.
    """
    begin = '"' * is_inside
    return _QUOTED_OR_BACKSLASH.sub(lambda found: found[1] or "\\\\", begin + line)[len(begin) :]
