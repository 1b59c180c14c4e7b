"""Evaluate conditions over the columns of tables of images, with Spark's SQL, row by row.

Before that, tables are joined if one condition names columns of both; other tables are not. `verdicts` joins the
results to the images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial, reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from curation.leaves.by_uid.by_key import deal
from curation.leaves.by_uid.tables import KEY_NAMES, comparable, comparable_schema
from curation.leaves.gate.expressions import lenient
from curation.leaves.gate.plan import FAILED, FOUND, NO_STATUS, ROW, STATUS, SUCCESS, Table
from curation.leaves.gate.table_rows import Asked, Part
from curation.leaves.gate.verdicts import VerdictJoin
from curation.run.ledger import sending
from runtime.engine.spark import BLOCKS, SHUFFLED_JOINS, as_row, map_batches, over, settings


def facts(spark: SparkSession, asked: Asked, join: VerdictJoin) -> DataFrame:
    """Return a DataFrame of BLOCKS, whose rows are of `facts_schema`: facts about the joined rows of each part."""
    frames = [
        map_batches(
            _joined(spark, asked, part).selectExpr(*KEY_NAMES, *_facts(asked, part)),
            partial(_packed, join=join, found=part.tables),
            BLOCKS,
        )
        for part in join.parts
    ]
    return reduce(DataFrame.union, frames)


@contextmanager
def evaluating(spark: SparkSession) -> Iterator[None]:
    """Let Spark, within a context, evaluate conditions as `expressions` checked them, and join tables by shuffling."""
    with lenient(spark), settings(spark, SHUFFLED_JOINS):
        yield


def with_unmet(spark: SparkSession, asked: Asked) -> list[Part]:
    """Return the parts with `unmet`: the conditions that hold for an image in no table, whose columns are all null."""
    tables = zip(asked.tables, asked.columns, strict=True)
    fields = {name: kind for table, columns in tables for name, kind in _sql_types(table.row_schema(columns)).items()}
    nulls = [f"cast(null as {kind}) as {_quoted(name)}" for name, kind in fields.items()]
    nulls += [f"cast(null as boolean) as {FOUND}{number}" for number in range(len(asked.tables))]
    met = _met(asked, -1)
    ((unmet,),) = spark.range(1).selectExpr(*nulls).selectExpr(met).collect()
    return [replace(part, unmet=unmet & part.conditions) for part in asked.parts]


def _joined(spark: SparkSession, asked: Asked, part: Part) -> DataFrame:
    """Return the rows of the tables of a part, joined by image; an image may be missing in some tables."""
    tables = enumerate(zip(asked.tables, asked.columns, asked.compared, strict=True))
    frames = [_rows_of(spark, *table, number) for number, table in tables if part.tables >> number & 1]
    return reduce(lambda one, other: one.join(other, KEY_NAMES, "full"), frames)


def _rows_of(
    spark: SparkSession, table: Table, columns: Sequence[str], compared: Sequence[str], number: int
) -> DataFrame:
    """Return KEY and `columns` of a table, a column that is true for all rows, and a hash of the `compared` columns.

    The names of the last two columns are FOUND and ROW with the table's `number`.
    """
    wanted = [*dict.fromkeys([*columns, *compared])]
    schema = comparable_schema(table.row_schema(wanted))
    rows = over(spark, list(table.files), partial(_read, table=table, columns=wanted), schema)
    names, row = map(_quoted, columns), _hash([schema.field(name) for name in compared])
    return rows.selectExpr(*KEY_NAMES, *names, f"true as {FOUND}{number}", f"{row} as {ROW}{number}")


def _hash(columns: Sequence[pa.Field]) -> str:
    """Return the SQL of a row's hash; it is null if all columns are null or the download failed."""
    values = {_quoted(field.name): field.type for field in columns}
    if not values:
        return "cast(null as bigint)"
    hashed = [f"cast({name} as string)" if pa.types.is_nested(kind) else name for name, kind in values.items()]
    nulls = [f"{name} is null" for name in values]  # Spark's hash leaves out nulls
    failed = [f"startswith(cast({name} as string), '{FAILED}')" for name in values if name.lower() == f"`{STATUS}`"]
    says_nothing = " or ".join([f"({' and '.join(nulls)})", *failed])
    return f"if({says_nothing}, null, xxhash64({', '.join([*hashed, *nulls])}))"


def _facts(asked: Asked, part: Part) -> list[str]:
    """Return the SQL of each fact about a joined row of a part's tables."""
    own = [number for number in range(len(asked.tables)) if part.tables >> number & 1]
    expressions = {"met": _met(asked, part.conditions)}
    if len(own) > 1:
        expressions["found"] = _sum([f"if({FOUND}{number}, {1 << number}L, 0L)" for number in own])
    if asked.plan.results and 0 in own:
        # The smallest of several statuses counts: an empty string stands for success, and is smaller than all others.
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


def _packed(rows: Iterable[pa.RecordBatch], join: VerdictJoin, found: int) -> Iterator[pa.RecordBatch]:
    """Yield BLOCKS of facts by key; rows without a column `found` get `found`, the bits of the part's tables."""
    packer = sending(join.buckets)
    for batch in rows:
        known = {"found": pa.repeat(pa.scalar(found, pa.int64()), batch.num_rows)}
        known |= dict(zip(batch.schema.names, batch.columns, strict=True))
        yield from map(as_row, deal(packer, known, join.schema, batch.num_rows))
    yield from map(as_row, packer.finish())
