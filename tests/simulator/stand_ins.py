"""Put a disk, a store, locks and chance of a simulator under the program, wherever its modules know the real ones.

What costs time and shows no fault is done once, or at once by who asks for it: threads, kernels, versions, the report.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache, partial
from importlib.metadata import entry_points, version
from pathlib import Path
from types import ModuleType
from typing import IO
from unittest.mock import patch
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
from filelock import Timeout, UnixFileLock

from curation.plugins.gate.options import GROUP
from curation.report import page
from runtime.kernel_caches import cache_folder, scratch_folder
from runtime.packages import hooks
from runtime.storage.json_files import text_of
from runtime.storage.paths import as_path
from runtime.warming import compile_kernels
from tests.simulator import frames
from tests.simulator.disk import Disk
from tests.simulator.engine import Session
from tests.simulator.processes import Process
from tests.simulator.store import PROTOCOL, Store

PACKAGES = ("curation", "metadata", "runtime")
_VERSION, _ENTRY_POINTS = cache(version), cache(entry_points)


@contextmanager
def alone(folder: Path, is_remote: bool) -> Iterator[Disk]:
    """Give a disk on which nothing is, under the real functions, and take away what costs time and shows no fault."""
    folder.mkdir()
    root = folder / "out"
    disk = Disk(root, as_path(f"{PROTOCOL}://bucket/out") if is_remote else root)
    Store.machine, Store.objects = disk, {}
    held: dict[int, tuple[Process, IO]] = {}  # locks
    with ExitStack() as stack:
        for module, name, stand_in in _places(disk, held):
            stack.enter_context(patch.object(module, name, stand_in))
        stack.enter_context(patch.object(gc, "freeze", lambda: None))
        stack.enter_context(patch.object(tempfile, "tempdir", str(folder)))
        stack.enter_context(patch.object(pa.ipc, "new_file", _ArrowWriter))
        for module in (pq, pq.core):  # the latter's `write_table` uses it
            stack.enter_context(patch.object(module, "ParquetWriter", _Writer))
        stack.enter_context(patch.object(shutil, "_USE_CP_SENDFILE", False))
        stack.enter_context(patch.object(tempfile, "_get_candidate_names", partial(_drawn_names, disk)))
        stack.enter_context(patch.object(page, "render", lambda run, *_: json.dumps(run.run_json)))
        stack.enter_context(patch.object(Session, "range", frames.numbers, create=True))
        for each in _cached_properties():
            stack.enter_context(patch.object(each, "lock", nullcontext()))
        stack.enter_context(disk.patched())
        try:
            yield disk
        finally:
            disk.end()
            for _, file in held.values():
                file.close()
            shutil.rmtree(folder)


@cache
def _cached_properties() -> list[cached_property]:
    """Return those that let one thread in, up to Python 3.11: the second of two commands would wait for ever."""
    classes = {each for module in _modules() for each in vars(module).values() if isinstance(each, type)}
    found = (value for each in classes for value in vars(each).values() if isinstance(value, cached_property))
    return [each for each in found if hasattr(each, "lock")]


def _modules() -> list[ModuleType]:
    return [each for name, each in sys.modules.items() if name.partition(".")[0] in PACKAGES]


def _places(disk: Disk, held: dict[int, tuple[Process, IO]]) -> Iterator[tuple[ModuleType, str, object]]:
    """Yield the names under which modules know what is replaced, wherever they are."""
    for step in hooks(GROUP).values():
        step.point.load()  # a step that is imported later would keep what it finds replaced
    stand_ins = {
        ThreadPoolExecutor: _Inline,
        UnixFileLock: partial(_Lock, disk, held),
        cache_folder: partial(_cache_folder, disk),
        scratch_folder: partial(_cache_folder, disk),
        uuid4: lambda: UUID(int=disk.chance.getrandbits(128)),
        compile_kernels: lambda *_: None,
        version: _VERSION,
        text_of: _text_of,
        entry_points: _ENTRY_POINTS,
    }
    for real, stand_in in stand_ins.items():
        for module, name in _known_as(real, len(sys.modules)):
            yield module, name, stand_in
    yield pyspark, "SparkFiles", _SparkFiles(disk)  # which modules import where they need it


@cache
def _known_as(real: object, _: int) -> list[tuple[ModuleType, str]]:
    """Return the names of an object in the modules that are imported."""
    return [(module, name) for module in _modules() for name, value in vars(module).items() if value is real]


def _text_of(content: object) -> str:
    """Return what `text_of` does, of what has been written before without the time that spaces cost."""
    return _text(json.dumps(content))


@lru_cache(maxsize=1 << 12)
def _text(compact: str) -> str:
    return text_of(json.loads(compact))


def _cache_folder(disk: Disk) -> Path:
    """Return a folder on the disk of the machine that is at work."""
    folder = disk.hosts / (disk.process.host if disk.process else "driver") / "cache"  # who looks at a result is none
    with disk.working(None):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass
class _SparkFiles:
    """Brings files of the driver to the machines of workers."""

    disk: Disk

    def getRootDirectory(self) -> str:
        return str(self._folder("driver"))

    def get(self, name: str) -> str:
        """Return the path of a file that Spark has fetched before the task began."""
        file = self._folder(self.disk.process.host) / name
        if not file.exists():
            with self.disk.working(None):
                shutil.copyfile(self._folder("driver") / name, file)
        return str(file)

    def _folder(self, host: str) -> Path:
        folder = self.disk.hosts / host / "files"
        with self.disk.working(None):
            folder.mkdir(parents=True, exist_ok=True)
        return folder


class _Inline:
    """A pool whose work is done at once, by who asks for it."""

    def __init__(self, *_: object):
        pass

    def __enter__(self) -> _Inline:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, function, *items) -> list:
        return [*map(function, *items)]

    def submit(self, function, *arguments) -> Future:
        done = Future()
        done.set_result(function(*arguments))
        return done

    def shutdown(self, **_: bool) -> None:
        pass


class _Writer(pq.ParquetWriter):
    """Writes through Python's file, where faults come."""

    def __init__(self, where: Path, *arguments: object, **named: object):
        self._own = open(where, "wb")
        super().__init__(self._own, *arguments, **named)

    def close(self) -> None:
        super().close()
        self._own.close()


