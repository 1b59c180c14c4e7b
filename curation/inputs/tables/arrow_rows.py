"""Turn Arrow batches, of Parquet files or of Spark, into candidates."""

import binascii
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from curation.inputs.candidates import Row, arrays_of
from curation.inputs.tables.candidate_rows import from_columns
from curation.inputs.tables.columns import FLAG, TableOptions, named_columns
from runtime.errors import InputError


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
    given = {field: batch[name] for field, name in columns.items()}
    arrays = _valid_utf8(
        [uid_bytes(each) if field == "uid" else as_bytes(each) for field, each in given.items()], tally
    )
    yield from from_columns(dict(zip(columns, arrays, strict=True)), tally)


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
        return pa.array([_hex_unless_utf8(value) for value in values.to_pylist()], pa.binary())
    return values


def _hex_unless_utf8(value: bytes | None) -> bytes | None:
    try:
        return None if value is None else value.decode().encode()
    except UnicodeDecodeError:
        return binascii.hexlify(value or b"")


def _valid_utf8(arrays: list[pa.Array], tally: Counter[str]) -> list[pa.Array]:
    """Return `arrays` as strings, without the rows where one is no UTF-8: a table's strings may hold any bytes."""
    try:
        return [array.cast(pa.string()) for array in arrays]
    except pa.ArrowInvalid:
        pass
    rows: list[Row] = list(zip(*(_decodings(array) for array in arrays), strict=True))
    return arrays_of(rows, tally)


def _decodings(array: pa.Array) -> Iterator[str | None]:
    return (None if value is None else value.decode("utf-8", "surrogateescape") for value in array.to_pylist())
