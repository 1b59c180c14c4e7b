"""A disk with drawn faults, under the real functions of `os` and `io`: each operation below one folder is counted.

A write may be torn. What was written without fsync, and names that were given since the last fsync of any
folder, are lost as far as a loss of power draws it: metadata goes to the disk in sequence, as on ext4 and XFS, data on
its own. Nothing here waits for a real disk.
"""

from __future__ import annotations

import builtins
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from unittest.mock import patch

from tests.simulator.machine import Machine
from tests.simulator.processes import Ended, Process
from tests.simulator.store import Store

_REAL = {name: getattr(os, name) for name in ("fsync", "listdir", "mkdir", "open", "rename", "rmdir", "scandir")}
_REAL |= {"link": os.link, "unlink": os.unlink, "replace": os.replace, "io.open": io.open}


class Disk(Machine):
    """What is below `root`, and on the disks of workers' machines, and what of it would outlast a loss of power."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hosts = self.root.with_name("hosts")
        self._below = (f"{self.root}{os.sep}", f"{self.hosts}{os.sep}")
        self._graves = self.root.with_name("graves")
        self._undo: list[Callable[[], None]] = []  # of names, since the last fsync of a folder
        self.dirty: set[int] = set()  # inodes with bytes that are not synced
        self.writers: dict[int, Process] = {}  # by inode
        self._opened: dict[int, str] = {}  # by descriptor

    def lose(self, share: float) -> None:
        """Undo what was not synced, from the end to a place that is drawn, and damage unsynced bytes."""
        chance = Random(share)
        for undo in reversed(self._undo[round(share * len(self._undo)) :]):
            undo()
        for folder, _, names in chain(os.walk(self.root), os.walk(self.hosts)):
            for name in names:
                path = Path(folder, name)
                if path.stat().st_ino in self.dirty:
                    size = path.stat().st_size
                    kept = round(chance.random() * size)
                    os.truncate(path, kept)
                    if chance.random() < 0.5:  # the size was on the disk, the bytes were not
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
        self._undo, self.dirty = [], set()

    def flip(self, path: str, share: float) -> Callable[[], None]:
        if path in Store.objects:
            return Store.flip(path, share)
        file = _REAL["open"](path, os.O_RDWR)
        size, inode = os.fstat(file).st_size, os.fstat(file).st_ino
        if not size or self.writers.get(inode) is self.process:  # which has what it wrote in memory
            return partial(os.close, file)
        place, bit = int(share * size), 1 << int(share * 1e6) % 8
        before = os.pread(file, 1, place)
        flipped = bytes([before[0] ^ bit])
        os.pwrite(file, flipped, place)

        def back() -> None:
            if os.pread(file, 1, place) == flipped:
                os.pwrite(file, before, place)
            os.close(file)

        return back

    def lose_host(self, host: str) -> None:
        folder = self.hosts / host
        for parent, _, names in os.walk(folder, topdown=False):
            for name in names:
                _REAL["unlink"](Path(parent, name))
            _REAL["rmdir"](parent)

    def age(self, seconds: float) -> None:
        for path in [*self.hosts.rglob("*")]:
            os.utime(path, (path.stat().st_mtime - seconds,) * 2)

    def _is_below(self, path: object) -> bool:
        if self.process is None or isinstance(path, int):
            return False
        return str(path).startswith(self._below)

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
        is_new = flags & os.O_CREAT and self._is_below(path) and not os.path.exists(path)
        if is_new:
            self.operation("create", os.fspath(path))
        opened = _REAL["open"](path, flags, mode, dir_fd=dir_fd)
        if is_new:
            self._undo.append(lambda: _REAL["unlink"](path))
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
                self.dirty.discard(os.fstat(descriptor).st_ino)

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
        self.renamed.pop(os.fspath(target), None)
        self.renamed[os.fspath(target)] = self.process

    def _link(self, source, target, **named) -> None:
        if self._is_below(target):
            self.operation("link", os.fspath(target))
            self._undo.append(lambda: _REAL["unlink"](target))
        _REAL["link"](source, target, **named)

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
        return self.listed(_REAL["listdir"](path), lambda name: os.path.join(path, name))

    def _scandir(self, path="."):
        if not self._is_below(path):
            return _REAL["scandir"](path)
        self.operation("list", os.fspath(path))
        with _REAL["scandir"](path) as found:
            by_name = {entry.name: entry for entry in found}
        return _Entries(by_name[name] for name in self.listed([*by_name], lambda name: os.path.join(path, name)))

    def _buried(self, path) -> Path | None:
        """Return a second name of a file, under which it outlasts its removal."""
        if not os.path.isfile(path):
            return None
        grave = self._graves / str(len(_REAL["listdir"](self._graves)))
        os.link(path, grave)
        return grave


class _Written(io.FileIO):
    def __init__(self, disk: Disk, path: str, mode: str):
        super().__init__(path, mode)
        self._disk, self._process = disk, disk.process
        inode = os.fstat(self.fileno()).st_ino
        disk.dirty.add(inode)
        disk.writers[inode] = disk.process

    def write(self, data) -> int:
        if self._process.has_ended:
            return len(data)  # what a process that has ended still held in memory is gone
        try:
            self._disk.operation("write", self.name)
        except (Ended, OSError):
            super().write(memoryview(data)[: self._disk.chance.randrange(len(data) + 1)])
            raise
        return super().write(data)


class _Entries(list):
    def __next__(self) -> os.DirEntry:
        if not self:
            raise StopIteration
        return self.pop(0)

    def __iter__(self) -> _Entries:
        return self

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass
