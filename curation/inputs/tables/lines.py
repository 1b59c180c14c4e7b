"""Text files of rows: unpacked, cut into lines, and read as JSON objects or as fields. A broken row is counted."""

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

LONGEST_LINE = 4 << 20  # characters; what is longer is no pair, and may not end before memory does


def unpack(file: BinaryIO, path: str) -> BinaryIO:
    """Return `file` unpacked, by the ending of its path, in lower case."""
    if path.endswith(".gz"):
        return gzip.GzipFile(fileobj=file)
    if path.endswith(".zst"):
        return pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
    return file


def lines(file: BinaryIO, tally: Counter) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their ends; bytes that are none become lone surrogates.

    A packed file that is cut or broken ends there, and is counted; a disk or network that fails is still an OSError.
    """
    try:
        with io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="\n") as text:
            yield from _short(text, tally)
    except EOFError:
        tally["dropped.truncated"] += 1
    except (zlib.error, gzip.BadGzipFile):
        tally["dropped.corrupt_file"] += 1
    except OSError as error:  # Arrow has no type of its own for a broken zstd stream
        if "Truncated compressed stream" in str(error):
            tally["dropped.truncated"] += 1
        elif "ZSTD" in str(error):
            tally["dropped.corrupt_file"] += 1
        else:
            raise


def _short(text: io.TextIOBase, tally: Counter) -> Iterator[str]:
    """Yield the lines of up to LONGEST_LINE characters; others are passed over piece by piece, and counted."""
    readline = partial(text.readline, LONGEST_LINE)
    for line in iter(readline, ""):
        if len(line) < LONGEST_LINE or line.endswith("\n"):
            yield line
        else:
            tally["records"] += 1
            tally["dropped.long_line"] += 1
            while line and not line.endswith("\n"):
                line = readline()


def json_objects(text: Iterable[str], tally: Counter) -> Iterator[dict[str, Any]]:
    """Yield the object of each line."""
    for line in text:
        if not line.strip():
            continue
        tally["records"] += 1
        value = _json(line)
        if type(value) is dict:
            yield value
        else:
            tally["dropped.bad_json"] += 1


def _json(line):
    try:
        return orjson.loads(line)
    except (
        ValueError
    ):  # also lone surrogates, which only the standard library lets pass: they are counted as what they are
        pass
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def tsv_rows(text: Iterable[str]) -> Iterator[list[str]]:
    """Yield the fields of each line that is not blank. Captions are full of stray quotes, so a quote means nothing."""
    return (line.rstrip("\r\n").split("\t") for line in text if line.strip())


def csv_rows(text: Iterable[str]) -> Iterator[list[str] | None]:
    """Yield the fields of each row that is not blank, None for a broken one; a quoted field may hold line ends."""
    lines = _RowLines(text)
    reader = csv.reader(lines)
    while True:
        lines.begin_row()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a quote that never ends stops at csv's limit for one field, 128 KB
            row = None
        if row != []:
            yield row


class _RowLines:
    """Lines for a csv reader, which takes one after the other as long as a row has quoted line ends."""

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


def rows_of_width(rows: Iterable[list[str] | None], width: int, tally: Counter) -> Iterator[list[str]]:
    """Yield the rows that have `width` fields."""
    for row in rows:
        tally["records"] += 1
        if row is not None and len(row) == width:
            yield row
        else:
            tally["dropped.bad_row"] += 1
