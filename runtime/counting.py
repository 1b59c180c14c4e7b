"""Bring the counts that Spark's workers make for the progress display to the driver, at the end of each task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import Accumulator
from pyspark.accumulators import AccumulatorParam
from pyspark.sql import SparkSession

from runtime.errors import without_secrets
from runtime.progress import Figures, advanced, current


def follow(spark: SparkSession, items: list) -> Accumulator[Figures]:
    """Return what workers count into, for items that are about to be done in the current stage."""
    counter = spark.sparkContext.accumulator(Figures(), _Sums())
    total = Figures(total=sum(map(size, items)))
    current().follow(lambda: total + counter.value)
    return counter


@contextmanager
def counting(item: object, counter: Accumulator[Figures]) -> Iterator[None]:
    """Count an item that the block does, and what it advances, in a worker.

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
    counter.add(advanced() - before + Figures(done=size(item)))


def size(item: object) -> int:
    """Return the number of inputs in an item: a task may take several.

    >>> size(["a.parquet", "b.parquet"]), size("a.parquet")
    (2, 1)
    """
    return len(item) if isinstance(item, list | tuple | range) else 1


class _Sums(AccumulatorParam[Figures]):
    def zero(self, value: Figures) -> Figures:
        return Figures()

    def addInPlace(self, value1: Figures, value2: Figures) -> Figures:
        return value1 + value2
