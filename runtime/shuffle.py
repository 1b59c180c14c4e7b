"""Exchange packed rows between Spark tasks: some send blocks by bucket, and others receive a partition's blocks.

Spark's shuffle moves each block as one value, so neither the JVM nor Python touches single rows. The senders' tallies
travel with the blocks, so that a task that runs twice is counted once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from pyspark import Accumulator, Broadcast
from pyspark.sql import SparkSession

from runtime.packed_rows import Block
from runtime.redaction import known, learn
from runtime.spark import Tallied, counting, follow, summed
from runtime.tallies import Tallies

Send = Callable[[Any, Tallies], Iterator[Block]]
Receive = Callable[[int, Iterator[bytes]], Tallies]
Sent = tuple[int, bytes | Tallied]  # partition, and a block or a sender's number and tallies


class Relay(NamedTuple):
    """Tasks between senders and receivers: `pass_on(partition, blocks)` yields the blocks that it makes of others."""

    pass_on: Callable[[int, Iterator[bytes]], Iterator[Block]]
    partitions: int


def exchange(
    spark: SparkSession, items: list[Any], send: Send, receive: Receive, partitions: int, relay: Relay | None = None
) -> Tallies:
    """Send the blocks of all items to the partitions, and return the sums of what both sides tally.

    `send(item, tallies)` yields the blocks of an item, each of at least as many buckets as there are partitions.
    `receive(partition, blocks)` gets those of a partition in any order; it is called for each partition. With a relay
    the blocks are sent to its partitions, and what these make of them is received.
    """
    context = spark.sparkContext
    each = context.broadcast((items, send, receive, partitions, relay, known()))
    numbers = context.parallelize(range(len(items)), max(1, len(items)))
    sent = numbers.flatMap(partial(_send, each=each, counter=follow(spark, items)))
    if relay:
        counter = follow(spark, list(range(relay.partitions)))
        passed = partial(_pass_on, each=each, counter=counter)
        sent = sent.partitionBy(relay.partitions, int).mapPartitionsWithIndex(passed)
    counter = follow(spark, list(range(partitions)))
    received = sent.partitionBy(partitions, int).mapPartitionsWithIndex(partial(_receive, each=each, counter=counter))
    return summed(received, len(items) + partitions)


def _send(number: int, each: Broadcast, counter: Accumulator) -> Iterator[Sent]:
    gc.freeze()  # as in runtime.spark
    items, send, _, partitions, relay, addresses = each.value
    learn(addresses)
    if relay:
        partitions = relay.partitions
    with counting(items[number], counter):
        tallies = Tallies()
        for block in send(items[number], tallies):
            yield block.scaled(partitions), block.data
        yield number % partitions, (number, tallies.rows())


def _pass_on(partition: int, sent: Iterable[Sent], each: Broadcast, counter: Accumulator) -> Iterator[Sent]:
    gc.freeze()
    _, _, _, partitions, relay, addresses = each.value
    learn(addresses)
    tallied: list[Tallied] = []
    with counting(partition, counter):
        for block in relay.pass_on(partition, _blocks(sent, tallied)):
            yield block.scaled(partitions), block.data
    for number, rows in tallied:
        yield number % partitions, (number, rows)


def _receive(partition: int, sent: Iterable[Sent], each: Broadcast, counter: Accumulator) -> Iterator[Tallied]:
    gc.freeze()
    items, _, receive, _, _, addresses = each.value
    learn(addresses)
    tallied: list[Tallied] = []
    with counting(partition, counter):
        own = receive(partition, _blocks(sent, tallied))
    yield from tallied
    yield len(items) + partition, own.rows()


def _blocks(sent: Iterable[Sent], tallied: list[Tallied]) -> Iterator[bytes]:
    """Yield the blocks; tallies among them go into `tallied`."""
    for _, data in sent:
        if isinstance(data, bytes):
            yield data
        else:
            tallied.append(data)
