"""Convert columns of users' tables to types and values that Spark can compare; NaN becomes null."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from runtime.arrow.buffers import parts
from runtime.errors import InputError

_TYPES: tuple[tuple[Callable[[pa.DataType], bool], pa.DataType], ...] = (  # those of Spark for others of Arrow
    (pa.types.is_uint64, pa.decimal128(20, 0)),
    (pa.types.is_unsigned_integer, pa.int64()),
    (pa.types.is_float16, pa.float32()),
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_time, pa.string()),  # not all versions of Spark have a time of day
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_binary_view, pa.binary()),
    (pa.types.is_fixed_size_binary, pa.binary()),
    (pa.types.is_duration, pa.duration("us")),
)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of Spark that has the values of a column: strings for a dictionary of them, signed numbers."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return next((other for is_such, other in _TYPES if is_such(kind)), kind)


def comparable_schema(columns: pa.Schema) -> pa.Schema:
    """Return the columns in the types that `comparable` gives them."""
    return pa.schema([_field(field) for field in columns])


def comparable_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which Spark holds a column, in lists and structs, too.

    >>> comparable_type(pa.large_list(pa.timestamp("ns"))).value_type
    TimestampType(timestamp[us])
    """
    kind = plain_type(kind)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if _is_list(kind):
        return pa.list_(_field(kind.value_field))
    if pa.types.is_struct(kind):
        return pa.struct([_field(kind.field(number)) for number in range(kind.num_fields)])
    return kind


def comparable(column: pa.Array, table: str = "the table") -> pa.Array:
    """Return a column in its comparable type; NaN is null, and nanoseconds are cut off; a year 300,000 is refused."""
    kind = comparable_type(column.type)
    if kind != column.type:
        try:
            column = pc.cast(column, options=pc.CastOptions(kind, allow_time_truncate=True))
        except pa.ArrowInvalid as error:
            raise InputError(f"{table} holds a value that cannot be compared ({error}); leave it out") from None
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


def _is_list(kind: pa.DataType) -> bool:
    is_such = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(each(kind) for each in is_such)
