"""A stand-in for a Spark session, over which the real `runtime.engine.spark.Spark` runs.

All is done in one process, one thing after the other. Tasks come in a drawn order. One may run again after its end, be
lost with its executor, or stop half way and go on late: beside the next try of it, or after the command has ended.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from random import Random
from typing import Any

from pyspark import cloudpickle

from tests.simulator.faults import LATE
from tests.simulator.machine import Machine
from tests.simulator.processes import Aside, Driver, Ended, Fault, Process

OF_TASKS = ("again", "late", "twice")
TURN = 12  # operations of one of two tries of a task until the other goes on, at most


class JobFailed(Exception):
    """What Spark raises in the driver."""

    __module__ = "py4j.protocol"


@dataclass
class Engine:
    """Starts the tasks of one command."""

    machine: Machine
    driver: Driver
    faults: dict[int, Fault]  # by task
    cores: int
    tries: int  # of a task
    hosts: int = 0  # machines of workers; none are other machines than the driver's
    started: int = 0

    def stage(self, tasks: list[Callable[[], Iterator]]) -> list[list]:
        """Return what each task yields."""
        order, found = [*range(len(tasks))], {}
        self.driver.chance.shuffle(order)
        for number in order:
            found[number] = self._tried(tasks[number])
        return [found[number] for number in range(len(tasks))]

    def _tried(self, task: Callable[[], Iterator]) -> list:
        fault = self.faults.get(self.started)
        self.started += 1
        aside = None
        if fault:
            self.machine.met.append(str(fault))
            if fault.kind == "again":  # it ended well, and its executor was lost before anybody had its answer
                with suppress(Exception, Ended):
                    self._done(task)
            else:
                aside = self._aside(task, fault)
        for _ in range(self.tries):
            try:
                return self._first(self._done(task), aside)
            except Ended:
                if not self.driver.is_alive:
                    raise
                reason = "ExecutorLostFailure (executor 1 exited) Reason: worker lost"
            except Exception:
                reason = f"org.apache.spark.api.python.PythonException: {traceback.format_exc()}"
        raise JobFailed(f"Task 0 in stage 0.0 failed {self.tries} times, most recent failure: Lost task 0.{self.tries} "
            f"in stage 0.0 (TID 1) (localhost executor 1): {reason}")  # fmt: skip

    def _aside(self, task: Callable[[], Iterator], fault: Fault) -> Aside:
        """Begin a task that stops, to go on late, or in turns with the next try of it."""
        chance = Random(fault.share)
        is_late = fault.kind == "late"
        aside = Aside(chance, 0 if is_late else TURN, left=round(fault.share * LATE) if is_late else 1)
        aside.process = self._worker(aside)
        aside.start(lambda: self._at_work(aside.process, task), chance.randrange(1, TURN))
        self.machine.asides.append(aside)
        return aside

    def _first(self, found: list, aside: Aside | None) -> list:
        """Return what the first of two tries found; the other one is ended, or goes on for a while."""
        if aside and aside.turn:
            if aside.is_over and aside.error is None:
                return aside.found
            if aside.chance.random() < 0.5:
                aside.kill()
        return found

    def _done(self, task: Callable[[], Iterator]) -> list:
        if not self.driver.is_alive:
            raise Ended
        return self._at_work(self._worker(), task)

    def _at_work(self, process: Process, task: Callable[[], Iterator]) -> list:
        with self.machine.working(process):
            return [*task()]

    def _worker(self, aside: Aside | None = None) -> Process:
        host = str(self.driver.chance.randrange(self.hosts)) if self.hosts else "driver"
        return self.driver.worker(host, aside)


class Settings(dict):
    """Spark's settings, which decide nothing here."""

    set = dict.__setitem__


@dataclass
class Session:
    """What the driver asks of a session."""

    engine: Engine
    conf: Settings = field(default_factory=Settings)

    @property
    def sparkContext(self) -> Session:
        return self

    @property
    def master(self) -> str:
        return "spark://driver:7077" if self.engine.hosts else "local[2]"

    @property
    def defaultParallelism(self) -> int:
        return self.engine.cores

    def addFile(self, path: str) -> None:
        """Let workers fetch a file: they find it in the driver's folder of them."""

    def broadcast(self, value: Any) -> Broadcast:
        return Broadcast(cloudpickle.dumps(value))

    def accumulator(self, value: Any, _: object) -> Accumulator:
        return Accumulator(value)

    def parallelize(self, rows: list, slices: int) -> Rows:
        bounds = [len(rows) * number // slices for number in range(slices + 1)]
        parts = [pickle.dumps(rows[begin:end]) for begin, end in zip(bounds, bounds[1:], strict=False)]
        return Rows(self.engine, [partial(_unpickled, part) for part in parts])


@dataclass
class Broadcast:
    """A value that each task gets anew."""

    packed: bytes

    @property
    def value(self) -> Any:
        return cloudpickle.loads(self.packed)


@dataclass
class Accumulator:
    """Figures for display."""

    value: Any

    def add(self, more: Any) -> None:
        self.value = self.value + more


@dataclass
class Rows:
    """An RDD: the function that gives the rows of each partition."""

    engine: Engine
    partitions: list[Callable[[], Iterator]] = field(default_factory=list)

    def map(self, function: Callable) -> Rows:
        return self._with(lambda _, rows: map(function, rows))

    def flatMap(self, function: Callable) -> Rows:
        return self._with(lambda _, rows: chain.from_iterable(map(function, rows)))

    def union(self, other: Rows) -> Rows:
        return Rows(self.engine, [*self.partitions, *other.partitions])

    def mapPartitionsWithIndex(self, function: Callable) -> Rows:
        return self._with(function)

    def partitionBy(self, number: int, partition: Callable[[int], int]) -> Rows:
        """Bring the rows of all tasks together, in a drawn order."""
        sent = [row for rows in self.engine.stage(self.partitions) for row in rows]
        self.engine.driver.chance.shuffle(sent)
        return Rows(
            self.engine, [partial(iter, [row for row in sent if partition(row[0]) == n]) for n in range(number)]
        )

    @property
    def _jrdd(self) -> Rows:
        return self

    def rdd(self) -> Rows:
        return self

    def cleanShuffleDependencies(self, blocking: bool) -> None:
        """Remove nothing: rows of a shuffle are on no disk here."""

    def collect(self) -> list:
        return [row for rows in self.engine.stage(self.partitions) for row in rows]

    def _with(self, function: Callable) -> Rows:
        return Rows(self.engine, [partial(_apply, function, *each) for each in enumerate(self.partitions)])


def _unpickled(part: bytes) -> Iterator:
    return iter(pickle.loads(part))


def _apply(function: Callable, number: int, rows: Callable[[], Iterator]) -> Iterator:
    return iter(function(number, rows()))
