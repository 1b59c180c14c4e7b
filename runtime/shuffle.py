"""Exchange packed rows between Spark tasks: some send blocks by bucket, and others receive a partition's blocks.

Spark's shuffle moves each block as one value, so neither the JVM nor Python touches single rows. The senders' tallies
travel with the blocks, so that a task that runs twice is counted once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
from pyspark import Accumulator, Broadcast
from pyspark.sql import DataFrame, Row, SparkSession

from runtime.packed_rows import Block
from runtime.redaction import known, learn
from runtime.spark import Tallied, counting, follow, numbered, summed
from runtime.tallies import Tallies

Send = Callable[[Any, Tallies], Iterator[Block]]
Receive = Callable[[int, Iterator[bytes]], Tallies]
Sent = tuple[int, bytes | Tallied]  # partition, and a block or a sender's number and tallies
BLOCKS = pa.schema([pa.field("block", pa.binary())])


class Relay(NamedTuple):
    """A stage on the way: `pass_on(partition, blocks, tallies)` yields what becomes of the blocks of a partition."""

    pass_on: Callable[[int, Iterator[bytes], Tallies], Iterator[Block]]
    partitions: int


def exchange(
    spark: SparkSession,
    items: list[Any],
    send: Send,
    receive: Receive,
    partitions: int,
    relays: Sequence[Relay] = (),
    rows: DataFrame | None = None,
) -> Tallies:
    """Send the blocks of all items to the partitions, and return the sums of what all sides tally.

    `send(item, tallies)` yields the blocks of an item, each of at least as many buckets as there are partitions.
    `receive(partition, blocks)` gets those of a partition in any order; it is called for each partition.
    Blocks may pass through `relays`, and more of them may come as `rows` of BLOCKS.
    """
    each = spark.sparkContext.broadcast((send, receive, tuple(relays), known()))
    bounds, first = [*(relay.partitions for relay in relays), partitions], len(items)
    sending = partial(_send, each=each, partitions=bounds[0], counter=follow(spark, items))
    sent = numbered(spark, items, len(items)).flatMap(sending)
    if rows is not None:
        sent = sent.union(rows.rdd.map(partial(_of_row, partitions=bounds[0])))
    for number, relay in enumerate(relays):
        pass_on = partial(_pass_on, each=each, relay=number, first=first, partitions=bounds[number + 1])
        counter = follow(spark, list(range(relay.partitions)))
        sent = sent.partitionBy(relay.partitions, int).mapPartitionsWithIndex(partial(pass_on, counter=counter))
        first += relay.partitions
    counter = follow(spark, list(range(partitions)))
    receiving = partial(_receive, each=each, first=first, counter=counter)
    received = sent.partitionBy(partitions, int).mapPartitionsWithIndex(receiving)
    try:
        return summed(received, first + partitions)
    finally:
        # Else the blocks stay on the disks until the JVM collects garbage, which may be after the run.
        received._jrdd.rdd().cleanShuffleDependencies(False)


def as_row(block: Block) -> pa.RecordBatch:
    """Return a block as a batch of BLOCKS."""
    return pa.RecordBatch.from_arrays([pa.array([block.data], pa.binary())], schema=BLOCKS)


def _send(numbered: tuple[int, Any], each: Broadcast, partitions: int, counter: Accumulator) -> Iterator[Sent]:
    gc.freeze()  # as in runtime.spark
    (number, item), (send, _, _, addresses) = numbered, each.value
    learn(addresses)
    with counting(item, counter):
        tallies = Tallies()
        for block in send(item, tallies):
            yield block.scaled(partitions), block.data
        yield number % partitions, (number, tallies.rows())


def _of_row(row: Row, partitions: int) -> Sent:
    data = bytes(row[0])
    return Block.of(data).scaled(partitions), data


def _pass_on(
    partition: int, sent: Iterable[Sent], each: Broadcast, relay: int, first: int, partitions: int, counter: Accumulator
) -> Iterator[Sent]:
    gc.freeze()
    _, _, relays, addresses = each.value
    learn(addresses)
    tallied: list[Tallied] = []
    with counting(partition, counter):
        tallies = Tallies()
        blocks = _blocks(sent, tallied)
        for block in relays[relay].pass_on(partition, blocks, tallies):
            yield block.scaled(partitions), block.data
        _exhaust(blocks)
    for number, rows in (*tallied, (first + partition, tallies.rows())):
        yield number % partitions, (number, rows)


def _receive(
    partition: int, sent: Iterable[Sent], each: Broadcast, first: int, counter: Accumulator
) -> Iterator[Tallied]:
    gc.freeze()
    _, receive, _, addresses = each.value
    learn(addresses)
    tallied: list[Tallied] = []
    with counting(partition, counter):
        blocks = _blocks(sent, tallied)
        own = receive(partition, blocks)
        _exhaust(blocks)
    yield from tallied
    yield first + partition, own.rows()


def _exhaust(blocks: Iterator[bytes]) -> None:
    """Take the blocks that nobody asked for: tallies may be among them."""
    for _ in blocks:
        pass


def _blocks(sent: Iterable[Sent], tallied: list[Tallied]) -> Iterator[bytes]:
    """Yield the blocks; tallies among them go into `tallied`."""
    for _, data in sent:
        if isinstance(data, bytes):
            yield data
        else:
            tallied.append(data)
