"""Read pairs from row groups of Parquet tables, and from Arrow batches of any other source."""

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from curation.inputs.candidates import ROWS, from_columns, tallies
from curation.inputs.tables.columns import FLAG, Glance, TableOptions, named_columns
from runtime.errors import InputError
from runtime.storage.bounded_parquet import BoundedParquet


def read(file: BinaryIO, path: str, options: TableOptions, pieces: range | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in these row groups (pieces) of a file, or in all if None, and its tallies."""
    table = BoundedParquet(file)
    columns = string_columns(table.schema, options, path)
    tally = Counter(files=1)

    def damaged() -> None:
        tally["dropped.corrupt_file"] += 1

    for batch in table.batches(list(set(columns.values())), ROWS, pieces, damaged):
        yield from from_batch(batch, columns, tally)
    yield tallies(tally)


def check(file: BinaryIO, path: str, options: TableOptions) -> Glance:
    """Refuse a file without the columns that are needed; return the compressed bytes of each row group."""
    table = BoundedParquet(file)
    columns = string_columns(table.schema, options, path)
    return Glance(columns, table.rows, table.group_bytes())


def string_columns(schema: pa.Schema, options: TableOptions, path: str, naming: str = FLAG) -> dict[str, str]:
    """Return the column of each field of candidates that a table has; refuse one that cannot be strings."""
    columns = named_columns(schema.names, options, path, naming)
    for name in columns.values():
        kind = schema.field(name).type
        if pa.types.is_nested(kind):
            raise InputError(f"column {name} of {path} holds {kind}; expected strings: name another column")
    return columns


def from_batch(batch: pa.RecordBatch, columns: dict[str, str], tally: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in a batch, given the column of each field, and count the other rows."""
    tally["records"] += batch.num_rows
    arrays = [uid_bytes(batch[name]) if field == "uid" else as_bytes(batch[name]) for field, name in columns.items()]
    try:
        strings = [array.cast(pa.string()) for array in arrays]
    except pa.ArrowInvalid:  # a table's strings may hold any bytes
        rows = zip(*(array.to_pylist() for array in arrays), strict=True)
        valid = pa.array([all(map(_is_utf8, row)) for row in rows], pa.bool_())
        tally["dropped.bad_utf8"] += valid.false_count
        strings = [array.filter(valid).cast(pa.string()) for array in arrays]
    yield from from_columns(dict(zip(columns, strings, strict=True)), tally)


def as_bytes(array: pa.Array) -> pa.Array:
    """Return a column as binary: UTF-8 is checked only where binary is cast to strings."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if isinstance(array, pa.ExtensionArray):  # such as UUIDs
        array = array.storage
    if pa.types.is_fixed_size_binary(array.type):
        return array.cast(pa.binary())
    is_bytes = pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)
    return array if is_bytes else array.cast(pa.string()).cast(pa.binary())


def uid_bytes(array: pa.Array) -> pa.Array:
    """Return uids as binary that is UTF-8: those that are not, such as digests and UUIDs, as hexadecimal digits."""
    values = as_bytes(array)
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        strings = [value if _is_utf8(value) else value.hex().encode() for value in values.to_pylist()]
        return pa.array(strings, pa.binary())
    return values


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
