"""Run tasks in a Spark session, on one machine or a cluster: Spark starts tasks, retries them, and moves blocks.

Each block is one value of an RDD, so neither the JVM nor Python touches single rows. The senders' results travel with
the blocks, so that a task that runs twice is counted once. For DataFrames, there are functions that make rows in tasks
and map them batch by batch.
"""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import RDD, Accumulator, Broadcast
from pyspark.accumulators import AccumulatorParam
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from runtime import engine
from runtime.buckets import Block
from runtime.engine import Item, Numbered, RunTask, Stage
from runtime.errors import InputError, name_flags, refusal_in, without_secrets
from runtime.progress import Progress, advanced, current
from runtime.redaction import learn, secret_addresses
from runtime.shipping import Shipped, is_local, require_shared, ship
from runtime.tallies import TaskResult

Batches = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

Sent = tuple[int, bytes | Numbered]  # a partition, and a block, or the index and result of a sender


@contextmanager
def refusing_tasks() -> Iterator[None]:
    """Raise an InputError if Spark reports that one of its tasks raised an InputError, instead of Spark's error."""
    try:
        yield
    except Exception as error:
        sentence = refusal_in(str(error)) if type(error).__module__.partition(".")[0] in ("pyspark", "py4j") else None
        if sentence is None:
            raise
        raise InputError(sentence) from None


class Spark:
    """An engine that runs tasks in a Spark session; `session` may be a function that makes one when it is needed."""

    def __init__(self, session: SparkSession | Callable[[], SparkSession]) -> None:
        self._made = session

    @cached_property
    def session(self) -> SparkSession:
        """The Spark session; if the engine was given a function, the first access makes the session."""
        return self._made() if callable(self._made) else self._made

    @property
    def cores(self) -> int:
        """The number of tasks that run at the same time."""
        return self.session.sparkContext.defaultParallelism

    @property
    def is_local(self) -> bool:
        """Whether workers are processes of this machine, which see all files that this process sees."""
        return is_local(self.session)

    def start(self, progress: Progress) -> None:
        """Start the session, unless it has started, as a stage of `progress`."""
        if "session" not in self.__dict__:
            with progress.stage("start Spark"):
                _ = self.session

    @refusing_tasks()
    def run(
        self, items: list[Any], function: Callable[[Any], TaskResult], tasks_per_core: int | None = None
    ) -> TaskResult:
        """Call `function(item)` for each item; return the sum of the results.

        `tasks_per_core` limits the number of tasks, each of which then takes several items: a task costs the JVM a
        tenth of a second, as much as a short item costs the worker.

        This uses an RDD, because the JVM may take longer to plan and compile a DataFrame than the stage itself runs.
        """
        # A broadcast is unpacked once in a worker, the arguments of a function once in each task.
        shared = self.session.sparkContext.broadcast((function, secret_addresses()))
        most = tasks_per_core * self.cores if tasks_per_core else len(items)
        task = _SparkTask(shared, follow(self.session, items))
        return _summed(self._numbered(items, most).map(task.call), len(items))

    @refusing_tasks()
    def exchange(self, items: list[Any], send: RunTask, stages: Sequence[Stage]) -> TaskResult:
        """Send the blocks of all items through the stages; return the sum of all results."""
        runs = (send, *(stage.run for stage in stages))
        shared = self.session.sparkContext.broadcast((runs, secret_addresses()))
        tasks = [*(stage.partitions for stage in stages), 1]
        first = len(items)
        sending = _SparkTask(shared, follow(self.session, items), tasks[0])
        sent = self._numbered(items, len(items)).flatMap(sending.send)
        for number, stage in enumerate(stages, 1):
            counter = follow(self.session, list(range(stage.partitions)))
            passing = _SparkTask(shared, counter, tasks[number], first, number)
            sent = sent.partitionBy(stage.partitions, int).mapPartitionsWithIndex(passing.pass_on)
            first += stage.partitions
        received = sent.map(itemgetter(1))  # The last stage sends only results.
        try:
            return _summed(received, first)
        finally:
            # Otherwise the blocks stay on disk until the JVM collects garbage, which may be after the run.
            received._jrdd.rdd().cleanShuffleDependencies(False)

    def ship(self, source: Path) -> Shipped:
        """Return a file or a folder as an artefact, which workers can open; `source` must not change any more."""
        return ship(self.session, source)

    def require_shared(self, folder: Path) -> None:
        """Raise an InputError if workers on other machines do not see the folder."""
        require_shared(self.session, folder)

    def _numbered(self, items: list[Item], most: int) -> RDD[tuple[int, Item]]:
        """Return an RDD of (index, item) in at most `most` partitions; each task is sent only its own items."""
        return self.session.sparkContext.parallelize([*enumerate(items)], max(1, min(len(items), most)))


def follow(spark: SparkSession, items: list) -> Accumulator[Counter[str]]:
    """Return an accumulator for the progress of workers on `items`; the current stage includes what it counts."""
    counter = spark.sparkContext.accumulator(Counter(), _Counts())
    total = engine.to_do(items)
    current().follow(lambda: total + counter.value)
    return counter


