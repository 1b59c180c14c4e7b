"""Read Parquet tables of pairs, by row groups."""

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from curation.inputs.candidates import ROWS, Row, string_arrays, tallies
from curation.inputs.tables.candidate_rows import from_columns
from curation.inputs.tables.columns import TableOptions, named_columns
from runtime.errors import InputError
from runtime.storage.bounded_parquet import BoundedParquet


def read(file: BinaryIO, path: str, options: TableOptions, pieces: range | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in these row groups of a file, its pieces (None: in all), and its tallies."""
    table = BoundedParquet(file)
    columns = _columns(table.schema, options, path)
    tally = Counter(files=1)

    def damaged() -> None:
        tally["dropped.corrupt_file"] += 1

    for batch in table.batches(list(set(columns.values())), ROWS, pieces, damaged):
        tally["records"] += batch.num_rows
        arrays = _valid_utf8([batch[name] for name in columns.values()], tally)
        yield from from_columns(dict(zip(columns, arrays, strict=True)), tally)
    yield tallies(tally)


def check(file: BinaryIO, path: str, options: TableOptions) -> list[int]:
    """Refuse a file without the columns that are needed; return the compressed bytes of each row group."""
    table = BoundedParquet(file)
    _columns(table.schema, options, path)
    return table.group_bytes()


def _columns(schema: pa.Schema, options: TableOptions, path: str) -> dict[str, str]:
    """Return the column of each field of candidates that the file has."""
    columns = named_columns(schema.names, options, path)
    for name in columns.values():
        kind = schema.field(name).type
        if pa.types.is_nested(kind):
            raise InputError(f"column {name} of {path} holds {kind}; expected strings: name another column")
    return columns


def _valid_utf8(arrays: list[pa.Array], tally: Counter[str]) -> list[pa.Array]:
    """Return `arrays` as strings, without the rows where one is no UTF-8: Parquet's strings may hold any bytes."""
    arrays = [_decoded(array) for array in arrays]
    try:
        return [array.cast(pa.string()) for array in arrays]
    except pa.ArrowInvalid:
        pass
    rows: list[Row] = list(zip(*(_decodings(array) for array in arrays), strict=True))
    return string_arrays(rows, tally)


def _decoded(array: pa.Array) -> pa.Array:
    """Return anything but strings as strings, and strings as binary: only what is cast from there is checked."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    is_bytes = pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)
    return array if is_bytes else array.cast(pa.string()).cast(pa.binary())


def _decodings(array: pa.Array) -> Iterator[str | None]:
    return (None if value is None else value.decode("utf-8", "surrogateescape") for value in array.to_pylist())
