"""Bring packed rows together through Spark's shuffle: tasks send blocks, other tasks receive those of a partition.

Spark moves each block as one value, so neither the JVM nor Python touches rows on the way. With the blocks travel the
tallies of those who sent them: a task that runs twice is counted once.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark import Accumulator, Broadcast, TaskContext
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from runtime.arrow.batching import gather
from runtime.blocks import Block
from runtime.counting import counting, follow
from runtime.tallies import Tallies

Send = Callable[[Any, Tallies], Iterator[Block]]
Receive = Callable[[int, Iterator[pa.Buffer]], Tallies]

BATCH_BYTES = 4 << 20  # of blocks that go to or from the JVM together
_BATCH_SETTING = "spark.sql.execution.arrow.maxBytesPerBatch"
_SENT = pa.schema([("partition", pa.int32()), ("sender", pa.int32()), ("data", pa.binary())])
_RECEIVED = pa.schema([("number", pa.int32()), ("tallies", pa.string())])


def exchange(spark: SparkSession, items: list[Any], send: Send, receive: Receive, partitions: int) -> Tallies:
    """Send the blocks of all items to so many partitions, and return the sums of what both sides tally.

    `send(item, tallies)` yields the blocks of an item, each of at least as many buckets as there are partitions.
    `receive(partition, blocks)` gets those of a partition in any order; it is called for each partition.
    """
    each = spark.sparkContext.broadcast((items, send, receive, partitions))
    numbers = spark.range(0, len(items), 1, max(1, len(items)))
    sent = numbers.mapInArrow(partial(_send, each=each, counter=follow(spark, items)), from_arrow_schema(_SENT))
    counter = follow(spark, list(range(partitions)))
    received = sent.repartitionById(partitions, "partition").mapInArrow(
        partial(_receive, each=each, counter=counter), from_arrow_schema(_RECEIVED)
    )
    with _batches_of(spark, BATCH_BYTES):
        rows = sorted(received.collect())  # sums of floats must not depend on who was first
    return Tallies(row for _, tallies in rows for row in json.loads(tallies))


@contextmanager
def _batches_of(spark: SparkSession, size: int) -> Iterator[None]:
    """Let no batch of Arrow rows that the JVM hands to Python be much larger than `size` bytes."""
    before = str(spark.conf.get(_BATCH_SETTING))
    spark.conf.set(_BATCH_SETTING, str(size))
    try:
        yield
    finally:
        spark.conf.set(_BATCH_SETTING, before)


def _send(batches: Iterable[pa.RecordBatch], each: Broadcast, counter: Accumulator) -> Iterator[pa.RecordBatch]:
    gc.freeze()  # as in runtime.spark
    items, send, _, partitions = each.value
    for batch in batches:
        for number in batch["id"].to_pylist():
            with counting(items[number], counter):
                tallies = Tallies()
                for blocks in gather(send(items[number], tallies), lambda block: len(block.data), BATCH_BYTES):
                    yield _batch([(block.scaled(partitions), None, block.data) for block in blocks])
                yield _batch([(number % partitions, number, json.dumps(tallies.rows()).encode())])


def _receive(batches: Iterable[pa.RecordBatch], each: Broadcast, counter: Accumulator) -> Iterator[pa.RecordBatch]:
    gc.freeze()
    items, _, receive, _ = each.value
    context = TaskContext.get()
    assert context  # of a task, where this runs
    partition = context.partitionId()
    tallied: dict[int, str] = {}
    with counting(partition, counter):
        own = receive(partition, _blocks(batches, tallied))
    tallied[len(items) + partition] = json.dumps(own.rows())
    yield _batch(tallied.items(), _RECEIVED)


def _blocks(batches: Iterable[pa.RecordBatch], tallied: dict[int, str]) -> Iterator[pa.Buffer]:
    """Yield the blocks in rows of _SENT; the tallies among them go into `tallied`, by their sender."""
    for batch in batches:
        for sender, data in zip(batch["sender"].to_pylist(), batch["data"], strict=True):
            if sender is None:
                yield data.as_buffer()
            else:
                tallied[sender] = data.as_py().decode()


def _batch(rows: Iterable[tuple], schema: pa.Schema = _SENT) -> pa.RecordBatch:
    columns = zip(zip(*rows, strict=True), schema.types, strict=True)
    return pa.RecordBatch.from_arrays([pa.array(column, kind) for column, kind in columns], schema=schema)
