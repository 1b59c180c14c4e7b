"""Tables of pairs (Parquet, JSON lines, CSV, TSV) → candidates.

URLs, uids, languages and page URLs are used as they stand; texts are cleaned as those of pages are.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from curation.inputs.candidates import BYTES, candidates, chunks, clean_array, is_web, string_arrays, tallies
from curation.inputs.tables import lines as rows
from runtime.errors import InputError
from runtime.storage import bounded_parquet

RECOGNISED = {
    "url": ("url", "URL", "image_url"),
    "text": ("text", "TEXT", "caption", "alt"),
    "uid": ("uid",),
    "language": ("language",),
    "page_url": ("page_url",),
}
REQUIRED = ("url", "text")
JSON_PROBE = 100  # JSON lines that are looked at for their keys: a key may be left out where its value is null
_KEY_BYTES = 100  # that a key costs beside its characters

CHECKS = {
    "dropped.empty_url": lambda batch: pc.is_valid(batch["url"]),
    "dropped.not_http": lambda batch: is_web(batch["url"]),
    "dropped.empty_text": lambda batch: pc.is_valid(batch["text"]),
}


@dataclass(frozen=True)
class TableOptions:
    """Which columns hold the pairs: names, or numbers counted from 0 for CSV and TSV without header; None: by name."""

    url_column: str | int | None = None
    text_column: str | int | None = None

    def __post_init__(self):
        for name in ("url_column", "text_column"):
            value = getattr(self, name)
            if isinstance(value, str) and value.isascii() and value.isdigit():  # as it comes from a command line
                object.__setattr__(self, name, int(value))
        if isinstance(self.url_column, int) != isinstance(self.text_column, int):
            raise InputError(
                f"--url-column is {self.url_column} and --text-column is {self.text_column}: either both are numbers,"
                " for files without header, or neither is"
            )

    @property
    def numbered(self) -> bool:
        """Whether the columns are given by number, so that files have no header."""
        return isinstance(self.url_column, int)

    def column(self, field: str) -> str | int | None:
        """Return what was given for `field`: url or text."""
        return {"url": self.url_column, "text": self.text_column}.get(field)


def read_parquet(
    file: BinaryIO, options: TableOptions, path: str, groups: range | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in these row groups of a Parquet file (None: in all), and tallies."""
    table = bounded_parquet.open_parquet(file)
    columns = parquet_columns(table.schema_arrow, options, path)
    tally = Counter(files=1)
    groups = range(table.num_row_groups) if groups is None else groups
    for batch in _until_damaged(bounded_parquet.batches(table, file, groups, list(set(columns.values()))), tally):
        tally["records"] += batch.num_rows
        arrays = _valid_utf8([batch[name] for name in columns.values()], tally)
        yield from _pairs(dict(zip(columns, arrays, strict=True)), tally)
    yield tallies(tally)


def read_json(file: BinaryIO, options: TableOptions, path: str) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in a file of one JSON object a line, and tallies."""
    tally = Counter(files=1)
    objects = rows.json_objects(rows.lines(file, tally), tally)
    probe = _first(objects)
    if probe:
        columns = json_columns(probe, options, path)
        values = ([value.get(name) for name in columns.values()] for value in chain(probe, objects))
        yield from _from_rows(columns, (tuple(map(_string, row)) for row in values), tally)
    yield tallies(tally)


def read_csv(file: BinaryIO, options: TableOptions, path: str) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in a CSV or TSV file (by the ending of its path), and tallies."""
    tally = Counter(files=1)
    fields = _fields(rows.lines(file, tally), path)
    first = next((row for row in fields if row is not None), None)
    if first is not None:
        columns = csv_columns(first, options, path)
        data = chain([first], fields) if options.numbered else fields
        values = rows.rows_of_width(data, len(first), tally)
        yield from _from_rows(columns, (tuple(row[i] for i in columns.values()) for row in values), tally)
    yield tallies(tally)


def check_json(file: BinaryIO, options: TableOptions, path: str) -> None:
    """Refuse a file without the columns that are needed; an empty one passes."""
    tally = Counter()
    probe = _first(rows.json_objects(rows.lines(file, tally), tally))
    if probe:
        json_columns(probe, options, path)
    elif tally:
        raise InputError(f"{path} has no line that is a JSON object; expected JSON lines, one object for each pair")


def check_csv(file: BinaryIO, options: TableOptions, path: str) -> None:
    """Refuse a file without the columns that are needed."""
    fields = _fields(rows.lines(file, Counter()), path)
    csv_columns(next((row for row in fields if row is not None), []), options, path)


def parquet_columns(schema: pa.Schema, options: TableOptions, path: str) -> dict[str, str]:
    """Return the column of each field of candidates that the file has."""
    columns = _columns(schema.names, options, path)
    for name in columns.values():
        kind = schema.field(name).type
        if pa.types.is_nested(kind):
            raise InputError(f"column {name} of {path} holds {kind}; expected strings: name another column")
    return columns


def json_columns(objects: list[dict], options: TableOptions, path: str) -> dict[str, str]:
    """Return the key of each field of candidates that any of `objects` has."""
    return _columns(list(dict.fromkeys(chain.from_iterable(objects))), options, path)


def csv_columns(first: list[str], options: TableOptions, path: str) -> dict[str, int]:
    """Return the position of each field of candidates, by the first row of the file."""
    if not options.numbered:
        return {field: first.index(name) for field, name in _columns(first, options, path).items()}
    columns = {field: options.column(field) for field in REQUIRED}
    if first and max(columns.values()) >= len(first):
        raise InputError(
            f"{path} has {len(first)} columns, so there is none with number {max(columns.values())}: they count from 0;"
            " choose others with --url-column and --text-column"
        )
    return columns


def _columns(names, options, path):
    if options.numbered:
        raise InputError(
            f"{path} names its columns ({', '.join(names)}): --url-column and --text-column must be names, not numbers"
        )
    columns = {field: _column(field, names, options, path) for field in RECOGNISED}
    return {field: name for field, name in columns.items() if name is not None}


def _column(field, names, options, path):
    given = options.column(field)
    wanted = RECOGNISED[field] if given is None else (given,)
    found = [name for name in wanted if name in names]
    if not found and field in REQUIRED:
        raise InputError(
            f"{path} has no column {' or '.join(wanted)} for the {field}; it has {', '.join(names) or 'none'}:"
            f" name the right one with --{field}-column (a number from 0 if it is a CSV or TSV without header)"
        )
    if found and names.count(found[0]) > 1:
        raise InputError(f"{path} has {names.count(found[0])} columns named {found[0]}; expected one")
    return found[0] if found else None


def _fields(text, path):
    is_tsv = path.lower().removesuffix(".gz").removesuffix(".zst").endswith(".tsv")
    return rows.tsv_rows(text) if is_tsv else rows.csv_rows(text)


def _string(value: Any) -> str | None:
    """Return a JSON value as a string: numbers as they are written; what is no scalar is no value."""
    if type(value) is str:
        return value
    return str(value) if type(value) in (int, float) else None


def _until_damaged(batches: Iterator[pa.RecordBatch], tally: Counter) -> Iterator[pa.RecordBatch]:
    """Yield the batches before one that Arrow cannot make sense of; a disk or network that fails is still an error."""
    try:
        yield from batches
    except (pa.ArrowException, OSError) as error:
        # Arrow's own OSErrors have neither number nor cause; those of a file that it reads from pass through it.
        if not isinstance(error, pa.ArrowException) and (error.errno or error.__cause__ or type(error) is not OSError):
            raise
        tally["dropped.corrupt_file"] += 1


def _first(objects: Iterator[dict]) -> list[dict]:
    """Return the first JSON_PROBE objects, or fewer large ones, without what is no scalar in them."""
    held, size = [], 0
    for each in objects:
        held.append({name: _string(value) for name, value in each.items()})
        size += sum(_KEY_BYTES + len(name) + len(value or "") for name, value in held[-1].items())
        if len(held) == JSON_PROBE or size >= BYTES:
            break
    return held


def _from_rows(columns, values, tally):
    for chunk in chunks(values):
        yield from _pairs(dict(zip(columns, string_arrays(chunk, tally), strict=True)), tally)


def _pairs(columns: dict[str, pa.Array], tally: Counter) -> Iterator[pa.RecordBatch]:
    """Yield the rows that have a web address and a text, if any, and count the others by the first thing amiss."""
    columns = {field: _without_empty(array) for field, array in columns.items()}
    columns["text"] = _without_empty(clean_array(columns["text"]))
    columns["kind"] = pa.repeat("text", len(columns["text"]))
    batch = candidates(columns)
    for reason, is_right in CHECKS.items():
        right = is_right(batch)
        if right.true_count < batch.num_rows:
            tally[reason] += batch.num_rows - right.true_count
            batch = batch.filter(right)
    tally["pairs"] += batch.num_rows
    if batch.num_rows:
        yield batch


def _without_empty(array):
    empty = pc.equal(array, "")
    return pc.if_else(empty, pa.scalar(None, pa.string()), array) if empty.true_count else array


def _valid_utf8(arrays: list[pa.Array], tally: Counter) -> list[pa.Array]:
    """Return `arrays` as strings, without the rows where one is no UTF-8: Parquet's strings may hold any bytes."""
    arrays = [_decoded(array) for array in arrays]
    try:
        return [array.cast(pa.string()) for array in arrays]
    except pa.ArrowInvalid:
        pass
    table = list(zip(*(_decodings(array) for array in arrays), strict=True))
    return string_arrays(table, tally)


def _decoded(array):
    """Return anything but strings as strings, and strings as binary: only what is cast from there is checked."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    is_bytes = pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)
    return array if is_bytes else array.cast(pa.string()).cast(pa.binary())


def _decodings(array):
    return (None if value is None else value.decode("utf-8", "surrogateescape") for value in array.to_pylist())
