"""Find and select the columns of pairs in a DataFrame of Spark."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import pyarrow as pa
from pyspark.errors import PySparkTypeError
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructField, StructType

from curation.inputs.tables.columns import TableOptions, named_columns
from curation.inputs.tables.parquet import string_columns
from runtime.errors import InputError


def pair_columns(frame: DataFrame, options: TableOptions, name: str, naming: str) -> dict[str, str]:
    """Return the column of each field of candidates; refuse a table, called `name`, without them or with other types.

    `naming` is how the refusal tells a user to name a column.
    """
    wanted = set(named_columns(frame.columns, options, name, naming).values())
    fields = [_arrow_field(each, name) for each in frame.schema.fields if each.name in wanted]
    return string_columns(pa.schema(fields), options, name, naming)


def selected(frame: DataFrame, columns: Iterable[tuple[str, str]]) -> DataFrame:
    """Return these columns, each a pair of its new name and its own, by position.

    By name Spark takes url and URL for one column, and a dot in a name for the member of a struct.
    """
    numbers = {name: number for number, name in enumerate(frame.columns)}
    numbered = frame.toDF(*(f"c{number}" for number in range(len(numbers))))
    return numbered.selectExpr(*(f"c{numbers[own]} as `{new}`" for new, own in columns))


def require_columns(frame: DataFrame, names: Iterable[str], maker: str) -> None:
    """Refuse a DataFrame without the columns that the function `maker` gives it."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InputError(
            f"the DataFrame has no column {' and '.join(missing)}; it has {', '.join(frame.columns) or 'none'}: "
            f"give what curation.dataframes.{maker} returned"
        )


def _arrow_field(field: StructField, name: str) -> pa.Field:
    kind = field.dataType.simpleString()
    if "timestamp" not in kind:  # for which pyspark asks for a time zone, and not in all versions
        with suppress(PySparkTypeError):
            return to_arrow_schema(StructType([field])).field(0)
    raise InputError(f"column {field.name} of {name} holds {kind}; expected strings: name another column")
