"""Recognise the dialect of CSV and TSV by a file's first lines.

pandas and Excel quote only the fields that need quotes, and double the quotes inside. Arrow quotes all strings. Spark
puts a backslash before a quote inside a field. Other programs write captions unchanged, and their quotes are plain
characters.
"""

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

import pyarrow.csv as pa_csv

from curation.inputs.tables.signatures import unpacked_name
from runtime.arrow import gather

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";"}
QUOTED, ESCAPED, PLAIN = "quoted", "escaped", "plain"
DIALECT_CHARACTERS = 256 << 10  # The dialect is recognised from the first lines, up to this many characters.
_FIELDS = {QUOTED: r'"([^"]*(?:""[^"]*)*)"', ESCAPED: r'"([^"\\]*(?:\\.[^"\\]*)*)"'}
_MEANINGS = {
    QUOTED: "fields may be in quotes",
    ESCAPED: "fields may be in quotes, with a backslash before each quote inside",
    PLAIN: "quotes are ordinary characters",
}


@dataclass(frozen=True)
class Dialect:
    """The delimiter between a line's fields, and the meaning of quotes."""

    name: str  # the value of --dialect
    delimiter: str
    quotes: str  # QUOTED: quotes are doubled; ESCAPED: they follow a \; PLAIN: they are ordinary characters

    def __str__(self) -> str:
        return f"a {self.name.partition('-')[0]} between fields; {_MEANINGS[self.quotes]}"

    def plain_row(self, line: str) -> list[str]:
        """Return the fields of a line, with quotes as ordinary characters."""
        return line.rstrip("\r\n").split(self.delimiter)

    def arrow(self) -> pa_csv.ParseOptions:
        """Return Arrow's parse options for this dialect."""
        return pa_csv.ParseOptions(
            delimiter=self.delimiter,
            quote_char=False if self.quotes == PLAIN else '"',
            double_quote=self.quotes == QUOTED,
            escape_char="\\" if self.quotes == ESCAPED else False,
            newlines_in_values=self.quotes != PLAIN,
        )


DIALECTS = {
    f"{name}-{quotes}": Dialect(f"{name}-{quotes}", delimiter, quotes)
    for (name, delimiter), quotes in product(DELIMITERS.items(), (QUOTED, ESCAPED, PLAIN))
}


def first_lines(text: Iterator[str]) -> list[str]:
    """Take the first lines from `text`: until they have DIALECT_CHARACTERS characters, or all."""
    return next(gather(text, len, DIALECT_CHARACTERS), [])


def dialect_of(lines: list[str], path: str, worth: Callable[[Iterator[list[str]]], int]) -> Dialect:
    """Return the dialect of a file, recognised from its first lines.

    The delimiter is the one whose rows have the largest `worth`; among equals, the tab for .tsv and the comma for
    others.
    """
    usual = "tab" if unpacked_name(path).endswith(".tsv") else "comma"
    names = sorted(DELIMITERS, key=lambda name: name != usual)
    name = max(names, key=lambda candidate: worth(_rows(lines, DELIMITERS[candidate])))
    return DIALECTS[f"{name}-{_quotes(''.join(lines), DELIMITERS[name])}"]


def _rows(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    with suppress(csv.Error):  # A quote that never ends causes this.
        yield from filter(None, csv.reader(lines, delimiter=delimiter))


def _quotes(text: str, delimiter: str) -> str:
    """Return the meaning of quotes: QUOTED, ESCAPED or PLAIN.

    In CSV, quotes are never plain, because a stray quote does no harm there (`DelimitedRows`). In TSV, quotes are plain
    with two exceptions: more fields need quotes than have stray ones, or there is a quoted field for at least half of
    the lines, and more fields have needless quotes than stray ones.
    """
    if '"' not in text or (delimiter != "\t" and r"\"" not in text):
        return PLAIN if delimiter == "\t" else QUOTED
    needed, other, stray = _counts(text, delimiter, QUOTED)
    style = QUOTED
    if r"\"" in text:
        counts = _counts(text, delimiter, ESCAPED)
        if counts[2] < stray:
            style = ESCAPED
            needed, other, stray = counts
    is_usual = 2 * (needed + other) >= text.count("\n") and other > stray
    return style if delimiter != "\t" or needed > stray or is_usual else PLAIN


def _counts(text: str, delimiter: str, style: str) -> tuple[int, int, int]:
    """Return the numbers of fields with needed quotes, with needless quotes, and with a stray quote."""
    end = f"{delimiter}\r\n"
    special = f'[{delimiter}"\\\\]' if _is_even(text, delimiter) else f'[{end}"\\\\]'
    fields = re.compile(rf'(?:^|(?<=[{end}])){_FIELDS[style]}(?=[{end}]|\Z)|[^{end}"]*"[^{end}]*', re.S)
    contents = [field[1] for field in fields.finditer(text)]
    quoted = [field for field in contents if field is not None]
    needed = sum(re.search(special, field) is not None for field in quoted)
    return needed, len(quoted) - needed, len(contents) - len(quoted)


def _is_even(text: str, delimiter: str) -> bool:
    """Say whether all complete lines have the same number of delimiters, so that no quoted field holds a line end."""
    return len({line.count(delimiter) for line in text.split("\n")[:-1] if line.strip()}) <= 1