@contextmanager
def counting(item: object, counter: Accumulator[Counter[str]], addresses: dict[str, str]) -> Iterator[None]:
    """Run the block in a worker, and add its progress and the number of inputs in `item` to `counter`.

    `addresses` are the URLs with secrets that the block may open. An error in the block is raised without these
    secrets, as Spark shows and stores its trace.
    """
    # After each task, Spark makes Python check all objects for garbage. The objects of libraries stay, and checking
    # them again and again takes a tenth of a worker's time.
    gc.freeze()
    name_flags()
    learn(addresses)
    before = advanced()
    try:
        yield
    except Exception as error:
        shown = without_secrets(error)
        if shown is error:
            raise
        raise shown from None
    counter.add(advanced() - before + Counter(done=engine.size(item)))


def _summed(numbered: RDD[Numbered], number: int) -> TaskResult:
    """Return the sum of the results of `number` items; `numbered` has the index of each item with its result.

    The results of more than ADDED_ONE_BY_ONE items are first summed by part in Spark, because the tallies of an item
    may take some hundred bytes for each language and name.
    """
    if number > engine.ADDED_ONE_BY_ONE:
        placed = numbered.map(lambda item: (engine.part_of(item[0], number), item))
        numbered = placed.partitionBy(engine.number_of_parts(number), int).mapPartitionsWithIndex(_sum)
    return engine.in_order(numbered.collect())


def _sum(part: int, placed: Iterable[tuple[int, Numbered]]) -> Iterator[Numbered]:
    yield part, engine.in_order(numbered for _, numbered in placed)


@dataclass(frozen=True)
class _SparkTask:
    """Runs tasks of a stage, whose functions are `shared`; its blocks are for `partitions` tasks of the next stage.

    `first` is the number of tasks before the stage `number`, whose numbers come before the numbers of its tasks.
    """

    shared: Broadcast
    counter: Accumulator[Counter[str]]
    partitions: int = 0
    first: int = 0
    number: int = 0

    def call(self, numbered: tuple[int, Any]) -> Numbered:
        """Call the function with an item, and return the result."""
        number, item = numbered
        function, addresses = self.shared.value
        with counting(item, self.counter, addresses):
            return number, function(item)

    def rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows that the function yields for the items whose numbers are in the column `id`."""
        items, function, addresses = self.shared.value
        for batch in batches:
            for number in batch["id"].to_pylist():
                with counting(items[number], self.counter, addresses):
                    yield from function(items[number])

    def send(self, numbered: tuple[int, Any]) -> Iterator[Sent]:
        """Yield the blocks of an item, and its result."""
        number, item = numbered
        runs, addresses = self.shared.value
        with counting(item, self.counter, addresses):
            result = TaskResult()
            for block in runs[0](number, item, result) or ():
                yield block.scaled(self.partitions), block.read()
            yield number % self.partitions, (number, result)

    def pass_on(self, partition: int, sent: Iterable[Sent]) -> Iterator[Sent]:
        """Run a task of a later stage: yield its blocks, then the results that came with `sent` and its own result."""
        runs, addresses = self.shared.value
        results: list[Numbered] = []
        with counting(partition, self.counter, addresses):
            result = TaskResult()
            blocks = _blocks(sent, results)
            for block in runs[self.number](partition, blocks, result) or ():
                yield block.scaled(self.partitions), block.read()
            deque(blocks, maxlen=0)  # This reads the blocks that the task left unread: some hold results.
        for numbered in (*results, (self.first + partition, result)):
            yield numbered[0] % self.partitions, numbered


def _blocks(sent: Iterable[Sent], results: list[Numbered]) -> Iterator[Block]:
    """Yield the blocks in `sent`; append the results of tasks in `sent` to `results`."""
    for _, data in sent:
        if isinstance(data, bytes):
            yield Block.of(data)
        else:
            results.append(data)


class _Counts(AccumulatorParam[Counter[str]]):
    def zero(self, value: Counter[str]) -> Counter[str]:
        return Counter()

    def addInPlace(self, value1: Counter[str], value2: Counter[str]) -> Counter[str]:
        return value1 + value2


def map_batches(rows: DataFrame, function: Batches, schema: pa.Schema) -> DataFrame:
    """Return a DataFrame, with this schema, of the rows that `function` yields given the batches of each partition."""
    return rows.mapInArrow(function, from_arrow_schema(schema))


def over(
    spark: SparkSession, items: list[Any], function: Callable[[Any], Iterator[pa.RecordBatch]], schema: pa.Schema
) -> DataFrame:
    """Return a DataFrame of the rows that `function(item)` yields for each item, with one task per item."""
    numbers = spark.range(0, len(items), 1, max(1, len(items)))
    task = _SparkTask(spark.sparkContext.broadcast((items, function, secret_addresses())), follow(spark, items))
    return map_batches(numbers, task.rows, schema)
