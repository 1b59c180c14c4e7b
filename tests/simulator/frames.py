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
from pyspark.sql import Row
from pyspark.sql.pandas.types import to_arrow_schema

from tests.simulator.engine import Engine, Rows, Session

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

    @property
    def rdd(self) -> Rows:
        """The rows, each a tuple of its values."""
        return Rows(self.sparkSession.engine, [partial(_tuples, each) for each in self.partitions])

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


def _mapped(function: Callable, made: Callable[[], Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
    return iter(function(made()))


def _tuples(made: Callable[[], Iterator[pa.RecordBatch]]) -> Iterator[tuple]:
    return (tuple(row.values()) for batch in made() for row in batch.to_pylist())
