"""The few lines of Spark that the stages of both packages share.

Workers get paths and numbers and open what they name. Stages that end in files write them in the worker and return
tallies (`run`), so that rows need not go back through the JVM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from metadata.tallies import Tallies


def map_batches(rows: DataFrame, function: Callable, schema: pa.Schema) -> DataFrame:
    """Return what `function`, from an iterator of batches to one, makes of each partition."""
    return rows.mapInArrow(function, from_arrow_schema(schema))


def over(spark: SparkSession, items: list, function: Callable, schema: pa.Schema) -> DataFrame:
    """Return what `function(item)` yields for each item, with one task an item."""
    numbers = spark.range(0, len(items), 1, max(1, len(items)))
    # A broadcast is unpacked once in a worker, the arguments of a function once in each task.
    each = spark.sparkContext.broadcast((items, function))
    return map_batches(numbers, partial(_each, each=each), schema)


def run(spark: SparkSession, items: list, function: Callable[[Any], Tallies]) -> Tallies:
    """Return the sums of what `function(item)` tallies, with one task an item.

    This is no DataFrame: planning and compiling one takes the JVM longer than many a stage.
    """
    each = spark.sparkContext.broadcast((items, function))
    numbers = spark.sparkContext.parallelize(range(len(items)), max(1, len(items)))
    return Tallies(row for rows in numbers.map(partial(_rows_of, each=each)).collect() for row in rows)


def collected(rows: DataFrame) -> Tallies:
    """Return the tallies that a stage returned."""
    return Tallies(row.asDict() for row in rows.collect())


def _rows_of(number: int, each: Broadcast) -> list[dict]:
    items, function = each.value
    return function(items[number]).rows()


def _each(batches: Iterable[pa.RecordBatch], each: Broadcast) -> Iterator[pa.RecordBatch]:
    items, function = each.value
    for batch in batches:
        for number in batch["id"].to_pylist():
            yield from function(items[number])
