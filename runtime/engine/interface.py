"""The interface of an engine, which runs functions over items in workers and moves packed rows from task to task.

`local.Local` is the processes of one machine, `spark.Spark` a Spark session. Both run the same functions on the same
items, and add up the same tallies in the same order, so the files that tasks write are the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np

from runtime.buckets import Block
from runtime.progress import Progress
from runtime.shipping import Shipped
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from runtime.engine.spark import Spark

FEW = 256  # items whose tallies the driver adds up one by one

Item = TypeVar("Item")
Send = Callable[[Any, Tallies], Iterator[Block]]
Receive = Callable[[int, Iterator[bytes]], Tallies]
Tallied = tuple[int, list[dict]]  # the place of an item among all, and the rows of its tallies


class Relay(NamedTuple):
    """A stage on the way: `pass_on(partition, blocks, tallies)` yields what becomes of the blocks of a partition."""

    pass_on: Callable[[int, Iterator[bytes], Tallies], Iterator[Block]]
    partitions: int


class Engine(Protocol):
    """Runs functions over items in workers.

    Functions and items are pickled. They carry numbers, paths and artefacts; workers open the files themselves.
    """

    @property
    def cores(self) -> int:
        """The number of tasks that run at the same time."""

    def start(self, progress: Progress) -> None:
        """Start what takes long to start, as a stage of its own."""

    def run(self, items: list[Any], function: Callable[[Any], Tallies], tasks_per_core: int | None = None) -> Tallies:
        """Return the sums of the tallies that `function(item)` returns.

        `tasks_per_core` limits the number of tasks where a task costs more than a short item: they take several items.
        """

    def added(self, items: list[Any], function: Callable[[Any], np.ndarray], tasks_per_core: int) -> np.ndarray:
        """Return the sum of the arrays that `function(item)` returns: whole numbers, all of one length."""

    def exchange(
        self, items: list[Any], send: Send, receive: Receive, partitions: int, relays: Sequence[Relay] = ()
    ) -> Tallies:
        """Send the blocks of all items to the partitions, and return the sums of what all sides tally.

        `send(item, tallies)` yields the blocks of an item, each of at least as many buckets as there are partitions.
        `receive(partition, blocks)` gets those of a partition in any order; it is called for each partition.
        Blocks may pass through `relays`.
        """

    def ship(self, source: Path) -> Shipped:
        """Return an artefact, a file or a folder that must not change any more, for workers to open."""

    def require_shared(self, folder: Path) -> None:
        """Refuse a folder that workers do not see."""

    def sql(self, why: str) -> Spark:
        """Return an engine whose session evaluates SQL: this one, or one that is started now; `why` names the need."""


def spread(items: list[Item], engine: Engine) -> list[list[Item]]:
    """Return the items in as many lists as make use of all cores."""
    size = max(1, -(-len(items) // (2 * engine.cores)))
    return [items[begin : begin + size] for begin in range(0, len(items), size)]


def size(item: object) -> int:
    """Return the number of inputs in an item: a task may take several.

    >>> size(["a.parquet", "b.parquet"]), size("a.parquet")
    (2, 1)
    """
    return len(item) if isinstance(item, list | tuple | range) else 1


def to_do(items: Iterable[object]) -> Counter[str]:
    """Return the count of all inputs in items, for the progress of a stage."""
    return Counter(total=sum(map(size, items)))


def part_of(place: int, number: int) -> int:
    """Return the part whose sums have the tallies of an item among `number`, more than FEW."""
    return place * parts(number) // number


def parts(number: int) -> int:
    """Return in how many parts the tallies of `number` items are added up."""
    return math.isqrt(number)


def sum_of_part(part: int, tallied: Iterable[Tallied]) -> Tallied:
    """Return the sums of the tallies of a part's items."""
    return part, in_order(tallied).rows()


def in_order(tallied: Iterable[Tallied]) -> Tallies:
    """Return the sums of tallies, added in the order of places: sums of floats depend on it."""
    return Tallies(chain.from_iterable(rows for _, rows in sorted(tallied, key=itemgetter(0))))
