"""The interface of an engine, which runs functions over items in workers and moves packed rows from task to task.

`local.Local` runs them in processes of one machine, `spark.Spark` in a Spark session. Both call the same functions with
the same items, and add up the same results in the same order, so the files that tasks write are the same. The flags of
a command choose its engine, and so does the argument `engine` of a function.
"""

from __future__ import annotations

import math
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, cast

from runtime.buckets import Block
from runtime.errors import ParameterError
from runtime.progress import Progress
from runtime.shipping import Shipped
from runtime.tallies import TaskResult, merged

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from runtime.engine.spark import Spark


ADDED_ONE_BY_ONE = 256  # up to this number of items, the driver adds up results one by one, otherwise in parts

Item = TypeVar("Item")
RunTask = Callable[[int, Any, TaskResult], Iterable[Block] | None]  # yields blocks, given a task's number and its input
Numbered = tuple[int, TaskResult]  # the index of an item among all, and the result of its task


class Stage(NamedTuple):
    """A stage of an exchange, of `partitions` tasks: each gets a partition's blocks, and sends on to the next stage.

    `run(partition, blocks, result)` yields the blocks for the next stage; in the last stage it yields none.
    """

    run: RunTask
    partitions: int


class Engine(Protocol):
    """Runs functions over items in workers.

    Functions and items are pickled. They carry numbers, paths and artefacts; workers open the files themselves.
    """

    @property
    def cores(self) -> int:
        """The number of tasks that run at the same time."""

    @property
    def is_local(self) -> bool:
        """Whether workers are processes of this machine, which see all files that this process sees."""

    def start(self, progress: Progress) -> None:
        """Start the engine, if starting it takes long, as a stage of `progress`."""

    def run(
        self, items: list[Any], function: Callable[[Any], TaskResult], tasks_per_core: int | None = None
    ) -> TaskResult:
        """Call `function(item)` for each item; return the sum of the results.

        `tasks_per_core` limits the number of tasks, each of which then takes several items. This is for items that take
        less time than the start of a task.
        """

    def exchange(self, items: list[Any], send: RunTask, stages: Sequence[Stage]) -> TaskResult:
        """Send the blocks of all items through the stages; return the sum of the results of all tasks.

        `send(number, item, result)` yields the blocks of an item; each block must be of at least as many buckets as the
        stage that it is sent to has partitions. Each partition's task is called, in any order, even without blocks.
        """

    def ship(self, source: Path) -> Shipped:
        """Return a file or a folder as an artefact, which workers can open; it must not change any more."""

    def require_shared(self, folder: Path) -> None:
        """Raise an InputError if workers do not see the folder."""


def spread(items: Sequence[Item], engine: Engine) -> list[list[Item]]:
    """Return the items, in order, as lists of about one size: at most two lists per core."""
    size = max(1, -(-len(items) // (2 * engine.cores)))
    return [list(items[begin : begin + size]) for begin in range(0, len(items), size)]


def size(item: object) -> int:
    """Return the number of inputs in an item: the length of a list, tuple or range, and 1 for anything else.

    >>> size(["a.parquet", "b.parquet"]), size("a.parquet")
    (2, 1)
    """
    return len(item) if isinstance(item, list | tuple | range) else 1


def to_do(items: Iterable[object]) -> Counter[str]:
    """Return a count `total` for the progress of a stage: the number of inputs in all items."""
    return Counter(total=sum(map(size, items)))


def part_of(index: int, number: int) -> int:
    """Return the index of the part to which item `index` belongs of the `number_of_parts` of `number` items."""
    return index * number_of_parts(number) // number


def number_of_parts(number: int) -> int:
    """Return into how many parts `number` items are divided to sum their results: the integer square root."""
    return math.isqrt(number)


def in_order(numbered: Iterable[Numbered]) -> TaskResult:
    """Return the sum of all results, added in the order of the items' indices, on which sums of floats depend."""
    return merged(result for _, result in sorted(numbered, key=itemgetter(0)))


EngineLike: TypeAlias = "Engine | SparkSession | Callable[[], SparkSession] | None"


def engine_of(engine: EngineLike) -> Engine:
    """Return `engine` if it is an engine, a Spark engine for a session or a function that makes one, or Local for None.

    ParameterError for anything else.
    """
    if hasattr(engine, "exchange"):
        return cast(Engine, engine)
    if engine is None:
        from runtime.engine.local import Local  # This import is here because `local` imports this module.

        return Local()
    if not (callable(engine) or hasattr(engine, "sparkContext")):
        raise ParameterError(
            f"is of type {type(engine).__name__}; pass None for processes of this machine, Local(), or a Spark session",
            "engine",
        )
    return _spark(engine)


def started(engine: EngineLike, progress: Progress, folder: Path) -> Engine:
    """Return the started engine that `engine_of` returns; InputError if workers do not see the folder."""
    engine = engine_of(engine)
    engine.start(progress)
    engine.require_shared(folder)
    return engine


def engine_for(args: Namespace, name: str) -> Engine:
    """Return the engine of the command `name`: Spark under spark-submit or with --master, else Local."""
    from runtime.engine.local import Local

    def start() -> SparkSession:
        from runtime.session import session

        return session(name)

    on_spark = "PYSPARK_GATEWAY_PORT" in os.environ or args.master
    return _spark(start) if on_spark else Local(args.cores)


def _spark(session: SparkSession | Callable[[], SparkSession]) -> Spark:
    from runtime.engine.spark import Spark  # This import is here because most commands need no Spark.

    return Spark(session)
