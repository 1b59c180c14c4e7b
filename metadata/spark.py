"""The few lines of Spark that the stages of both packages share.

Workers get paths and numbers and open what they name. Stages that end in files write them in the worker and return
tallies, so that rows need not go back through the JVM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from metadata.tallies import Tallies


def map_batches(rows: DataFrame, function: Callable, schema: pa.Schema) -> DataFrame:
    """Return what `function`, from an iterator of batches to one, makes of each partition."""
    return rows.mapInArrow(function, from_arrow_schema(schema))


def over(spark: SparkSession, items: list, function: Callable, schema: pa.Schema) -> DataFrame:
    """Return what `function(item)` yields for each item, with one task an item."""
    numbers = spark.range(0, len(items), 1, max(1, len(items)))
    return map_batches(numbers, partial(_each, items=items, function=function), schema)


def collected(rows: DataFrame) -> Tallies:
    """Return the tallies that a stage returned."""
    return Tallies(row.asDict() for row in rows.collect())


def _each(batches: Iterable[pa.RecordBatch], items: list, function: Callable) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for number in batch["id"].to_pylist():
            yield from function(items[number])
