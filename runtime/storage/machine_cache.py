"""Make folders in a cache that all processes of this machine share, each once and complete; remove unused folders."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from runtime.errors import InputError
from runtime.storage.atomic import sync
from runtime.storage.locks import alone

KEPT_SECONDS = 7 * 24 * 3600  # since a folder was used last
_PARTIAL = ".partial"
T = TypeVar("T")


def kept(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return `folder`, which is in a cache; if it does not exist, make it first.

    One process calls `make` with a temporary path, while others wait; then the folder gets its name. It is complete
    even after a loss of power. OSError if the file system of the cache has no locks.
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
    """Return `open(folder)` for a folder of `kept`; after an InputError, make the folder again and retry once."""
    kept(folder, make)
    try:
        return open(folder)
    except InputError:
        _discard(folder)
        return open(kept(folder, make))


def _use(folder: Path) -> bool:
    """Set a folder's modification time to now, to show that it is in use; return whether it exists."""
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
    """Remove folders unused for KEPT_SECONDS and partial ones of killed processes; the caller must hold the lock."""
    for folder in cache.iterdir():
        is_left = folder.name.endswith(_PARTIAL)
        with suppress(FileNotFoundError):  # other processes may remove their staged files at any moment
            if folder.is_dir() and (is_left or time.time() - folder.stat().st_mtime > KEPT_SECONDS):
                _discard(folder)


def _discard(folder: Path) -> None:
    """Remove a folder of a cache; it is renamed first, so that no process finds half of it."""
    shutil.rmtree(folder.replace(_partial(folder)), ignore_errors=True)


def _partial(folder: Path) -> Path:
    return folder.with_name(f"{uuid4().hex}{_PARTIAL}")
