"""Read pairs from row groups of Parquet tables and from other Arrow batches, and single values from files of any kind.

Single values, such as URLs or captions, are lines of text, or a column of a table chosen by name. The data files of
Delta, Iceberg and Hudi tables are refused: they also hold deleted and replaced rows.
"""

import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from curation.image_ids import uid_bytes
from curation.inputs.candidates import BATCH_ROWS, from_columns
from curation.inputs.tables.columns import FLAG, MAX_DOTS, REQUIRED, Glance, TableOptions, named_columns
from curation.inputs.tables.dialects import dialect_of, first_lines
from curation.inputs.tables.signatures import PARQUET, signature_of, unpack, unpacked_name
from curation.inputs.tables.text import DelimitedRows, lines
from runtime.arrow import as_bytes, holds_strings, is_utf8
from runtime.errors import InputError
from runtime.messages import QUOTED, quoted
from runtime.storage.listing import ListedFiles, names_in, other_kind
from runtime.storage.parquet import BoundedParquet, unreadable
from runtime.storage.paths import names_above_root
from runtime.tallies import Tally

# Kind of table → the subfolder that marks it, and a pattern for the names of files in this subfolder.
MARKS = {
    "Delta": ("_delta_log", r"[^/]+"),
    "Iceberg": ("metadata", r"(v\d+|\d+-[0-9a-f-]{36})(\.gz)?\.metadata\.json(\.gz)?"),
    "Hudi": (".hoodie", r"hoodie\.properties"),
}
_PATTERNS = {kind: re.compile(f"(?P<table>.+)/{re.escape(folder)}/{name}") for kind, (folder, name) in MARKS.items()}
KindOf = Callable[[str], str | None]  # It maps a folder to its kind of table, or None.
_WITHOUT_FOLDERS = ("http://", "https://")  # A web server may answer with anything for a missing folder.

_TEXT_BYTES_AT_ONCE = 16 << 20  # This many bytes of text are read at once.
_ROWS_AT_ONCE = 1 << 20  # This many rows of a table are read at once.
_BOM = b"\xef\xbb\xbf"
_UNREADABLE = (OSError, EOFError, ImportError, ValueError, zlib.error, pa.ArrowException)

Columns = Callable[[list[str]], list[str]]  # It maps all column names to those to read, or raises an InputError.


def read(
    file: BinaryIO, path: str, options: TableOptions, tally: Tally, pieces: range | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in the row groups `pieces` of a file (None: in all), and count in `tally`."""
    table = BoundedParquet(file)
    columns = string_columns(table.schema, options, path)
    tally["files"] += 1

    def damaged() -> None:
        tally["dropped", "corrupt_file"] += 1

    for batch in table.batches(list(set(columns.values())), BATCH_ROWS, pieces, damaged):
        yield from from_batch(batch, columns, tally)


def check(file: BinaryIO, path: str, options: TableOptions) -> Glance:
    """Return columns, rows and compressed bytes per row group of a file; InputError if needed columns are missing."""
    try:
        table = BoundedParquet(file)
    except pa.ArrowInvalid as error:
        raise _refusal(file, path, error) from error
    columns = string_columns(table.schema, options, path)
    return Glance(columns, table.rows, table.group_bytes())


def _refusal(file: BinaryIO, path: str, error: pa.ArrowInvalid) -> InputError:
    """Return the error for a file that cannot be read as Parquet; it names the format that the first bytes show."""
    file.seek(0)
    signature = signature_of(file)
    begin = file.read(QUOTED).decode("utf-8", "replace")
    if signature is None:
        fault = f"begins with {quoted(begin)!r}" if begin else "is empty"
        return InputError(f"{path} cannot be read as Parquet: it {fault}")
    return unreadable(path, error) if signature is PARQUET else signature.refusal(path)


def string_columns(schema: pa.Schema, options: TableOptions, path: str, naming: str = FLAG) -> dict[str, str]:
    """Return the name of each field's column, for the fields that the table has; InputError for nested columns.

    A member of a struct is named by its path, as in `meta.caption`.
    """
    members = dict(_members(schema))
    columns = named_columns([*schema.names, *members], options, path, naming)
    for field, name in columns.items():
        kind = members.get(name) or schema.field(name).type
        if pa.types.is_nested(kind) or (field in REQUIRED and not holds_strings(kind)):
            remedy = f"name another column for the {field} with {naming.format(field)}"
            raise InputError(f"column {name} of {path} has the type {kind}; expected strings: {remedy}")
    return columns


def _members(fields: Iterable[pa.Field], within: str = "") -> Iterator[tuple[str, pa.DataType]]:
    """Yield path and type of each member of the structs among `fields`; skip lists and structs with a dotted name."""
    for field in fields:
        if within:
            yield within + field.name, field.type
        if pa.types.is_struct(field.type) and "." not in field.name and within.count(".") < MAX_DOTS:
            yield from _members(field.type, f"{within}{field.name}.")


def column_values(batch: pa.RecordBatch, name: str) -> pa.Array:
    """Return the column `name`, or the member of a struct if `name` is its path."""
    if name in batch.schema.names:
        return batch[name]
    column, *path = name.split(".")
    return pc.struct_field(batch[column], path)


def from_batch(batch: pa.RecordBatch, columns: dict[str, str], tally: Tally) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in a batch, and count in `tally` the rows that are dropped.

    `columns` maps each field to its column.
    """
    tally["records"] += batch.num_rows
    bytes_of_field = {field: as_bytes for field in columns} | {"uid": uid_bytes}
    arrays = [bytes_of_field[field](column_values(batch, name)) for field, name in columns.items()]
    try:
        strings = [array.cast(pa.string()) for array in arrays]
    except pa.ArrowInvalid:  # The strings of a table may not be UTF-8.
        rows = zip(*(array.to_pylist() for array in arrays), strict=True)
        valid = pa.array([all(map(is_utf8, row)) for row in rows], pa.bool_())
        tally["dropped", "bad_utf8"] += valid.false_count
        strings = [array.filter(valid).cast(pa.string()) for array in arrays]
    yield from from_columns(dict(zip(columns, strings, strict=True)), tally)


def require_no_table(contents: ListedFiles, kind_of: KindOf) -> None:
    """Refuse files that are part of a Delta, Iceberg or Hudi table.

    `kind_of` is `kind_of_table` or a cached version of it, called for folders whose files were not listed.
    """
    tables = dict(chain.from_iterable(map(_marked, [*contents.paths, *contents.hidden])))
    listed = tuple(f"{folder.rstrip('/')}/" for folder in contents.folders)
    for file in contents.paths:
        for folder in _parents(file):
            kind = tables.get(folder)
            if kind is None and not f"{folder}/".startswith(listed):
                kind = kind_of(folder)
            if kind is not None:
                raise InputError(
                    f"{folder} is a {kind} table, whose files also contain rows that were deleted or replaced; pass it "
                    "as the input table:NAME if Spark's catalog has it, or read it with curation.dataframes and "
                    f"spark.read.format('{kind.lower()}').load('{folder}')"
                )


def _marked(path: str) -> Iterator[tuple[str, str]]:
    """Yield (folder, kind of table) for each kind of table that the file `path` marks; the folder is the table's."""
    for kind, pattern in _PATTERNS.items():
        match = pattern.fullmatch(path)
        if match:
            yield match["table"], kind


def kind_of_table(folder: str) -> str | None:
    """Return the kind of table in a folder, from the files in its subfolders of MARKS; None for other folders."""
    if folder.startswith(_WITHOUT_FOLDERS) or "::" in folder:
        return None
    for mark, _ in MARKS.values():
        for name in names_in(f"{folder}/{mark}"):
            for _, kind in _marked(f"{folder}/{mark}/{name}"):
                return kind
    return None


def _parents(path: str) -> Iterator[str]:
    """Yield the folders that contain a file, the innermost first, up to a URL's host, bucket or dataset, without /."""
    root = path.find("://") + 3 if "://" in path else 0
    for _ in range(names_above_root(path)):
        root = path.find("/", root + 1)
    end = path.rfind("/")
    while end > root:
        yield path[:end]
        end = path.rfind("/", 0, end)


@contextmanager
def opened_table(path: str, what: str) -> Iterator[BinaryIO]:
    """Yield the unpacked file; InputError if it cannot be read, with a message that calls the file `what`."""
    if os.path.exists(path) and not os.path.isdir(path) and (kind := other_kind(path)):
        raise InputError(f"{what} {path} is a {kind}; pass a regular file, a text or a table")
    try:
        with fsspec.open(path, "rb") if "://" in path else open(path, "rb") as file:
            yield unpack(file, path)
    except InputError:
        raise
    except _UNREADABLE as error:
        missing = "it does not exist" if isinstance(error, FileNotFoundError) else error
        reason = getattr(error, "strerror", None) or missing
        raise InputError(f"{what} {path} cannot be read ({reason}); pass a text file or a table") from None


def is_table_file(path: str) -> bool:
    """Say whether `table_batches` can read a file, by its extension."""
    return _ending(path) in _READERS


def text_lines(file: BinaryIO, path: str) -> Iterator[tuple[int, pa.Array]]:
    """Yield many lines at once, stripped of white space, with the number of the first of them, counted from 1.

    InputError for bytes that are not UTF-8.
    """
    number = 1
    rest = file.read(len(_BOM)).removeprefix(_BOM)
    for data in chain(iter(lambda: file.read(_TEXT_BYTES_AT_ONCE), b""), [b"\n"]):
        whole, end, after = data.rpartition(b"\n")
        if end:
            text = rest + whole + end
            rest = after
            _require_utf8(text, number, path)
            cut = pc.split_pattern(pa.array([text[: -len(end)]], pa.large_string()), end.decode())
            yield number, pc.utf8_trim_whitespace(cut.flatten())
            number += text.count(b"\n")
        else:
            rest += data


def table_batches(file: BinaryIO, path: str, columns: Columns) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet, CSV or TSV file as large strings, with the columns that `columns` chooses."""
    for batch in _READERS[_ending(path)](file, path, columns):
        names = batch.schema.names
        if repeated := [name for name, number in Counter(names).items() if number > 1]:
            raise InputError(f"{path} has several columns named {repeated[0]}; leave out all but one")
        values = {name: batch[name] for name in names}
        values |= {name: uid_bytes(column) for name, column in values.items() if name.lower() == "uid"}
        yield pa.RecordBatch.from_arrays([column.cast(pa.large_string()) for column in values.values()], names)


def _require_utf8(text: bytes, number: int, path: str) -> None:
    """Refuse text that is not UTF-8; `number` is the number of the text's first line."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line = number + text.count(b"\n", 0, error.start)
        raise InputError(f"{path}, line {line}: byte {text[error.start]:#x} is not UTF-8; save it in UTF-8") from None


def _ending(path: str) -> str:
    return unpacked_name(path).rpartition(".")[2]


def _read_parquet(file: BinaryIO, path: str, columns: Columns) -> Iterator[pa.RecordBatch]:
    table = BoundedParquet(file)
    return table.batches(columns(table.schema.names), _ROWS_AT_ONCE)


def _read_csv(file: BinaryIO, path: str, columns: Columns) -> Iterator[pa.RecordBatch]:
    # Only the chosen columns are read. Arrow would guess the types of the others, and fail if it guessed wrong.
    with opened_table(path, "the file") as again:
        begin = first_lines(lines(again, Tally()))
    dialect = dialect_of(begin, path, lambda head: _has_columns(columns, head))
    chosen = columns(next((row for row in DelimitedRows(begin, dialect) if row), []))
    types = dict.fromkeys(chosen, pa.large_string())
    return pa_csv.open_csv(
        file,
        read_options=pa_csv.ReadOptions(block_size=_TEXT_BYTES_AT_ONCE),
        parse_options=dialect.arrow(),
        convert_options=pa_csv.ConvertOptions(include_columns=chosen, column_types=types),
    )


def _has_columns(columns: Columns, rows: Iterator[list[str]]) -> int:
    try:
        return len(columns(next(rows, [])))
    except InputError:
        return 0


_READERS = {"parquet": _read_parquet, "csv": _read_csv, "tsv": _read_csv}
