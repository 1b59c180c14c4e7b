"""Count the operations that the processes of commands are about to do, and let the faults of `faults` come there.

The operations themselves are those of `disk` and `store`.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from runtime.folders.ownership import TOKEN
from tests.simulator.faults import KINDS
from tests.simulator.processes import Aside, Driver, Ended, Process

_NEEDS_SPACE = ("create", "mkdir", "write")


@dataclass
class Trouble:
    """What a fault has left for the operations that come, of all processes, until its command is over."""

    is_full: bool = False
    tight: int = 0  # operations in which only some find room
    lag: int = 0  # the newest names that the next listing lacks
    is_unseen: bool = False  # the next file that another process renamed
    power: float = 0.0  # the share of what is not synced that outlasts its loss
    flip: tuple[float, int] | None = None  # the bit of the next file that is read, and for how many operations
    flipped: list[tuple[int, Callable[[], None]]] = field(default_factory=list)  # until when, and how it flips back


@dataclass
class Machine:
    """What is in one folder, or in one object store, and who is at work there."""

    root: Path
    output: Path  # where runs write: `root`, or a folder of an object store with the same faults
    nobody: Random = field(default_factory=Random)  # the chance of what no command does
    is_flipped: bool = False  # a bit, at rest or in what was read
    is_between: bool = False  # a second command came between a look at the token of a store and what was done then
    operations: int = 0
    trouble: Trouble = field(default_factory=Trouble)
    met: list[str] = field(default_factory=list)  # the faults that came, and where
    drivers: list[Driver] = field(default_factory=list)  # the first one first
    asides: list[Aside] = field(default_factory=list)
    renamed: dict[str, Process | None] = field(default_factory=dict)  # by whom a name was given, the newest last

    def __post_init__(self) -> None:
        self._local = threading.local()

    @property
    def is_remote(self) -> bool:
        """Whether runs write to an object store."""
        return self.output is not self.root

    @property
    def process(self) -> Process | None:
        """The process that is at work; None of somebody who looks at what there is, and meets no fault."""
        return getattr(self._local, "process", None)

    @property
    def chance(self) -> Random:
        """The chance of the command that is at work."""
        return self.process.driver.chance if self.process else self.nobody

    @contextmanager
    def working(self, process: Process | None) -> Iterator[None]:
        """Let a process be at work in this thread."""
        before, self._local.process = self.process, process
        try:
            yield
        finally:
            self._local.process = before

    @contextmanager
    def command(self, driver: Driver) -> Iterator[None]:
        """Let the driver of a command be at work; commands that began in turns with the first one end with it."""
        self.drivers.append(driver)
        try:
            with self.working(driver):
                yield
        finally:
            driver.is_alive = False
            if driver is self.drivers[0]:
                self._recover()
            self.drivers.remove(driver)

    def end(self) -> None:
        """End all that is late."""
        for aside in self.asides:
            aside.kill()

    def give_way(self) -> bool:
        """Let others go on, of whom one has what this process waits for; return whether any did."""
        if self.process and self.process.aside:
            self.process.aside.give_way()
            return True
        waiting = [aside for aside in self.asides if not aside.is_over]
        for aside in waiting:
            aside.resume()
        return bool(waiting)

    def operation(self, kind: str, path: str) -> None:
        """Count an operation that a process is about to do, and let come what is to come."""
        process = self._require_alive()
        if process.aside:
            process.aside.operation()
        else:
            self._resume()
        self._flip_back()
        driver, self.operations = process.driver, self.operations + 1
        number, driver.operations = driver.operations, driver.operations + 1
        driver.looked = number if path.endswith(TOKEN) and kind == "read" else driver.looked
        for fault in driver.faults.get(number, ()):
            if fault.kind != "lost" or process is not driver:
                self.met.append(f"{fault}: {process.name} {kind} {path.removeprefix(str(self.root))}")
                KINDS[fault.kind](self, fault, process, path)
        self._require_alive()
        if kind in _NEEDS_SPACE:
            self._require_room(path)
        elif kind == "read":
            self._look_at(path)

    def listed(self, names: list[str], path: Callable[[str], str] = str) -> list[str]:
        """Return the names of a listing in any order, and not yet the newest ones of other processes if it lags."""
        if self.trouble.lag:
            fresh = [name for name in names if self.renamed.get(path(name), self.process) is not self.process]
            order = [*self.renamed]
            fresh.sort(key=lambda name: order.index(path(name)))
            names = [*set(names) - {*fresh[-self.trouble.lag :]}]
            self.trouble.lag = 0
        return self.shuffled(names)

    def shuffled(self, names: list[str]) -> list[str]:
        """Return names in a drawn order."""
        found = sorted(names)
        self.chance.shuffle(found)
        return found

    def flip(self, path: str, share: float) -> Callable[[], None]:
        """Flip a bit of a file; return what flips it back, where the file still exists."""
        raise NotImplementedError

    def lose(self, share: float) -> None:
        """Lose what a loss of power costs: of an object store, which is elsewhere, nothing."""

    def lose_host(self, host: str) -> None:
        """Lose the disk of a machine."""
        raise NotImplementedError

    def age(self, seconds: float) -> None:
        """Let what the machines keep be older by so many seconds."""
        raise NotImplementedError

    def _require_alive(self) -> Process:
        process = self.process
        if process is None or process.has_ended:
            raise Ended
        return process

    def _require_room(self, path: str) -> None:
        is_tight = self.trouble.tight > self.operations and self.chance.random() < 0.5
        if self.trouble.is_full or is_tight:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def _look_at(self, path: str) -> None:
        trouble = self.trouble
        if trouble.flip:
            share, until = trouble.flip
            trouble.flip = None
            trouble.flipped.append((self.operations + until, self.flip(path, share)))
        if trouble.is_unseen and self._is_fresh(path):
            trouble.is_unseen = False
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def _is_fresh(self, path: str) -> bool:
        return any(path.startswith(name) and process is not self.process for name, process in self.renamed.items())

    def _flip_back(self, is_over: bool = False) -> None:
        due = [back for until, back in self.trouble.flipped if is_over or until <= self.operations]
        if due:
            self.trouble.flipped = [each for each in self.trouble.flipped if each[1] not in due]
            for back in due:
                back()

    def _resume(self) -> None:
        for aside in [*self.asides]:
            aside.left -= 1
            if aside.left <= 0:
                aside.resume()
        self.asides = [aside for aside in self.asides if not aside.is_over]

    def _recover(self) -> None:
        """End what began in turns with the first command, and let all be as it is before one."""
        for aside in [*self.asides]:
            if aside.process is None:
                aside.end()
        self._flip_back(is_over=True)
        if self.trouble.power:
            self.lose(self.trouble.power)
        self.trouble = Trouble()
