"""Rows of Spark as DataFrames: made in tasks, mapped batch by batch, stored, and sent as packed blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import Accumulator, Broadcast
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from runtime.engine.spark import counting, follow
from runtime.packed_rows import Block
from runtime.redaction import known, learn

# What tasks make of a few numbers (`over`) looks small to Spark, whatever its size: it would send all to each machine.
SHUFFLED_JOINS = {"spark.sql.autoBroadcastJoinThreshold": "-1"}
ROW_GROUP_BYTES = 16 << 20  # that a JVM holds: Parquet's 128 MB are too many for two cores with 1 GB
BLOCKS = pa.schema([pa.field("block", pa.binary())])

Batches = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@contextmanager
def settings(spark: SparkSession, values: dict[str, str]) -> Iterator[None]:
    """Set these settings of a session while a block runs."""
    before = {name: str(spark.conf.get(name)) for name in values}
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


def map_batches(rows: DataFrame, function: Batches, schema: pa.Schema) -> DataFrame:
    """Return the rows that `function` makes of the batches of each partition."""
    return rows.mapInArrow(function, from_arrow_schema(schema))


def over(
    spark: SparkSession, items: list[Any], function: Callable[[Any], Iterator[pa.RecordBatch]], schema: pa.Schema
) -> DataFrame:
    """Return the rows that `function(item)` yields for each item, with one task an item."""
    numbers = spark.range(0, len(items), 1, max(1, len(items)))
    each = spark.sparkContext.broadcast((items, function, known()))
    return map_batches(numbers, partial(_each, each=each, counter=follow(spark, items)), schema)


def stored(rows: DataFrame, folder: Path) -> DataFrame:
    """Write rows to a local folder that all machines share; return them as they are read from there.

    Unlike rows that Spark persists, they are not made again when an executor is lost.
    """
    written = rows.write.option("parquet.block.size", ROW_GROUP_BYTES)
    written.parquet(f"file://{folder.absolute()}", mode="overwrite")
    return rows_in(rows.sparkSession, folder, rows.schema)


def rows_in(spark: SparkSession, folder: Path, schema: StructType) -> DataFrame:
    """Return the rows of the Parquet files in a local folder that all machines share."""
    # Spark takes a path that it reads, not one that it writes, for a glob.
    escaped = re.sub(r"([\[\]{}*?\\])", r"\\\1", f"file://{folder.absolute()}")
    return spark.read.schema(schema).parquet(escaped)


def as_row(block: Block) -> pa.RecordBatch:
    """Return a block as a batch of BLOCKS."""
    return pa.RecordBatch.from_arrays([pa.array([block.data], pa.binary())], schema=BLOCKS)


def _each(batches: Iterable[pa.RecordBatch], each: Broadcast, counter: Accumulator) -> Iterator[pa.RecordBatch]:
    items, function, addresses = each.value
    learn(addresses)
    for batch in batches:
        for number in batch["id"].to_pylist():
            with counting(items[number], counter):
                yield from function(items[number])
