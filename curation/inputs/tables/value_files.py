"""Read files of single values, such as URLs or captions: lines of text, or a column of a table chosen by name."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from curation.inputs.tables.delimited import Rows
from curation.inputs.tables.dialects import dialect_of, first_lines
from curation.inputs.tables.lines import lines, unpack
from curation.inputs.tables.parquet import uid_bytes
from runtime.errors import InputError
from runtime.storage.bounded_parquet import BoundedParquet
from runtime.storage.listing import name_of

_TEXT_BYTES = 16 << 20  # of text that is read at once
_ROWS = 1 << 20  # rows of a table that are read at once
_BOM = b"\xef\xbb\xbf"
_UNREADABLE = (OSError, EOFError, ImportError, ValueError, zlib.error, pa.ArrowException)

Columns = Callable[[list[str]], list[str]]  # chooses among the names of a table's columns, or refuses


@contextmanager
def opened(path: str, what: str) -> Iterator[BinaryIO]:
    """Yield the file unpacked; refuse one that cannot be read, in a sentence that calls it `what`."""
    try:
        with fsspec.open(path, "rb") if "://" in path else open(path, "rb") as file:
            yield unpack(file, name_of(path))
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(f"{what} {path} cannot be read ({error}); give a text file or a table") from None


def is_table(path: str) -> bool:
    """Return whether `table_batches` reads a file, by its ending."""
    return _ending(path) in _READERS


def text_lines(file: BinaryIO, path: str) -> Iterator[tuple[int, pa.Array]]:
    """Yield lines, many at once, without the white space at their ends; with the number of the first, from 1."""
    number, rest = 1, file.read(len(_BOM)).removeprefix(_BOM)
    for data in chain(iter(lambda: file.read(_TEXT_BYTES), b""), [b"\n"]):
        whole, end, after = data.rpartition(b"\n")
        if end:
            text, rest = rest + whole + end, after
            _require_utf8(text, number, path)
            cut = pc.split_pattern(pa.array([text[: -len(end)]], pa.large_string()), end.decode())
            yield number, pc.utf8_trim_whitespace(cut.flatten())
            number += text.count(b"\n")
        else:
            rest += data


def table_batches(file: BinaryIO, path: str, columns: Columns) -> Iterator[pa.RecordBatch]:
    """Yield these columns of the rows of a Parquet, CSV or TSV file as large strings."""
    for batch in _READERS[_ending(path)](file, path, columns):
        names = batch.schema.names
        if repeated := [name for name, number in Counter(names).items() if number > 1]:
            raise InputError(f"{path} has several columns {repeated[0]}; leave out all but one")
        values = [uid_bytes(batch[name]) if name.lower() == "uid" else batch[name] for name in names]
        yield pa.RecordBatch.from_arrays([each.cast(pa.large_string()) for each in values], names)


def _require_utf8(text: bytes, number: int, path: str) -> None:
    """Refuse lines that are not UTF-8; `number` is that of the first."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line = number + text.count(b"\n", 0, error.start)
        raise InputError(f"{path}, line {line}: byte {text[error.start]:#x} is not UTF-8; save it as UTF-8") from None


def _ending(path: str) -> str:
    return name_of(path).removesuffix(".gz").removesuffix(".zst").rpartition(".")[2]


def _read_parquet(file: BinaryIO, path: str, columns: Columns) -> Iterator[pa.RecordBatch]:
    table = BoundedParquet(file)
    return table.batches(columns(table.schema.names), _ROWS)


def _read_csv(file: BinaryIO, path: str, columns: Columns) -> Iterator[pa.RecordBatch]:
    # Columns are chosen by name: Arrow would guess the types of the others, and fail where it guessed wrong.
    with opened(path, "the file") as again:
        begin = first_lines(lines(again, Counter()))
    dialect = dialect_of(begin, path, partial(_has_columns, columns))
    chosen = columns(next((row for row in Rows(begin, dialect) if row), []))
    types = dict.fromkeys(chosen, pa.large_string())
    return pa_csv.open_csv(
        file,
        read_options=pa_csv.ReadOptions(block_size=_TEXT_BYTES),
        parse_options=dialect.arrow(),
        convert_options=pa_csv.ConvertOptions(include_columns=chosen, column_types=types),
    )


def _has_columns(columns: Columns, rows: Iterator[list[str]]) -> int:
    try:
        return len(columns(next(rows, [])))
    except InputError:
        return 0


_READERS = {"parquet": _read_parquet, "csv": _read_csv, "tsv": _read_csv}
