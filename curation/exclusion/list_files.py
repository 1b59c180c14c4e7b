"""Read files of exclusion lists: lines of text, or tables with a column of uids or URLs.

A line is `kind:value`, or a value whose form shows its kind. Blank lines and lines that begin with # are passed over.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from os import PathLike
from typing import BinaryIO

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from curation.exclusion.kinds import KINDS, Lists, first_bad, flags
from curation.inputs.tables.columns import RECOGNISED
from curation.inputs.tables.lines import unpack
from runtime.errors import InputError
from runtime.storage.bounded_parquet import BoundedParquet
from runtime.storage.listing import name_of

_TEXT_BYTES = 16 << 20  # of text that is read at once
_ROWS = 1 << 20  # rows of a table that are read at once
_SHOWN = 80  # characters of a bad line that a refusal shows
_BOM = b"\xef\xbb\xbf"
_UNREADABLE = (OSError, EOFError, ImportError, ValueError, zlib.error, pa.ArrowException)

# A line without `kind:` is of the first kind whose form it has.
_FORMS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "uid": lambda lines: pc.match_substring_regex(lines, "^[0-9a-fA-F]{32}$"),
    "url": lambda lines: pc.match_substring(lines, "://"),
    "domain": lambda lines: pc.match_substring(lines, "."),
}
_NO_FORM = (
    "neither a uid (32 hexadecimal digits) nor a URL (https://...) nor a domain (example.org); "
    f"say what it is by {', '.join(f'{kind}:' for kind in KINDS)}"
)
_KIND_OF_COLUMN = {name: kind for kind in ("uid", "url") for name in RECOGNISED[kind]}


def read_lists(paths: Iterable[str | PathLike[str]]) -> Lists:
    """Return the values of all files; a file that cannot be read, or a bad line, is refused."""
    lists = Lists()
    for path in map(str, paths):
        for kind, values in read_list(path):
            KINDS[kind].gather(lists, values)
    return lists


def read_list(path: str) -> Iterator[tuple[str, pa.Array]]:
    """Yield kind and values, many at once, of a file; one that cannot be read, or a bad line, is refused."""
    ending = name_of(path).removesuffix(".gz").removesuffix(".zst").rpartition(".")[2]
    with _opened(path) as file:
        yield from _READERS.get(ending, _read_text)(file, path)


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """Give the file unpacked; refuse a file that cannot be read in one sentence."""
    try:
        with fsspec.open(path, "rb") if "://" in path else open(path, "rb") as file:
            yield unpack(file, name_of(path))
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(f"the list {path} cannot be read ({error}); give a text file or a table") from None


def _read_text(file: BinaryIO, path: str) -> Iterator[tuple[str, pa.Array]]:
    for first, text in _whole_lines(file, path):
        lines = _lines(text)
        for kind, numbers, values in _by_kind(lines):
            bad = first_bad(kind, values) if kind in KINDS else 0
            if bad is not None:
                number = int(numbers[bad])
                reason = f"no {KINDS[kind].expected}" if kind in KINDS else _NO_FORM
                raise InputError(f"{path}, line {first + number}: {lines[number].as_py()[:_SHOWN]!r} is {reason}")
            yield kind, values


def _whole_lines(file: BinaryIO, path: str) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines, many at once, with the number of the first, which counts from 1."""
    number, rest = 1, file.read(len(_BOM)).removeprefix(_BOM)
    for data in chain(iter(lambda: file.read(_TEXT_BYTES), b""), [b"\n"]):
        whole, end, after = data.rpartition(b"\n")
        if end:
            text, rest = rest + whole + end, after
            _require_utf8(text, number, path)
            yield number, text
            number += text.count(b"\n")
        else:
            rest += data


