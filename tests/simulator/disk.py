"""A disk with drawn faults, under the real functions of `os` and `io`: each operation below one folder is counted.

Before an operation its processes may end, all of them or a worker alone; a write may be torn, the disk be full from
then on, or the operation fail. What was written without fsync, and names that were given since the last fsync of any
folder, are lost as far as a loss of power draws it: metadata goes to the disk in sequence, as on ext4 and XFS, data on
its own. Nothing here waits for a real disk.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unittest.mock import patch

from filelock import Timeout

_REAL = {name: getattr(os, name) for name in ("fsync", "listdir", "mkdir", "open", "rename", "rmdir", "scandir")}
_REAL |= {"unlink": os.unlink, "replace": os.replace, "io.open": io.open}
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
class Disk:
    """What is below `root`, and what of it would outlast a loss of power."""

    root: Path
    output: Path  # where runs write: `root`, or a folder of an object store with the same faults
    chance: Random = field(default_factory=Random)
    operations: int = 0  # of this command
    is_flipped: bool = False  # a bit, at rest
    met: list[str] = field(default_factory=list)  # the faults that came, and where
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._below = f"{self.root}{os.sep}"
        self._graves = self.root.with_name("graves")
        self._local = threading.local()
        self._undo: list[Callable[[], None]] = []  # of names, since the last fsync of a folder
        self._dirty: set[int] = set()  # inodes with bytes that are not synced
        self._opened: dict[int, str] = {}  # by descriptor
        self._faults: dict[int, list[Fault]] = {}
        self._is_full, self._power, self._second, self._lag = False, None, None, 0
        self.driver: Process | None = None
        self._sleepers: list[tuple[int, Sleeper]] = []
        self.locks: dict[str, Process] = {}

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
                self._lose(self._power.share)
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
        self.log.append(f"{process.name} {kind} {path.removeprefix(self._below)}")
        for fault in self._faults.get(number, ()):
            self._meet(fault, process, kind, path)
        if not process.is_alive:
            raise Ended
        if self._is_full and kind in _NEEDS_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def _meet(self, fault: Fault, process: Process, kind: str, path: str) -> None:
        if fault.kind == "lost" and process is self.driver:
            return
        self.met.append(f"{fault}: {process.name} {kind} {path.removeprefix(self._below)}")
        if fault.kind == "error" and self.is_remote:
            raise OSError(errno.EIO, f"no answer from {_URL}")
        if fault.kind == "error":
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        if fault.kind == "full":
            self._is_full = True
        if fault.kind == "late listing":
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

    def _lose(self, share: float) -> None:
        """Undo what was not synced, from the end to a place that is drawn, and damage unsynced bytes."""
        for undo in reversed(self._undo[round(share * len(self._undo)) :]):
            undo()
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                if path.stat().st_ino in self._dirty:
                    size = path.stat().st_size
                    kept = round(self.chance.random() * size)
                    os.truncate(path, kept)
                    if self.chance.random() < 0.5:  # the size was on the disk, the bytes were not
                        os.truncate(path, size)
        self.settle()

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Put this disk under all that this process does below `root`."""
        self._graves.mkdir()
        names = {name: getattr(self, f"_{name}") for name in _REAL if name != "io.open"}
        with (
            patch.multiple(os, **names, remove=self._unlink),
            patch.object(io, "open", self._io_open),
            patch.object(builtins, "open", self._io_open),
            patch.object(shutil, "_use_fd_functions", False),
        ):
            yield

    def settle(self) -> None:
        """Let all that was written be on the disk."""
        self._undo, self._dirty = [], set()

    def _is_below(self, path: object) -> bool:
        return (
            self.process is not None and isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self._below)
        )

    def _io_open(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *more, **named):
        if not self._is_below(file):
            return _REAL["io.open"](file, mode, buffering, encoding, errors, newline, *more, **named)
        if not {*mode} & {*"wax"}:
            self.operation("read", os.fspath(file))
            return _REAL["io.open"](file, mode, buffering, encoding, errors, newline)
        self.operation("create", os.fspath(file))
        is_new = not os.path.exists(file)
        raw = _Written(self, os.fspath(file), mode.replace("b", "").replace("t", ""))
        if is_new:
            self._undo.append(lambda: _REAL["unlink"](file))
        buffered = io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

    def _open(self, path, flags, mode=0o777, *, dir_fd=None):
        opened = _REAL["open"](path, flags, mode, dir_fd=dir_fd)
        if self._is_below(path):
            self._opened[opened] = os.fspath(path)
        return opened

    def _fsync(self, descriptor) -> None:
        path = self._opened.get(descriptor, "")
        if self._is_below(path) or path == str(self.root):
            self.operation("sync", path)
            if os.path.isdir(path):
                self._undo = []
            else:
                self._dirty.discard(os.fstat(descriptor).st_ino)

    def _replace(self, source, target) -> None:
        self._move(_REAL["replace"], source, target)

    def _rename(self, source, target) -> None:
        self._move(_REAL["rename"], source, target)

    def _move(self, move: Callable, source, target) -> None:
        if not self._is_below(source):
            return move(source, target)
        self.operation("rename", os.fspath(target))
        grave = self._buried(target)
        move(source, target)

        def undo() -> None:
            _REAL["rename"](target, source)
            if grave:
                _REAL["rename"](grave, target)

        self._undo.append(undo)

    def _unlink(self, path, *, dir_fd=None) -> None:
        if not self._is_below(path):
            return _REAL["unlink"](path, dir_fd=dir_fd)
        self.operation("unlink", os.fspath(path))
        grave = self._buried(path)
        _REAL["unlink"](path)
        self._undo.append(lambda: _REAL["rename"](grave, path))

    def _mkdir(self, path, mode=0o777, *, dir_fd=None) -> None:
        if self._is_below(path):
            self.operation("mkdir", os.fspath(path))
        _REAL["mkdir"](path, mode, dir_fd=dir_fd)
        if self._is_below(path):
            self._undo.append(lambda: shutil.rmtree(path))  # Arrow itself makes files, too

    def _rmdir(self, path, *, dir_fd=None) -> None:
        if self._is_below(path):
            self.operation("rmdir", os.fspath(path))
        _REAL["rmdir"](path, dir_fd=dir_fd)
        if self._is_below(path):
            self._undo.append(lambda: _REAL["mkdir"](path))

    def _listdir(self, path=".") -> list[str]:
        if not self._is_below(path):
            return _REAL["listdir"](path)
        self.operation("list", os.fspath(path))
        return self._shuffled(_REAL["listdir"](path), str)

    def _scandir(self, path="."):
        if not self._is_below(path):
            return _REAL["scandir"](path)
        self.operation("list", os.fspath(path))
        with _REAL["scandir"](path) as found:
            return _Entries(self._shuffled(found, lambda entry: entry.name))

    def listed(self, paths: list[str]) -> list[str]:
        """Return paths, the newest last, as a listing shows them: in any order, and not yet the newest if it lags."""
        paths = paths[: len(paths) - self._lag]
        self._lag = 0
        return self._shuffled(paths, str)

    def _shuffled(self, found, name: Callable) -> list:
        entries = sorted(found, key=name)
        self.chance.shuffle(entries)
        return entries

    def _buried(self, path) -> Path | None:
        """Return a second name of a file, under which it outlasts its removal."""
        if not os.path.isfile(path):
            return None
        grave = self._graves / str(len(_REAL["listdir"](self._graves)))
        os.link(path, grave)
        return grave


