"""Run functions over items as Spark tasks, and report their progress to the driver.

Workers get numbers, paths and artefacts (`runtime.shipping`), and open the files themselves. If a stage ends in files,
the workers write them and return only tallies (`run`), so that no rows pass through the JVM.
"""

from __future__ import annotations

import gc
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial, reduce
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from pyspark import RDD, Accumulator, Broadcast
from pyspark.accumulators import AccumulatorParam
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from runtime.errors import InputError, refusal_in, without_secrets
from runtime.progress import advanced, current
from runtime.redaction import known, learn
from runtime.tallies import Tallies

# What tasks make of a few numbers (`over`) looks small to Spark, whatever its size: it would send all to each machine.
SHUFFLED_JOINS = {"spark.sql.autoBroadcastJoinThreshold": "-1"}
BLOCK = 16 << 20  # bytes of a row group that a JVM holds: Parquet's 128 MB are too many for two cores with 1 GB
FEW = 256  # items whose tallies the driver adds up
FEW_ARRAYS = 16  # tasks whose arrays it adds up, of half a megabyte mostly

Tallied = tuple[int, list[dict]]  # the place of an item among all, and the rows of its tallies
Item = TypeVar("Item")
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


def follow(spark: SparkSession, items: list) -> Accumulator[Counter[str]]:
    """Return what workers count into, for items that are about to be done in the current stage."""
    counter = spark.sparkContext.accumulator(Counter(), _Sums())
    total = Counter(total=sum(map(size, items)))
    current().follow(lambda: total + counter.value)
    return counter


@contextmanager
def counting(item: object, counter: Accumulator[Counter[str]]) -> Iterator[None]:
    """Count an item, and the progress that the block reports, in a worker.

    Spark shows and stores the trace of an error, so that says no secret of a URL.
    """
    before = advanced()
    try:
        yield
    except Exception as error:
        shown = without_secrets(error)
        if shown is error:
            raise
        raise shown from None
    counter.add(advanced() - before + Counter(done=size(item)))


def size(item: object) -> int:
    """Return the number of inputs in an item: a task may take several.

    >>> size(["a.parquet", "b.parquet"]), size("a.parquet")
    (2, 1)
    """
    return len(item) if isinstance(item, list | tuple | range) else 1


def map_batches(rows: DataFrame, function: Batches, schema: pa.Schema) -> DataFrame:
    """Return the rows that `function` makes of the batches of each partition."""
    return rows.mapInArrow(function, from_arrow_schema(schema))


def stored(rows: DataFrame, folder: Path) -> DataFrame:
    """Write rows to a local folder that all machines share; return them as they are read from there.

    Unlike rows that Spark persists, they are not made again when an executor is lost.
    """
    rows.write.option("parquet.block.size", BLOCK).parquet(f"file://{folder.absolute()}", mode="overwrite")
    return rows_in(rows.sparkSession, folder, rows.schema)


def rows_in(spark: SparkSession, folder: Path, schema: StructType) -> DataFrame:
    """Return the rows of the Parquet files in a local folder that all machines share."""
    # Spark takes a path that it reads, not one that it writes, for a glob.
    escaped = re.sub(r"([\[\]{}*?\\])", r"\\\1", f"file://{folder.absolute()}")
    return spark.read.schema(schema).parquet(escaped)


def over(
    spark: SparkSession, items: list[Any], function: Callable[[Any], Iterator[pa.RecordBatch]], schema: pa.Schema
) -> DataFrame:
    """Return the rows that `function(item)` yields for each item, with one task an item."""
    numbers = spark.range(0, len(items), 1, max(1, len(items)))
    each = spark.sparkContext.broadcast((items, function, known()))
    return map_batches(numbers, partial(_each, each=each, counter=follow(spark, items)), schema)


def run(
    spark: SparkSession, items: list[Any], function: Callable[[Any], Tallies], tasks_per_core: int | None = None
) -> Tallies:
    """Return the sums of the tallies that `function(item)` returns.

    Each item has a task of its own. `tasks_per_core` limits their number, and tasks then take several items in turn: a
    task costs the JVM a tenth of a second, as much as a short item costs the worker.

    This is no DataFrame: the JVM takes longer to plan and compile one than many a stage runs.
    """
    # A broadcast is unpacked once in a worker, the arguments of a function once in each task.
    each = spark.sparkContext.broadcast((function, known()))
    most = tasks_per_core * spark.sparkContext.defaultParallelism if tasks_per_core else len(items)
    rows_of = partial(_rows_of, each=each, counter=follow(spark, items))
    return summed(numbered(spark, items, most).map(rows_of), len(items))