def _require_utf8(text: bytes, number: int, path: str) -> None:
    """Refuse lines that are not UTF-8; `number` is that of the first."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line = number + text.count(b"\n", 0, error.start)
        raise InputError(f"{path}, line {line}: byte {text[error.start]:#x} is not UTF-8; save it as UTF-8") from None


def _lines(text: bytes) -> pa.Array:
    """Return the lines without the white space at their ends."""
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    offsets = pa.py_buffer(np.append(0, ends).astype(np.int64))
    return pc.utf8_trim_whitespace(pa.LargeStringArray.from_buffers(len(ends), offsets, pa.py_buffer(text)))


def _by_kind(lines: pa.Array) -> Iterator[tuple[str, np.ndarray, pa.Array]]:
    """Yield each kind with the numbers of its lines, from 0, and their values; last those of no kind, as `none`."""
    left = np.flatnonzero(flags(pc.and_not(pc.not_equal(lines, ""), pc.starts_with(lines, "#"))))
    for kind in KINDS:
        numbers, left = _split(lines, left, partial(pc.starts_with, pattern=f"{kind}:"))
        values = pc.utf8_slice_codeunits(lines.take(pa.array(numbers)), len(f"{kind}:"))
        yield kind, numbers, pc.utf8_ltrim_whitespace(values)
    for kind, form in _FORMS.items():
        numbers, left = _split(lines, left, form)
        yield kind, numbers, lines.take(pa.array(numbers))
    if len(left):
        yield "none", left, lines.take(pa.array(left))


def _split(lines: pa.Array, numbers: np.ndarray, form: Callable[[pa.Array], pa.Array]) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the lines that have the form, and the others."""
    has_form = flags(form(lines.take(pa.array(numbers))))
    return numbers[has_form], numbers[~has_form]


def _read_parquet(file: BinaryIO, path: str) -> Iterator[tuple[str, pa.Array]]:
    table = BoundedParquet(file)
    columns = _columns(table.schema.names, path)
    return _read_table(table.batches(list(columns), _ROWS), columns, path)


def _read_csv(file: BinaryIO, path: str, delimiter: str = ",") -> Iterator[tuple[str, pa.Array]]:
    # Columns are chosen by name: Arrow would guess the types of the others, and fail where it guessed wrong.
    with _opened(path) as again, io.TextIOWrapper(again, "utf-8-sig") as text:
        columns = _columns(next(csv.reader(text, delimiter=delimiter), []), path)
    types = dict.fromkeys(columns, pa.large_string())
    batches = pa_csv.open_csv(
        file,
        read_options=pa_csv.ReadOptions(block_size=_TEXT_BYTES),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(include_columns=list(columns), column_types=types),
    )
    return _read_table(batches, columns, path)


def _read_tsv(file: BinaryIO, path: str) -> Iterator[tuple[str, pa.Array]]:
    return _read_csv(file, path, delimiter="\t")


_READERS = {"parquet": _read_parquet, "csv": _read_csv, "tsv": _read_tsv}


def _read_table(
    batches: Iterable[pa.RecordBatch], columns: dict[str, str], path: str
) -> Iterator[tuple[str, pa.Array]]:
    rows = 0
    for batch in batches:
        for name, kind in columns.items():
            values = batch[name].cast(pa.large_string())
            given = np.flatnonzero(flags(pc.not_equal(values, "")))
            stated = values.take(pa.array(given))
            bad = first_bad(kind, stated)
            if bad is not None:
                row = int(given[bad])
                where = f"{path}, row {rows + row + 1}, column {name}"
                raise InputError(f"{where}: {values[row].as_py()[:_SHOWN]!r} is no {KINDS[kind].expected}")
            yield kind, stated
        rows += batch.num_rows


def _columns(names: list[str], path: str) -> dict[str, str]:
    """Return the kind of each column that is read; all other columns are passed over."""
    columns = {name: _KIND_OF_COLUMN[name] for name in names if name in _KIND_OF_COLUMN}
    if not columns:
        wanted = " or ".join(_KIND_OF_COLUMN)
        raise InputError(f"{path} has the columns {', '.join(names) or '(none)'}; expected one named {wanted}")
    return columns
