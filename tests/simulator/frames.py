"""A stand-in for Spark's DataFrames in gates and clusters: rows that travel between tasks, the SQL of joined tables.

Tables and images are read, and files written, by the program's own functions, in tasks of an `Engine`. A condition is
Python's, over the row of one table: Spark's parser is not simulated, nor are near copies within a distance and
evaluation sets, whose rows Spark itself writes and reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Row
from pyspark.sql.pandas.types import to_arrow_schema

from curation.by_uid.comparable import comparable_schema
from curation.by_uid.rows import keys_of
from curation.by_uid.tables import KEY_NAMES
from curation.gate.checks import VERDICTS
from curation.gate.expressions import Condition
from curation.gate.joined_tables import Asked, _read
from runtime.spark import over
from runtime.storage.own_files import OwnFile
from tests.simulator.engine import Engine, Session

MOST = 1000  # numbers: of more nobody looks at each
HOSTS = pa.schema([pa.field("host", pa.string())])  # of `require_shared`


@dataclass
class Frame:
    """Batches of rows in partitions, each of which a task makes."""

    sparkSession: Session
    partitions: list[Callable[[], Iterator[pa.RecordBatch]]]
    schema: pa.Schema

    @classmethod
    def of(cls, spark: Session, *tables: pa.Table) -> Frame:
        """Return a frame with tables as its partitions."""
        return cls(spark, [partial(iter, each.to_batches()) for each in tables], tables[0].schema)

    def mapInArrow(self, function: Callable, schema: object) -> Frame:
        made = [partial(_mapped, function, each) for each in self.partitions]
        return Frame(self.sparkSession, made, HOSTS if isinstance(schema, str) else to_arrow_schema(schema))

    def repartition(self, number: int, column: str) -> Frame:
        table = self.toArrow()
        chance = self.sparkSession.engine.driver.chance
        table = table.take(chance.sample(range(len(table)), len(table)))
        parts = table[column].to_numpy() % number
        return Frame.of(self.sparkSession, *(table.filter(pa.array(parts == part)) for part in range(number)))

    def sortWithinPartitions(self, *columns: str) -> Frame:
        def ordered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            table = pa.Table.from_batches(batches, self.schema)
            yield from table.sort_by([(name, "ascending") for name in columns]).to_batches()

        return Frame(self.sparkSession, [partial(_mapped, ordered, each) for each in self.partitions], self.schema)

    def join(self, other: Frame, on: str | Sequence[str]) -> Frame:
        joined = self.toArrow().join(other.toArrow(), on, join_type="inner", use_threads=False)
        return Frame.of(self.sparkSession, joined)

    def select(self, *columns: str) -> Frame:
        return Frame.of(self.sparkSession, self.toArrow().select(columns))

    def groupBy(self, *columns: str) -> _Grouped:
        return _Grouped(self, columns)

    def collect(self) -> list[Row]:
        return [Row(**row) for row in self.toArrow().to_pylist()]

    def toArrow(self) -> pa.Table:
        """Return all rows, once the tasks have made them."""
        engine: Engine = self.sparkSession.engine
        made = [batch for batches in engine.stage(self.partitions) for batch in batches]
        return pa.Table.from_batches(made, made[0].schema if made else self.schema)


@dataclass
class _Grouped:
    frame: Frame
    columns: Sequence[str]

    def agg(self, expression: str) -> Frame:
        """Return the sums of `value`, which is all that is asked for."""
        return self.sum("value")

    def sum(self, column: str) -> Frame:
        sums = self.frame.toArrow().group_by([*self.columns], use_threads=False).aggregate([(column, "sum")])
        return Frame.of(self.frame.sparkSession, sums.rename_columns([*self.columns, column]))


def numbers(spark: Session, begin: int, end: int, step: int = 1, partitions: int = 1) -> Frame:
    """Return the numbers of a range in the column `id`, about as many in each partition."""
    tables = [
        pa.table({"id": pa.array(range(begin + part, end, partitions), pa.int64())}) for part in range(partitions)
    ]
    return Frame.of(spark, *tables)


def checked(spark: Session, expression: str, tables: Sequence[pa.Schema], names: object) -> list[Condition]:
    """Return the one condition of an expression that begins with the name of a column."""
    return [Condition(expression, (expression.split()[0],))]


def verdicts(spark: Session, files: Sequence[OwnFile], asked: Asked, sets: None) -> Frame:
    """Return VERDICTS of the images in all files, as Spark's SQL finds them for one table and one condition."""
    images = keys_of(spark, files).toArrow()
    (table,), (columns,), (condition,) = asked.tables, asked.columns, asked.conditions
    schema = comparable_schema(table.row_schema(columns))
    rows = over(spark, list(table.files), partial(_read, table=table, columns=columns), schema).toArrow()
    met = {}
    for row in rows.to_pylist():
        key = tuple(row[name] for name in KEY_NAMES)
        met[key] = met.get(key, False) or eval(condition.text, {}, row)
    found = [met.get(tuple(row[name] for name in KEY_NAMES)) for row in images.to_pylist()]
    known = pa.array([int(each is not None) for each in found], pa.int64())
    none = pa.array([0] * len(found), pa.int64())
    met_bits = pa.array([int(bool(each)) for each in found], pa.int64())
    values = [images["file"], images["row"], met_bits, known, none, pa.nulls(len(found), pa.string()), none]
    return Frame.of(spark, pa.table(values, schema=VERDICTS))


def equal_copies(hashes: Frame) -> Frame:
    """Return `uid` and `copy_of` of the images whose hash several have; the smallest uid stays."""
    table = hashes.toArrow()
    groups = table.group_by("hash", use_threads=False).aggregate([("uid", "min"), ("uid", "count")])
    groups = groups.filter(pc.field("uid_count") > 1).rename_columns(["hash", "copy_of", "size"])
    return Frame.of(hashes.sparkSession, table.join(groups, "hash", join_type="inner", use_threads=False))


def _mapped(function: Callable, made: Callable[[], Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
    return iter(function(made()))
