"""Unpack text files, cut them into lines, and recognise the dialect of CSV and TSV by a file's first lines.

A line that is too long is counted and skipped. pandas and Excel quote only the fields that need quotes, and double the
quotes inside. Arrow quotes all strings. Spark puts a backslash before a quote inside a field. Other programs write
captions unchanged, and their quotes are plain characters.
"""

import csv
import gzip
import io
import re
import zlib
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv

from runtime.arrow import gather
from runtime.errors import InputError
from runtime.packages import table_rows
from runtime.storage.listing import name_of

LONGEST_LINE = 4 << 20  # characters; a longer line is not a pair, and might not fit into memory
PACKINGS = (".gz", ".zst")

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";"}
QUOTED, ESCAPED, PLAIN = "quoted", "escaped", "plain"
DIALECT_CHARACTERS = 256 << 10  # The dialect is recognised from the first lines, up to so many characters.
_FIELDS = {QUOTED: r'"([^"]*(?:""[^"]*)*)"', ESCAPED: r'"([^"\\]*(?:\\.[^"\\]*)*)"'}
_MEANINGS = {
    QUOTED: "fields may stand in quotes",
    ESCAPED: "fields may stand in quotes, with backslashes before quotes in them",
    PLAIN: "quotes mean nothing",
}


@dataclass(frozen=True)
class Signature:
    """A kind of file that is known by its first bytes, and how a file of this kind can be used."""

    pattern: bytes  # matches the first bytes
    what: str
    remedy: str

    def refusal(self, path: str) -> InputError:
        """Return the error for the file at `path`, whose name says something else."""
        return InputError(f"{path} is {self.what}, not what its name says; {self.remedy}")


SIGNATURES = [
    Signature(row["pattern"].encode(), row["what"], row["remedy"])
    for row in table_rows("curation.inputs.tables", "signatures.csv")
]
PARQUET, GZIP, ZSTD = SIGNATURES[:3]
_FIRST_BYTES = 512


def unpacked_name(path: str) -> str:
    """Return a path in lower case, a URL without its query, without the extension of a packing, .gz or .zst.

    >>> unpacked_name("A.TSV.gz")
    'a.tsv'
    """
    return reduce(str.removesuffix, PACKINGS, name_of(path))


def signature_of(file: BinaryIO) -> Signature | None:
    """Return the signature with which an opened file begins, or None; then go back to the file's beginning."""
    begin = file.read(_FIRST_BYTES)
    file.seek(0)
    return next((signature for signature in SIGNATURES if re.match(signature.pattern, begin, re.DOTALL)), None)


def unpack(file: BinaryIO, path: str) -> BinaryIO:
    """Return `file` unpacked, if its first bytes or else its extension say that it is packed by gzip or zstd.

    InputError if the first bytes show that the file is neither text nor packed in one of these ways. Parquet is
    returned unchanged.
    """
    signature = signature_of(file)
    name = name_of(path)
    if signature is GZIP or (signature is None and name.endswith(".gz") and not _is_text(file)):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # its stub lacks parts of BinaryIO
    if signature is ZSTD or (signature is None and name.endswith(".zst") and not _is_text(file)):
        return pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
    if signature is not None and signature is not PARQUET:
        raise signature.refusal(path)
    return file


def _is_text(file: BinaryIO) -> bool:
    """Say whether a file begins with text; an empty file does not."""
    begin = file.read(_FIRST_BYTES)
    file.seek(0)
    with suppress(UnicodeDecodeError):
        # The bytes may end in half a character.
        return begin != b"" and "\0" not in getincrementaldecoder("utf-8")().decode(begin)
    return False


def lines(file: BinaryIO, tally: Counter[str]) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their line ends; bytes that are not UTF-8 become lone surrogates.

    If a packed file is truncated or corrupt, the lines end there, and `tally` counts the file. OSError if a disk or
    network fails.
    """
    try:
        with io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="\n") as text:
            yield from _short(text, tally)
    except EOFError:
        tally["dropped.truncated"] += 1
    except (zlib.error, gzip.BadGzipFile):
        tally["dropped.corrupt_file"] += 1
    except OSError as error:  # Arrow raises it for a broken zstd stream, too.
        if "Truncated compressed stream" in str(error):
            tally["dropped.truncated"] += 1
        elif "ZSTD" in str(error):
            tally["dropped.corrupt_file"] += 1
        else:
            raise


def _short(text: io.TextIOBase, tally: Counter[str]) -> Iterator[str]:
    """Yield the lines of up to LONGEST_LINE characters; count longer lines in `tally`, and skip them."""
    while line := text.readline(LONGEST_LINE):
        if len(line) < LONGEST_LINE or line.endswith("\n"):
            yield line
        else:
            tally["records"] += 1
            tally["dropped.long_line"] += 1
            while line and not line.endswith("\n"):
                line = text.readline(LONGEST_LINE)


@dataclass(frozen=True)
class Dialect:
    """The delimiter between a line's fields, and the meaning of quotes."""

    name: str  # the value of --dialect
    delimiter: str
    quotes: str  # QUOTED (quotes in quoted fields are doubled), ESCAPED or PLAIN

    def __str__(self) -> str:
        return f"a {self.name.partition('-')[0]} between fields, and {_MEANINGS[self.quotes]}"

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
    with suppress(csv.Error):  # The file has a quote that never ends.
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