class _ArrowWriter(pa.ipc.RecordBatchFileWriter):
    """As _Writer."""

    def __init__(self, where: str | IO, *arguments: object, **named: object):
        self._own = open(where, "wb") if isinstance(where, str) else None
        super().__init__(self._own or where, *arguments, **named)

    def close(self) -> None:
        super().close()
        if self._own:
            self._own.close()


def _drawn_names(disk: Disk) -> Iterator[str]:
    """Yield names of temporary files, the same in each run of a seed."""
    while True:
        yield f"{disk.chance.getrandbits(32):08x}"


class _Lock:
    """A lock of a file, in place of filelock's: free once the process that took it has ended.

    As there the file is locked, not its name: a folder that moves takes its lock along.
    """

    def __init__(self, disk: Disk, holders: dict[int, tuple[Process, IO]], path: Path, **_: bool):
        self._disk, self._holders, self._path = disk, holders, str(path)

    def acquire(self, timeout: float) -> None:
        while holder := self._taken():
            asking = self._disk.process  # None: the test itself, which looks at a folder
            is_stopped = holder.aside is None and (asking is None or asking.aside is None)  # until this command is over
            if timeout >= 0 or is_stopped or not self._disk.give_way():
                raise Timeout(self._path)

    def _taken(self) -> Process | None:
        """Take the lock, or return who has it."""
        file = open(self._path, "a")
        self._inode = os.fstat(file.fileno()).st_ino  # of nobody else as long as the file is open
        holder, earlier = self._holders.get(self._inode, (None, None))
        if holder is not None and not holder.has_ended:
            file.close()
            return holder
        if earlier is not None:
            earlier.close()
        self._holders[self._inode] = self._disk.process, file
        return None

    def release(self) -> None:
        holder, file = self._holders.get(self._inode, (None, None))
        if holder is self._disk.process:
            del self._holders[self._inode]
            file.close()