def added(
    spark: SparkSession, items: list[Any], function: Callable[[Any], np.ndarray], tasks_per_core: int
) -> np.ndarray:
    """Return the sum of the arrays that `function(item)` returns: whole numbers, all of one length.

    Tasks take several items in turn. Of many tasks the driver gets sums that Spark made.
    """
    each = spark.sparkContext.broadcast((function, known()))
    tasks = min(len(items), tasks_per_core * spark.sparkContext.defaultParallelism)
    parts = tasks if tasks <= FEW_ARRAYS else math.isqrt(tasks)
    sums_of = partial(_sum_of_arrays, each=each, parts=parts, counter=follow(spark, items))
    sums = numbered(spark, items, tasks).mapPartitionsWithIndex(sums_of)
    if parts < tasks:
        sums = sums.partitionBy(parts, int).mapPartitionsWithIndex(_sum_of_sums)
    return reduce(np.add, (array for _, array in sums.collect()))


def numbered(spark: SparkSession, items: list[Item], most: int) -> RDD[tuple[int, Item]]:
    """Return the items with their places, in at most so many partitions; a task gets its own ones, and no others."""
    return spark.sparkContext.parallelize([*enumerate(items)], max(1, min(len(items), most)))


def summed(tallied: RDD[Tallied], number: int) -> Tallies:
    """Return the sums of what `number` items tallied, each with its place among them.

    They are added in this order, as sums of floats depend on it. Of many items the driver gets sums that Spark made:
    an item tallies up to some hundred bytes a language and name.
    """
    if number > FEW:
        parts = math.isqrt(number)
        placed = tallied.map(partial(_placed, number=number, parts=parts)).partitionBy(parts, int)
        tallied = placed.mapPartitionsWithIndex(_sum)
    return Tallies(chain.from_iterable(rows for _, rows in sorted(tallied.collect(), key=itemgetter(0))))


def spread(spark: SparkSession, items: list[Item]) -> list[list[Item]]:
    """Return the items in as many lists as make use of all cores."""
    size = max(1, -(-len(items) // (2 * spark.sparkContext.defaultParallelism)))
    return [items[begin : begin + size] for begin in range(0, len(items), size)]


@contextmanager
def refusing() -> Iterator[None]:
    """Raise the InputError of a task, of which Spark reports the trace, as one of the driver; its JVM must be there."""
    try:
        yield
    except Exception as error:
        sentence = refusal_in(str(error)) if type(error).__module__.partition(".")[0] in ("pyspark", "py4j") else None
        if sentence is None:
            raise
        raise InputError(sentence) from None


def collected(rows: DataFrame) -> Tallies:
    """Return the tallies in the rows of a stage."""
    return Tallies(row.asDict() for row in rows.collect())


def _placed(tallied: Tallied, number: int, parts: int) -> tuple[int, Tallied]:
    return tallied[0] * parts // number, tallied


def _sum(part: int, placed: Iterable[tuple[int, Tallied]]) -> Iterator[Tallied]:
    tallied = sorted((each for _, each in placed), key=itemgetter(0))
    yield part, Tallies(chain.from_iterable(rows for _, rows in tallied)).rows()


def _rows_of(numbered: tuple[int, Any], each: Broadcast, counter: Accumulator) -> Tallied:
    # After each task Spark lets Python look for garbage, among all objects there are: what libraries made stays, and
    # looking at it again and again takes a tenth of a worker's time.
    gc.freeze()
    (number, item), (function, addresses) = numbered, each.value
    learn(addresses)
    with counting(item, counter):
        return number, function(item).rows()


def _sum_of_arrays(
    task: int, numbered: Iterable[tuple[int, Any]], each: Broadcast, parts: int, counter: Accumulator
) -> Iterator[tuple[int, np.ndarray]]:
    gc.freeze()
    function, addresses = each.value
    learn(addresses)
    total: np.ndarray | None = None
    for _, item in numbered:
        with counting(item, counter):
            array = function(item)
        total = array if total is None else total + array
    if total is not None:
        yield task % parts, total


def _sum_of_sums(part: int, sums: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    arrays = [array for _, array in sums]
    if arrays:
        yield part, reduce(np.add, arrays)


def _each(batches: Iterable[pa.RecordBatch], each: Broadcast, counter: Accumulator) -> Iterator[pa.RecordBatch]:
    items, function, addresses = each.value
    learn(addresses)
    for batch in batches:
        for number in batch["id"].to_pylist():
            with counting(items[number], counter):
                yield from function(items[number])


class _Sums(AccumulatorParam[Counter[str]]):
    def zero(self, value: Counter[str]) -> Counter[str]:
        return Counter()

    def addInPlace(self, value1: Counter[str], value2: Counter[str]) -> Counter[str]:
        return value1 + value2
