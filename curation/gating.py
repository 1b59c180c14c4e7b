"""The gate as a stage of Spark: tables of images are joined, their conditions evaluated, and matched images filtered.

Spark evaluates and joins, in rows of a few numbers. Images themselves do not travel: what is known of them comes to
the task that reads their file, in its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr
from pyspark.sql.pandas.types import from_arrow_schema

from curation.gates.expressions import Condition, conditions, require_boolean, require_columns
from curation.gates.passing import VERDICTS, Numbers, Rows, files_of, write_passing
from curation.gates.plan import NO_STATUS, NOT_TRIED, STATUS, SUCCESS, GatePlan, require_success
from curation.gates.tables import KEY, ImageTable
from curation.images.tasks import MATCHED_ROW_GROUP
from runtime.arrow.uid_keys import exact_numbers
from runtime.errors import InputError
from runtime.spark import collected, map_batches, over
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.storage.versions import Version
from runtime.tallies import SCHEMA, Tallies

MOST_PARTITIONS = 1 << 13
HIGH, LOW = (field.name for field in KEY)
MATCHED_KEYS = pa.schema([*KEY, VERDICTS.field("file"), VERDICTS.field("row")])
DOWNLOADED = Condition(f"{STATUS} = '{SUCCESS}'", (STATUS,))
_FOUND = "_found_in_"  # the beginning of the names of columns that no user's table has
_ANSI = "spark.sql.ansi.enabled"


@dataclass(frozen=True)
class Gate:
    """The tables of images of a run, first the results of a download where it has one, and conditions to be met."""

    tables: Sequence[ImageTable]
    conditions: Sequence[Condition]
    is_download: bool

    @classmethod
    def open(cls, spark: SparkSession, plan: GatePlan) -> Gate:
        """Return the gate that is asked for; InputError for an expression that cannot be evaluated."""
        tables = [*filter(None, [plan.results]), *plan.tables]
        found = [DOWNLOADED] if plan.results else []
        if plan.keep is not None:
            with _lenient(spark):
                found += _checked(spark, plan.keep, tables)
        return cls(tables, found, plan.results is not None)

    @property
    def columns(self) -> Iterator[list[str]]:
        """The columns of each table that conditions ask for."""
        needed = {column.lower() for condition in self.conditions for column in condition.columns}
        for table in self.tables:
            yield [name for name in table.columns.names if name.lower() in needed]
            needed -= {STATUS} if self.is_download else set()  # that of the download is the one that is meant

    def require_images(self, tallies: Tallies) -> None:
        """Refuse a table without any of the matched images, and a gate through which none passes."""
        if self.is_download:
            require_success({status: int(images) for status, images in tallies.beginning("status.").items()})
        for number, table in enumerate(self.tables):
            if not tallies[f"found.{number}"]:
                raise InputError(
                    f"{table.name} has none of the matched images: its {table.identity}s are not those of this run; "
                    "give a table with the column uid of matched/, or url"
                )
        if not tallies["passed"]:
            removed = (f"{tallies[f'failed.{n}']:,} {each.text}" for n, each in enumerate(self.conditions))
            raise InputError(f"no matched image meets all conditions (failed: {', '.join(removed)}); ask for less")

    def facts(self, tallies: Tallies) -> dict[str, Any]:
        """Return what run.json says of the gate."""
        return {
            "tables": [{"name": table.name, "found": tallies[f"found.{n}"]} for n, table in enumerate(self.tables)],
            "conditions": [
                {"text": condition.text}
                | {name: tallies[f"{name}.{n}"] for name in ("failed", "alone", "removed")}
                | {"removed_texts": tallies.by_language(f"texts.{n}")}
                for n, condition in enumerate(self.conditions)
            ],
        }


def _checked(spark: SparkSession, expression: str, tables: Sequence[ImageTable]) -> list[Condition]:
    found = conditions(spark, expression)
    for condition in found:
        require_columns(condition, {table.name: table.columns.names for table in tables})
        wanted = set(map(str.lower, condition.columns))
        fields = [field for table in tables for field in table.columns if field.name.lower() in wanted]
        require_boolean(spark, condition, pa.schema(fields))
    return found


def gate(spark: SparkSession, files: Sequence[OwnFile], opened: Gate, folder: Path) -> Tallies:
    """Write the images of MATCHED files that pass to files of the same names in `folder`; return what was counted."""
    with _lenient(spark):
        verdicts = _verdicts(spark, opened)
        keys = over(spark, list(enumerate(files)), _keys_of, MATCHED_KEYS)
        rows = keys.join(verdicts, [HIGH, LOW], "left").selectExpr("file", "row", *_of_images(spark, opened))
        partitions = min(len(files), MOST_PARTITIONS)
        by_file = rows.repartitionById(partitions, expr(f"file % {partitions}")).sortWithinPartitions("file", "row")
        numbers = Numbers(len(opened.conditions), len(opened.tables))
        write = partial(_write, files=list(files), numbers=numbers, folder=folder)
        counted = map_batches(by_file, write, SCHEMA)  # whole numbers, of each file: the driver gets their sums
        return collected(counted.groupBy("name", "language").agg(expr("sum(value) as value")))


def _verdicts(spark: SparkSession, gate: Gate) -> DataFrame:
    """Return key, `met`, `found` and `status` of each image that is in any of the tables."""
    tables = zip(gate.tables, gate.columns, strict=True)
    frames = [_rows_of(spark, table, columns, number) for number, (table, columns) in enumerate(tables)]
    joined = reduce(lambda one, other: one.join(other, [HIGH, LOW], "full"), frames)
    # Of several rows of an image, the one that meets the most conditions counts: of several tries, one that succeeded.
    best = ("max(struct(bit_count(met) as number, met)).met as met", "bit_or(found) as found", "min(status) as status")
    return joined.selectExpr(HIGH, LOW, *_facts(gate)).groupBy(HIGH, LOW).agg(*map(expr, best))


def _rows_of(spark: SparkSession, table: ImageTable, columns: Sequence[str], number: int) -> DataFrame:
    """Return some columns of a table, with a column that says that the table has the image."""
    rows = over(spark, list(table.files), partial(_read, table=table, columns=columns), table.row_schema(columns))
    return rows.selectExpr("*", f"true as {_FOUND}{number}")


def _facts(gate: Gate) -> list[str]:
    """Return the expressions of `met`, `found` and `status` over a row of all tables."""
    met = [f"if({condition.text}, {1 << number}L, 0L)" for number, condition in enumerate(gate.conditions)]
    found = [f"if({_FOUND}{number}, {1 << number}L, 0L)" for number in range(len(gate.tables))]
    # The smallest of several: an empty string, which stands for success, comes before all others.
    named = f"if({STATUS} = '{SUCCESS}', '', coalesce(cast({STATUS} as string), '{NO_STATUS}'))"
    status = f"if({_FOUND}0, {named}, null)" if gate.is_download else "null"
    return [f"{_sum(met)} as met", f"{_sum(found)} as found", f"cast({status} as string) as status"]


def _of_images(spark: SparkSession, gate: Gate) -> list[str]:
    """Return the expressions of what is known of a matched image; of one that is in no table all columns are null."""
    tables = zip(gate.tables, gate.columns, strict=True)
    fields = {name: kind for table, columns in tables for name, kind in _sql_types(table.row_schema(columns)).items()}
    nulls = [f"cast(null as {kind}) as {_quoted(name)}" for name, kind in fields.items()]
    nulls += [f"cast(null as boolean) as {_FOUND}{number}" for number in range(len(gate.tables))]
    ((met,),) = spark.range(1).selectExpr(*nulls).selectExpr(_facts(gate)[0]).collect()
    tried = f"coalesce(if(status = '', '{SUCCESS}', status), '{NOT_TRIED}')"
    status = tried if gate.is_download else "status"
    return [f"coalesce(met, {met}L) as met", "coalesce(found, 0L) as found", f"{status} as status"]


def _sql_types(columns: pa.Schema) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in from_arrow_schema(columns)}


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _sum(terms: Sequence[str]) -> str:
    return " + ".join(terms) or "0L"


def _read(file: tuple[str, Version], table: ImageTable, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    return table.read(file, columns)


def _keys_of(numbered: tuple[int, OwnFile]) -> Iterator[pa.RecordBatch]:
    """Yield MATCHED_KEYS of a file of images."""
    number, file = numbered
    row = 0
    for batch in batches(file, columns=["uid"]):
        keys = exact_numbers(batch["uid"])
        rows = np.arange(row, row := row + batch.num_rows)
        files = np.full(batch.num_rows, number, np.int32)
        columns = [np.ascontiguousarray(keys[:, 0]), np.ascontiguousarray(keys[:, 1]), files, rows]
        yield pa.RecordBatch.from_arrays(list(map(pa.array, columns)), schema=MATCHED_KEYS)


def _write(
    verdicts: Iterable[pa.RecordBatch], files: Sequence[OwnFile], numbers: Numbers, folder: Path
) -> Iterator[pa.RecordBatch]:
    """Write the images that pass of each file whose verdicts come; yield what was counted."""
    rows = Rows(verdicts)
    for number in files_of(rows):
        file = files[number]
        yield write_passing(file, rows, numbers, folder / file.path.name, MATCHED_ROW_GROUP).batch()


@contextmanager
def _lenient(spark: SparkSession) -> Iterator[None]:
    """Let what cannot be computed be null, such as x / 0: a row of someone's table should not end a run."""
    before = str(spark.conf.get(_ANSI))
    spark.conf.set(_ANSI, "false")
    try:
        yield
    finally:
        spark.conf.set(_ANSI, before)
