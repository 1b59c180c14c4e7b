"""Find and read users' tables of images, such as results of img2dataset or scores, with types that can be compared.

A row belongs to the image that its uid names or, in a table without uids, to the image whose uid is the MD5 of the URL.
KEY, two int64, stands for the uid. NaN becomes null in `comparable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from os import PathLike
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from curation.column_names import recognised
from curation.image_ids import KEY, KEY_NAMES, key_columns, uid_bytes, uids
from runtime.argument_types import require_several
from runtime.arrow import parts
from runtime.errors import InputError
from runtime.folders.recorded import recorded
from runtime.messages import quoted_names
from runtime.redaction import hidden, with_secrets
from runtime.storage.listing import ListedFile, Version, files_at, looking_up, name_of
from runtime.storage.own_files import OwnFile, compared, intact
from runtime.storage.parquet import BoundedParquet, unreadable
from runtime.storage.paths import as_path, is_url, reachable
from runtime.storage.remote import AS_ASKED

_TYPES: tuple[
    tuple[Callable[[pa.DataType], bool], pa.DataType], ...
] = (  # Each pair is a test, and the type for comparison.
    (pa.types.is_uint64, pa.decimal128(20, 0)),
    (pa.types.is_unsigned_integer, pa.int64()),
    (pa.types.is_float16, pa.float32()),
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_time, pa.string()),  # Conditions compare times of day as text.
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_binary_view, pa.binary()),
    (pa.types.is_fixed_size_binary, pa.binary()),
    (pa.types.is_duration, pa.duration("us")),
)

BATCH_ROWS = 1 << 16  # the most rows of a table that are in memory at a time
PARQUET = ".parquet"
DAMAGED = (
    "delete it and run the command that wrote it again; if you changed the file on purpose, move it to another folder"
)
EXPECTED_IMAGES = "a table of images: Parquet files with a column uid or url"
IDENTITIES = ("uid", "url")
ROW_BYTES = 16  # the fewest bytes that a row takes, because it has a uid
Paths = Sequence[str | PathLike[str]]
File = tuple[str, Version]


@dataclass(frozen=True, eq=False)
class ImageTable:
    """A user's Parquet table of images: its files, each with a version; `columns` is the schema of the first file."""

    name: str  # paths as the user gave them, without secrets
    files: tuple[File, ...]
    identity: str  # the column that names the image
    is_uid: bool  # whether `identity` holds uids; otherwise it holds URLs
    columns: pa.Schema

    @classmethod
    def find(cls, paths: Paths, expected: str = EXPECTED_IMAGES, column: str | None = None) -> ImageTable:
        """Return the table in files, folders, globs or URLs.

        InputError if there is no such table, or if it has neither uid nor url, or lacks `column`; `expected` says in
        messages what a user should pass.
        """
        require_several("tables", paths)
        names = [*map(str, paths)]
        name = ", ".join(map(hidden, names))
        files = tuple(chain.from_iterable(files_in(path, expected) for path in names))
        with opened_parquet(*files[0]) as file:
            schema = file.schema
        candidates = ((kind, recognised(kind, schema.names, files[0][0])) for kind in IDENTITIES)
        column_by_kind = {kind: column for kind, column in candidates if column is not None}
        if not column_by_kind:
            raise InputError(
                f"{files[0][0]} has the columns {quoted_names(schema.names)}; expected a column `uid` or `url`. Add "
                "one, or rename the column that holds uids or URLs"
            )
        if column not in (None, *schema.names):
            raise InputError(f"{name} has the columns {quoted_names(schema.names)}; expected {expected}")
        kind, identity = next(iter(column_by_kind.items()))
        columns = pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])
        return cls(name, files, identity, kind == "uid", columns)

    def read(self, file: File, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file that name an image: KEY and the given columns, in the types of `self.columns`."""
        schema = self.row_schema(columns)
        wanted = list(dict.fromkeys([self.identity, *columns]))
        with opened_parquet(*file) as table:
            missing = sorted({*wanted} - {*table.schema.names})
            if missing:
                raise InputError(f"{file[0]} has no column {missing[0]}, which {self.files[0][0]} has")
            for batch in table.batches(wanted, BATCH_ROWS):
                batch = batch.filter(pc.is_valid(batch[self.identity]))
                keys = keys_of(batch[self.identity], self.is_uid)
                values = [_cast(batch[name], schema.field(name).type, file[0], name) for name in columns]
                yield pa.RecordBatch.from_arrays([*keys, *values], schema=schema)

    @property
    def bytes(self) -> int:
        """The total size of all files whose size is known."""
        return sum(version.size or 0 for _, version in self.files)

    @property
    def rows(self) -> int:
        """The most rows that the files may have, given their size."""
        return self.bytes // ROW_BYTES

    def row_schema(self, columns: Sequence[str]) -> pa.Schema:
        """Return the schema of the rows that `read` yields; InputError for a repeated or reserved column name."""
        for name in columns:
            if name in KEY_NAMES or self.columns.names.count(name) > 1:
                raise InputError(f"{self.name} has several columns {name}, or this name is reserved; rename the column")
        return pa.schema([*KEY, *(self.columns.field(name) for name in columns)])


def keys_of(identity: pa.Array, is_uid: bool) -> list[pa.Array]:
    """Return the two columns of KEY of images, given their uids (`is_uid`) or their URLs, of which none is null."""
    names = (uid_bytes(identity) if is_uid else identity).cast(pa.string())
    return key_columns(names if is_uid else uids(names))


@contextmanager
def opened_parquet(path: str, version: Version) -> Iterator[BoundedParquet]:
    """Open a user's Parquet file; InputError if it cannot be read, or if this project wrote it and it is damaged."""
    try:
        with _content(path, version) as file:
            yield BoundedParquet(file)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from None


def files_in(path: str, expected: str, endings: Sequence[str] = (PARQUET,)) -> list[File]:
    """Return the files that a path names, sorted by path, each with its version and known checksum.

    For a folder or a glob, only files with these endings are returned. InputError if there are none.
    """
    with looking_up(path), reachable(path):
        listed = files_at(path, expected)
        checksums = recorded(listed.paths)
    files = [file for file in listed.files if listed.is_file or name_of(file[0]).endswith(tuple(endings))]
    if not files:
        wanted = " or ".join(f"*{ending}" for ending in endings)
        raise InputError(f"{path} holds no file {wanted}; expected {expected}")
    with_checksums = [(file, replace(version, checksum=checksums.get(file))) for file, version in files]
    return sorted(with_checksums, key=lambda file: file[0])


@contextmanager
def _content(path: str, version: Version) -> Iterator[BinaryIO]:
    """Open a file of a user's table; if a checksum is recorded for it, compare its content with the checksum first.

    For the comparison, a file at a URL is copied to this machine.
    """
    listed = ListedFile(path, version)
    if version.checksum is None:
        with listed.open(AS_ASKED) as file:
            yield file
        return
    listed.check()
    pinned = OwnFile(as_path(with_secrets(path)), version.checksum, DAMAGED)
    with intact(pinned) if is_url(pinned.path) else nullcontext(compared(pinned)) as local, local.open("rb") as file:
        yield file


def is_number(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is integer, floating-point or decimal."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _cast(column: pa.Array, kind: pa.DataType, path: str, name: str) -> pa.Array:
    try:
        return column.cast(kind, safe=not pa.types.is_floating(kind))  # Integers are rounded to the nearest float.
    except pa.ArrowException as error:
        raise InputError(f"{path}: column {name} is {column.type}, not {kind} as in the first file ({error})") from None


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the Arrow type in which `kind` is compared: for a dictionary its values' type, for uint64 a decimal."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return next((other for is_such, other in _TYPES if is_such(kind)), kind)


def comparable_schema(columns: pa.Schema) -> pa.Schema:
    """Return a schema with the types in which `comparable` returns `columns`."""
    return pa.schema([_field(field) for field in columns])


def comparable_type(kind: pa.DataType) -> pa.DataType:
    """Return the type to which `comparable` casts a column, also inside lists and structs.

    >>> comparable_type(pa.large_list(pa.timestamp("ns"))).value_type
    TimestampType(timestamp[us])
    """
    kind = plain_type(kind)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if any(is_such(kind) for is_such in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)):
        return pa.list_(_field(kind.value_field))
    return pa.struct([_field(field) for field in kind]) if pa.types.is_struct(kind) else kind


def comparable(column: pa.Array, table: str = "the table") -> pa.Array:
    """Return a column in its comparable type: NaN becomes null, and nanoseconds are cut to microseconds.

    InputError for a value that the type cannot hold, such as the year 300,000.
    """
    kind = comparable_type(column.type)
    if kind != column.type:
        try:
            column = pc.cast(column, options=pc.CastOptions(kind, allow_time_truncate=True))
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{table} has a value that cannot be compared ({error}); make it null, or leave out its row"
            ) from None
    return _without_nan(column)


def _without_nan(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    if pa.types.is_list(kind) and _may_hold_nan(kind):
        items, offsets = parts(column)
        nulls = column.is_null()
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), _without_nan(items), kind, mask=nulls)
    if pa.types.is_struct(kind) and _may_hold_nan(kind):
        fields = [*map(_without_nan, column.flatten())]
        return pa.StructArray.from_arrays(fields, fields=[*kind], mask=column.is_null())
    return column


def _may_hold_nan(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_struct(kind):
        return any(_may_hold_nan(kind.field(number).type) for number in range(kind.num_fields))
    return pa.types.is_floating(kind)


def _field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, comparable_type(field.type))
