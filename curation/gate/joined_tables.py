"""Join tables of images to the matched images, and evaluate conditions over the tables' columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr
from pyspark.sql.pandas.types import from_arrow_schema

from curation.by_uid.comparable import comparable, comparable_schema
from curation.by_uid.rows import keys_of
from curation.by_uid.tables import KEY_NAMES, ImageTable
from curation.gate.expressions import Condition
from curation.gate.plan import (
    EVALUATION_COLUMNS,
    FAILED,
    FOUND,
    NO_STATUS,
    NOT_TRIED,
    ROW,
    STATUS,
    SUCCESS,
    GatePlan,
    Table,
)
from runtime.spark import over
from runtime.storage.own_files import OwnFile


@dataclass(frozen=True)
class Asked:
    """The conditions on tables, in the order of their bits, and the columns that they name."""

    plan: GatePlan
    conditions: Sequence[Condition]

    @property
    def tables(self) -> Sequence[Table]:
        """The tables that are joined."""
        return self.plan.tables

    @property
    def columns(self) -> Iterator[list[str]]:
        """The columns of each table that conditions ask for."""
        needed = {column.lower() for condition in self.conditions for column in condition.columns}
        for _, columns in self.plan.columns:
            yield [name for name in columns.names if name.lower() in needed]

    @property
    def compared(self) -> Iterator[list[str]]:
        """The columns of each table by uid that anything asks for; none of one by URL, which may have a row a text."""
        plan = self.plan
        same = [(plan.pictures.table, plan.pictures.same.column)] if plan.pictures else []
        hashes = EVALUATION_COLUMNS if plan.evaluation else ()
        asked = [*same, *((table, name) for name in hashes for table in plan.tables_with(name))]
        for table, columns in zip(self.tables, self.columns, strict=True):
            names = dict.fromkeys([*columns, *(name for own, name in asked if own is table)])
            yield [*names] if isinstance(table, ImageTable) and table.is_uid else []


def verdicts(spark: SparkSession, files: Sequence[OwnFile], asked: Asked, sets: DataFrame | None) -> DataFrame:
    """Return VERDICTS of the images in all files.

    `sets` has KEY and `sets` of images that evaluation sets have. Of several rows of an image the one that meets the
    most conditions counts: of several tries, one that succeeded.
    """
    hashes = [f"{ROW}{number}" for number in range(len(asked.tables))]
    differing = _sum([f"if(min({name}) < max({name}), {1 << number}L, 0L)" for number, name in enumerate(hashes)])
    best = (
        "max(struct(bit_count(met) as number, met)).met as met",
        "bit_or(found) as found",
        "min(status) as status",
        f"{differing} as differing",
    )
    rows = _joined(spark, asked).selectExpr(*KEY_NAMES, *_facts(asked), *hashes)
    of_tables = rows.groupBy(*KEY_NAMES).agg(*map(expr, best))
    known = keys_of(spark, files).join(of_tables, KEY_NAMES, "left")
    known = known.selectExpr("*", "0L as sets") if sets is None else known.join(sets, KEY_NAMES, "left")
    return known.selectExpr("file", "row", *_of_images(spark, asked))


def _joined(spark: SparkSession, asked: Asked) -> DataFrame:
    """Return the rows of all tables, joined by image."""
    tables = zip(asked.tables, asked.columns, asked.compared, strict=True)
    frames = [_rows_of(spark, *table, number) for number, table in enumerate(tables)]
    return reduce(lambda one, other: one.join(other, KEY_NAMES, "full"), frames)


def _rows_of(
    spark: SparkSession, table: Table, columns: Sequence[str], compared: Sequence[str], number: int
) -> DataFrame:
    """Return some columns of a table, with one that says that it has the image, and a hash of the `compared` ones."""
    wanted = [*dict.fromkeys([*columns, *compared])]
    schema = comparable_schema(table.row_schema(wanted))
    rows = over(spark, list(table.files), partial(_read, table=table, columns=wanted), schema)
    names, row = map(_quoted, columns), _hash([schema.field(name) for name in compared])
    return rows.selectExpr(*KEY_NAMES, *names, f"true as {FOUND}{number}", f"{row} as {ROW}{number}")


def _hash(columns: Sequence[pa.Field]) -> str:
    """Return the expression of a row's hash; null for one that says nothing: all is null, or the download failed."""
    values = {_quoted(field.name): field.type for field in columns}
    if not values:
        return "cast(null as bigint)"
    hashed = [f"cast({name} as string)" if pa.types.is_nested(kind) else name for name, kind in values.items()]
    nulls = [f"{name} is null" for name in values]  # which no hash tells
    failed = [f"startswith(cast({name} as string), '{FAILED}')" for name in values if name.lower() == f"`{STATUS}`"]
    says_nothing = " or ".join([f"({' and '.join(nulls)})", *failed])
    return f"if({says_nothing}, null, xxhash64({', '.join([*hashed, *nulls])}))"


def _facts(asked: Asked) -> list[str]:
    """Return the expressions of `met`, `found` and `status` over a row of all tables."""
    met = [f"if({condition.evaluated}, {1 << number}L, 0L)" for number, condition in enumerate(asked.conditions)]
    found = [f"if({FOUND}{number}, {1 << number}L, 0L)" for number in range(len(asked.tables))]
    # The smallest of several: an empty string, which stands for success, comes before all others.
    named = f"if({STATUS} = '{SUCCESS}', '', coalesce(cast({STATUS} as string), '{NO_STATUS}'))"
    status = f"if({FOUND}0, {named}, null)" if asked.plan.results else "null"
    return [f"{_sum(met)} as met", f"{_sum(found)} as found", f"cast({status} as string) as status"]


def _of_images(spark: SparkSession, asked: Asked) -> list[str]:
    """Return the expressions for a matched image's verdict; if it is in no table, all columns are null."""
    tables = zip(asked.tables, asked.columns, strict=True)
    fields = {name: kind for table, columns in tables for name, kind in _sql_types(table.row_schema(columns)).items()}
    nulls = [f"cast(null as {kind}) as {_quoted(name)}" for name, kind in fields.items()]
    nulls += [f"cast(null as boolean) as {FOUND}{number}" for number in range(len(asked.tables))]
    ((met,),) = spark.range(1).selectExpr(*nulls).selectExpr(_facts(asked)[0]).collect()
    tried = f"coalesce(if(status = '', '{SUCCESS}', status), '{NOT_TRIED}')"
    status = tried if asked.plan.results else "status"
    return [
        f"coalesce(met, {met}L) as met",
        "coalesce(found, 0L) as found",
        "coalesce(sets, 0L) as sets",
        f"{status} as status",
        "coalesce(differing, 0L) as differing",
    ]


def _sql_types(columns: pa.Schema) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in from_arrow_schema(comparable_schema(columns))}


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _sum(terms: Sequence[str]) -> str:
    return " + ".join(terms) or "0L"


def _read(file: Any, table: Table, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for batch in table.read(file, columns):
        schema = comparable_schema(batch.schema)
        yield pa.RecordBatch.from_arrays([comparable(column, table.name) for column in batch.columns], schema=schema)
