"""Make folders in a cache that all processes of this machine share, each once and complete; remove unused folders.

A process that uses a folder holds its lock, a file beside it, until the process ends. Only free folders are removed.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from os import utime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from runtime.errors import InputError
from runtime.storage.locks import Held, alone, hold, take
from runtime.storage.whole import sync

KEPT_SECONDS = 7 * 24 * 3600  # seconds after its last use for which a folder is kept
_LOCK, _IN_USE, _PARTIAL = ".lock", ".in-use", ".partial"
T = TypeVar("T")


def kept(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return `folder`, which is in a cache; if it does not exist, make it first. It stays until this process ends.

    One process calls `make` with a temporary path, while others wait; then the folder gets its name. It is complete
    even after a loss of power. If the file system has no locks, several processes may make it, and nothing is removed.
    """
    hold(folder.with_name(f"{folder.name}{_IN_USE}"))
    if not _use(folder):
        with alone(folder.parent / _LOCK) as is_alone:
            if is_alone:
                _clean(folder.parent)
            if not _use(folder):
                _make(folder, make)
    return folder


def opened_folder(folder: Path, make: Callable[[Path], object], open: Callable[[Path], T]) -> T:
    """Return `open(folder)` for a folder of `kept`; after an InputError, make the folder again and retry once."""
    kept(folder, make)
    try:
        return open(folder)
    except InputError:
        with alone(folder.parent / _LOCK):
            _make(folder, make)
        return open(folder)


def sound(folder: Path, make: Callable[[Path], object], open: Callable[[Path], T]) -> T:
    """Return `open(folder)` for a folder inside a folder of `kept`; after an InputError, make it and open it again.

    One process calls `make` with a temporary path, while others that need the same folder wait.
    """
    with suppress(InputError):
        return open(folder)
    with alone(folder.with_name(f"{folder.name}{_LOCK}")):
        with suppress(InputError):
            return open(folder)  # Another process has made the folder meanwhile.
        _make(folder, make)
    return open(folder)


def _use(folder: Path) -> bool:
    """Set a folder's modification time to now, when it was used last; return whether it exists."""
    try:
        utime(folder)
    except FileNotFoundError:
        return False
    return True


def _make(folder: Path, make: Callable[[Path], object]) -> None:
    """Make a folder, in place of a damaged one if there is one."""
    partial, damaged = _partial(folder), _partial(folder)
    try:
        make(partial)
        for path in (*partial.rglob("*"), partial):
            sync(path)
        with suppress(FileNotFoundError):
            folder.replace(damaged)
        partial.replace(folder)
    finally:
        for path in (partial, damaged):
            shutil.rmtree(path, ignore_errors=True)


def _clean(cache: Path) -> None:
    """Remove free folders unused for KEPT_SECONDS, and leftovers of killed processes; the caller must hold the lock."""
    for left in cache.glob(f"*{_PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)
    for path in cache.glob(f"*{_IN_USE}"):
        folder = path.with_suffix("")
        with suppress(FileNotFoundError, Held):
            if not folder.exists() or time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                _remove(folder, path)


def _remove(folder: Path, path: Path) -> None:
    """Remove a folder and its lock `path`; raise Held if a process uses the folder."""
    lock = take(path)
    with suppress(FileNotFoundError):
        shutil.rmtree(folder.replace(_partial(folder)), ignore_errors=True)
    path.unlink()
    if lock is not None:
        lock.release()


def _partial(folder: Path) -> Path:
    return folder.with_name(f"{uuid4().hex}{_PARTIAL}")
