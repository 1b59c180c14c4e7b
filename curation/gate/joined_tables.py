"""Evaluate conditions over the columns of tables of images, with Spark's SQL, row by row.

Tables that one condition names are joined before, the others are not. `verdicts` brings the results to the images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from curation.by_uid.by_key import ROWS
from curation.by_uid.comparable import comparable, comparable_schema
from curation.by_uid.tables import KEY_NAMES, ImageTable
from curation.gate.expressions import Condition
from curation.gate.plan import (
    EVALUATION_COLUMNS,
    FAILED,
    FOUND,
    NO_STATUS,
    ROW,
    STATUS,
    SUCCESS,
    GatePlan,
    Table,
)
from runtime.spark import over

FACTS = {"met": pa.int64(), "found": pa.int64(), "sets": pa.int64(), "status": pa.string()}


@dataclass(frozen=True)
class Part:
    """Some tables, and the conditions over their columns, both as bits; `unmet` are met where no table has an image."""

    tables: int
    conditions: int
    unmet: int = 0


@dataclass(frozen=True)
class Asked:
    """The conditions on tables, in the order of their bits, and the columns that they name."""

    plan: GatePlan
    conditions: Sequence[Condition]

    @property
    def tables(self) -> Sequence[Table]:
        """The tables that are asked for."""
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

    @property
    def parts(self) -> list[Part]:
        """The tables in parts that no condition joins."""
        parts = [Part(1 << number, 0) for number in range(len(self.tables))]
        columns = [{*map(str.lower, names)} for names in self.columns]
        for bit, condition in enumerate(self.conditions):
            names = {*map(str.lower, condition.columns)}
            own = [n for n, known in enumerate(columns) if names & known or condition.text == f"{FOUND}{n}"] or [0]
            joined = [part for part in parts if any(part.tables >> n & 1 for n in own)]
            tables, conditions = (sum(getattr(part, name) for part in joined) for name in ("tables", "conditions"))
            parts = [part for part in parts if part not in joined] + [Part(tables, conditions | 1 << bit)]
        return parts


def facts_schema(tables: int) -> pa.Schema:
    """Return the columns of a row about an image, from any part: what it meets, and of which tables it is."""
    hashes = [pa.field(f"{ROW}{number}", pa.int64()) for number in range(tables)]  # of the row of each table
    return pa.schema([*ROWS, *(pa.field(name, kind) for name, kind in FACTS.items()), *hashes])


def facts(
    spark: SparkSession, asked: Asked, parts: Sequence[Part], sets: DataFrame | None
) -> list[tuple[DataFrame, int]]:
    """Return KEY and some columns of `facts_schema`, of rows about images, and `found` of rows without that column.

    Each part has a frame, and `sets`, which has KEY and the column `sets` of evaluation sets, is one. What is the same
    in all rows does not pass through the JVM.
    """
    frames = [(_joined(spark, asked, part).selectExpr(*KEY_NAMES, *_facts(asked, part)), part.tables) for part in parts]
    return frames if sets is None else [*frames, (sets, 0)]


def with_unmet(spark: SparkSession, asked: Asked) -> list[Part]:
    """Return the parts, with the conditions that an image meets which no table has: all columns are null."""
    tables = zip(asked.tables, asked.columns, strict=True)
    fields = {name: kind for table, columns in tables for name, kind in _sql_types(table.row_schema(columns)).items()}
    nulls = [f"cast(null as {kind}) as {_quoted(name)}" for name, kind in fields.items()]
    nulls += [f"cast(null as boolean) as {FOUND}{number}" for number in range(len(asked.tables))]
    met = _met(asked, -1)
    ((unmet,),) = spark.range(1).selectExpr(*nulls).selectExpr(met).collect()
    return [replace(part, unmet=unmet & part.conditions) for part in asked.parts]


def _joined(spark: SparkSession, asked: Asked, part: Part) -> DataFrame:
    """Return the rows of the tables of a part, joined by image."""
    tables = enumerate(zip(asked.tables, asked.columns, asked.compared, strict=True))
    frames = [_rows_of(spark, *table, number) for number, table in tables if part.tables >> number & 1]
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


def _facts(asked: Asked, part: Part) -> list[str]:
    """Return the expressions of facts over a joined row of the tables of a part."""
    own = [number for number in range(len(asked.tables)) if part.tables >> number & 1]
    expressions = {"met": _met(asked, part.conditions)}
    if len(own) > 1:
        expressions["found"] = _sum([f"if({FOUND}{number}, {1 << number}L, 0L)" for number in own])
    if asked.plan.results and 0 in own:
        # The smallest of several: an empty string, which stands for success, comes before all others.
        named = f"if({STATUS} = '{SUCCESS}', '', coalesce(cast({STATUS} as string), '{NO_STATUS}'))"
        expressions["status"] = f"if({FOUND}0, {named}, null)"
    compared = [*asked.compared]
    expressions |= {f"{ROW}{number}": f"{ROW}{number}" for number in own if compared[number]}
    return [f"{expression} as {name}" for name, expression in expressions.items()]


def _met(asked: Asked, conditions: int) -> str:
    chosen = ((bit, each) for bit, each in enumerate(asked.conditions) if conditions >> bit & 1)
    return _sum([f"if({each.evaluated}, {1 << bit}L, 0L)" for bit, each in chosen])


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
