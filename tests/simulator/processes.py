"""The processes of commands: drivers, workers, and work that goes on beside that of others, in turns with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random


class Ended(BaseException):
    """The process has ended: whatever catches this, nothing of it reaches the disk any more."""


@dataclass(frozen=True)
class Fault:
    """What happens at an operation, or a task, of a command; `share`, from 0 to 1, decides the rest."""

    command: int
    kind: str
    at: int
    share: float

    def __str__(self) -> str:
        return f"command {self.command}: {self.kind} at {self.at} ({self.share:.3f})"


@dataclass(eq=False)
class Process:
    """A process of a command: a worker that does one task, or its driver."""

    name: str
    driver: Driver
    aside: Aside | None = None
    is_alive: bool = True
    host: str = "driver"  # the machine that it is on

    @property
    def has_ended(self) -> bool:
        """Whether it has ended: alone, or with all that had power."""
        return not self.is_alive or self.driver.is_lost

    def worker(self, host: str, aside: Aside | None = None) -> Process:
        """Return a process of a task of this command."""
        return Process("late worker" if aside else "worker", self.driver, aside or self.driver.aside, host=host)


class Driver(Process):
    """The driver of a command: the faults that its operations and those of its workers meet, and their chance.

    `second` runs another command over the same folder: as a whole, or aside.
    """

    def __init__(self, faults: list[Fault], chance: Random, second: Callable[..., None], aside: Aside | None = None):
        super().__init__("driver", self, aside)
        self.chance, self.second, self.operations, self.is_lost = chance, second, 0, False
        self.looked = -1 << 60  # the operation at which it last looked whether an object store was still its own
        self.faults: dict[int, list[Fault]] = {}
        for fault in faults:
            self.faults.setdefault(fault.at, []).append(fault)


@dataclass(eq=False)
class Aside:
    """Work that stops after some operations, and goes on after some operations of other processes.

    With `turn`, the most operations until a turn ends, it stops again and again; else it goes on to its end.
    """

    chance: Random
    turn: int = 0
    process: Process | None = None  # of a task that is late
    left: int = 0  # operations of others before it goes on
    is_over: bool = False
    found: object = None  # what the work returned
    error: BaseException | None = None
    _own: int = 0  # operations until it stops
    _thread: threading.Thread | None = None
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _back: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def start(self, work: Callable[[], object], operations: int) -> None:
        """Begin, and do so many operations."""
        self._own = operations
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self._back.acquire()

    def resume(self) -> None:
        """Let it go on, to its next stop or its end, in a moment of the process that calls.

        A command that runs within this work, from its begin to its end, has it go on after that.
        """
        if not self.is_over and threading.current_thread() is not self._thread:
            self._own, self.left = self._drawn(), self._drawn()
            self._go.release()
            self._back.acquire()

    def end(self) -> None:
        """Let it go on to its end."""
        self.turn = 0
        self.resume()

    def kill(self) -> None:
        """End the process of a task."""
        if self.process:
            self.process.is_alive = False
        self.end()

    def operation(self) -> None:
        """Stop here, if it is time to."""
        self._own -= 1
        if self._own == 0:
            self.give_way()

    def give_way(self) -> None:
        """Let others go on."""
        self._back.release()
        self._go.acquire()

    def _drawn(self) -> int:
        return round(self.turn ** self.chance.random()) if self.turn else 0  # short turns as often as long ones

    def _run(self, work: Callable[[], object]) -> None:
        try:
            self.found = work()
        except BaseException as error:
            self.error = error
        self.is_over = True
        self._back.release()
