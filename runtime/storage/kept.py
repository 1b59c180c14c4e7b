"""Make folders in a cache once, whole, for all processes of this machine, and remove those that are no longer used."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from runtime.errors import InputError
from runtime.storage.locks import alone
from runtime.storage.whole import sync

KEPT_SECONDS = 7 * 24 * 3600  # since a folder was used last
_PARTIAL = ".partial"
T = TypeVar("T")


def kept(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return `folder`, which is in a cache; the first process makes it, by `make` at another path, while others wait.

    Later processes use it, also after a loss of power.
    """
    cache = folder.parent
    if not _use(folder):
        with alone(cache / ".lock") as is_alone:
            if not is_alone:
                raise OSError(f"the file system of {cache} has no locks; name another disk in SPARK_LOCAL_DIRS")
            if not _use(folder):
                _clean(cache)
                _make(folder, make)
    return folder


def opened(folder: Path, make: Callable[[Path], object], open: Callable[[Path], T]) -> T:
    """Return what `open` makes of a folder that is kept; one that it refuses is made again."""
    kept(folder, make)
    try:
        return open(folder)
    except InputError:
        _discard(folder)
        return open(kept(folder, make))


def _use(folder: Path) -> bool:
    """Note that a folder is used now; return whether it exists."""
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    return True


def _make(folder: Path, make: Callable[[Path], object]) -> None:
    partial = _partial(folder)
    try:
        make(partial)
        for path in (*partial.rglob("*"), partial):
            sync(path)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _clean(cache: Path) -> None:
    """Remove folders that no one has used for long, and what killed processes left; the cache must be locked."""
    for folder in cache.iterdir():
        is_left = folder.name.endswith(_PARTIAL)
        with suppress(FileNotFoundError):  # what other processes stage here may go at any moment
            if folder.is_dir() and (is_left or time.time() - folder.stat().st_mtime > KEPT_SECONDS):
                _discard(folder)


def _discard(folder: Path) -> None:
    """Remove a folder of a cache at once: no process finds half of it."""
    shutil.rmtree(folder.replace(_partial(folder)), ignore_errors=True)


def _partial(folder: Path) -> Path:
    return folder.with_name(f"{uuid4().hex}{_PARTIAL}")