class Sleeper:
    """A task that stops after some operations, to be resumed while other processes are at work."""

    def __init__(self, disk: Disk, work: Callable[[], object], operations: int):
        self.process, self._disk, self._work, self._left = Process("late worker"), disk, work, operations
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
            with self._disk.working(self.process):
                self._work()
        except BaseException:
            pass  # nobody waits for it
        self._is_over = True
        self._back.release()


class Lock:
    """A lock of a file, in place of filelock's: free once the process that took it has ended."""

    def __init__(self, disk: Disk, path: Path):
        self._disk, self._path = disk, str(path)

    def acquire(self, timeout: float) -> None:
        with open(self._path, "a"):
            pass
        holder = self._disk.locks.get(self._path)
        if holder is not None and holder.is_alive:
            raise Timeout(self._path)
        self._disk.locks[self._path] = self._disk.process

    def release(self) -> None:
        if self._disk.locks.get(self._path) is self._disk.process:
            del self._disk.locks[self._path]


class _Written(io.FileIO):
    def __init__(self, disk: Disk, path: str, mode: str):
        super().__init__(path, mode)
        self._disk, self._process = disk, disk.process
        disk._dirty.add(os.fstat(self.fileno()).st_ino)

    def write(self, data) -> int:
        if not self._process.is_alive:
            return len(data)  # what a process that has ended still held in memory is gone
        try:
            self._disk.operation("write", self.name)
        except (Ended, OSError):
            super().write(memoryview(data)[: self._disk.chance.randrange(len(data) + 1)])
            raise
        return super().write(data)


class _Entries(list):
    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass
