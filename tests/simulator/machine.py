"""The processes of commands, and the faults that come at the operations which they are about to do.

Before an operation all processes may end, or a worker alone; the operation may fail, the disk be full from then on, a
second command run, or a task go on that was late. The operations themselves are those of `disk` and `store`.
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

SECRET = "53cr37"
_URL = f"https://me:{SECRET}@sim.example/out?X-Amz-Signature={SECRET}"
_OF_COMMAND = ("_faults", "chance", "operations", "_is_full", "_power", "driver", "_second")
_NEEDS_SPACE = ("create", "mkdir", "write")


class Ended(BaseException):
    """The process has ended: whatever catches this, nothing of it reaches the disk any more."""


@dataclass(eq=False)
class Process:
    """A process of a command: its driver, or a worker that does one task."""

    name: str
    is_alive: bool = True
    pause: Callable[[], None] | None = None  # called before each operation, of a task that is late


@dataclass(frozen=True)
class Fault:
    """What happens at an operation, or a task, of a command; `share`, from 0 to 1, decides the rest."""

    command: int
    kind: str
    at: int
    share: float

    def __str__(self) -> str:
        return f"command {self.command}: {self.kind} at {self.at} ({self.share:.3f})"


@dataclass
class Machine:
    """Counts the operations on what is in one folder, or in one object store, and lets the faults of a command come."""

    root: Path
    output: Path  # where runs write: `root`, or a folder of an object store with the same faults
    chance: Random = field(default_factory=Random)
    operations: int = 0  # of this command
    is_flipped: bool = False  # a bit, at rest
    met: list[str] = field(default_factory=list)  # the faults that came, and where
    driver: Process | None = None

    def __post_init__(self) -> None:
        self._local = threading.local()
        self._faults: dict[int, list[Fault]] = {}
        self._is_full, self._power, self._second, self._lag = False, None, None, 0
        self._sleepers: list[tuple[int, Sleeper]] = []

    @property
    def is_remote(self) -> bool:
        """Whether runs write to an object store."""
        return self.output is not self.root

    @property
    def process(self) -> Process | None:
        """The process that is at work; None of somebody who looks at what there is, and meets no fault."""
        return getattr(self._local, "process", None)

    @contextmanager
    def working(self, process: Process) -> Iterator[Process]:
        """Let a process be at work in this thread."""
        before, self._local.process = self.process, process
        try:
            yield process
        finally:
            self._local.process = before

    @contextmanager
    def command(self, faults: list[Fault], chance: Random, second: Callable[[], None]) -> Iterator[None]:
        """Let the driver of a command be at work, whose operations meet these faults; `second` is another command."""
        before = {name: getattr(self, name) for name in _OF_COMMAND}
        by_operation: dict[int, list[Fault]] = {}
        for fault in faults:
            by_operation.setdefault(fault.at, []).append(fault)
        own = (by_operation, chance, 0, False, None, Process("driver"), second)
        for name, value in zip(_OF_COMMAND, own, strict=True):
            setattr(self, name, value)
        try:
            with self.working(self.driver):
                yield
        finally:
            self.driver.is_alive = False
            if self._power:
                self.lose(self._power.share)
            if before["driver"] is not None:  # of the command beside which this one ran
                for name, value in before.items():
                    setattr(self, name, value)

    def sleep(self, sleeper: Sleeper, operations: int) -> None:
        """Wake a task that is late once so many operations more were done, by this command or the next ones."""
        self._sleepers.append((operations, sleeper))

    def end(self) -> None:
        """End all tasks that are still late."""
        for _, sleeper in self._sleepers:
            sleeper.process.is_alive = False
            sleeper.resume()
        self._sleepers = []

    def operation(self, kind: str, path: str) -> None:
        """Count an operation that a process is about to do, and let come what is to come."""
        process = self.process
        if not process.is_alive:
            raise Ended
        if process.pause:
            process.pause()
        else:
            self._wake()
        number, self.operations = self.operations, self.operations + 1
        for fault in self._faults.get(number, ()):
            self._meet(fault, process, kind, path)
        if not process.is_alive:
            raise Ended
        if self._is_full and kind in _NEEDS_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def _meet(self, fault: Fault, process: Process, kind: str, path: str) -> None:
        if fault.kind == "lost" and process is self.driver:
            return
        self.met.append(f"{fault}: {process.name} {kind} {path.removeprefix(str(self.root))}")
        if fault.kind == "error" and self.is_remote:
            raise OSError(errno.EIO, f"no answer from {_URL}")
        if fault.kind == "error":
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        if fault.kind == "full":
            self._is_full = True
        if fault.kind == "stale":
            self._lag = 1 + round(fault.share * 4)
        if fault.kind == "second":
            self._second()
        if fault.kind in ("end", "power"):
            self.driver.is_alive = process.is_alive = False
            self._power = fault if fault.kind == "power" else self._power
        if fault.kind == "lost":
            process.is_alive = False

    def _wake(self) -> None:
        due = [sleeper for left, sleeper in self._sleepers if left <= 0]
        self._sleepers = [(left - 1, sleeper) for left, sleeper in self._sleepers if left > 0]
        for sleeper in due:
            sleeper.resume()

    def listed(self, paths: list[str]) -> list[str]:
        """Return paths, the newest last, as a listing shows them: in any order, and not yet the newest if it lags."""
        paths = paths[: len(paths) - self._lag]
        self._lag = 0
        return self.shuffled(paths, str)

    def shuffled(self, found, name: Callable) -> list:
        """Return what was found in a drawn order."""
        entries = sorted(found, key=name)
        self.chance.shuffle(entries)
        return entries

    def lose(self, share: float) -> None:
        """Lose what a loss of power costs: of an object store, which is elsewhere, nothing."""


class Sleeper:
    """A task that stops after some operations, to be resumed while other processes are at work."""

    def __init__(self, machine: Machine, work: Callable[[], object], operations: int):
        self.process, self._machine, self._work, self._left = Process("late worker"), machine, work, operations
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._is_over = False
        self.process.pause = self._pause
        threading.Thread(target=self._run, daemon=True).start()
        self._back.acquire()

    def resume(self) -> None:
        """Let it go on to its end, in a moment of the process that calls."""
        if not self._is_over:
            self._go.release()
            self._back.acquire()

    def _pause(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._back.release()
            self._go.acquire()
        if not self.process.is_alive:
            raise Ended

    def _run(self) -> None:
        try:
            with self._machine.working(self.process):
                self._work()
        except BaseException:
            pass  # nobody waits for it
        self._is_over = True
        self._back.release()
