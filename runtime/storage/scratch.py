"""Make folders for temporary files, and remove those that killed processes left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path

from runtime.errors import InputError
from runtime.storage.locks import Held, alone, take
from runtime.storage.paths import make_folder, remove, room

_SCRATCH = "scratch-"  # begins the name of a folder for the temporary files of one process
_LOCK = "lock"  # a file in that folder, locked by that process


@contextmanager
def staged() -> Iterator[Path]:
    """Yield a folder of `scratch` for whole files on their way to or from a URL; FullDisk names it if it is full."""
    from runtime.kernel_caches import scratch_folder  # This import is here because it imports Numba, which takes long.

    with room(scratch_folder()), scratch() as folder:
        yield folder


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield an empty folder for temporary files of any size, and remove it after the block.

    The folder is in `scratch_folder`. Those that killed processes left there are also removed.
    """
    from runtime.kernel_caches import scratch_folder  # This import is here for the same reason.

    with room(parent := scratch_folder()), alone(parent / f"{_SCRATCH}{_LOCK}"):
        _remove_unused(parent)
        folder = make_folder(parent / f"{_SCRATCH}{os.getpid()}-{os.urandom(4).hex()}")
        lock = take(folder / _LOCK)
        files = make_folder(folder / "files")
    owner = os.getpid()
    try:
        yield files
    finally:
        if os.getpid() == owner:  # A fork also ends the block of its parent.
            remove(folder)
            if lock is not None:
                lock.release()


_of_process: list[ExitStack] = []  # the folder of this process


@cache
def scratch_of_process() -> Path:
    """Return a folder of `scratch` that is removed when this process ends."""
    stack = ExitStack()
    _of_process.append(
        stack
    )  # A fork forgets what is to be finalized: its copy of the lock, freed, would free this one.
    Finalize(None, stack.close, exitpriority=-1)  # Unlike functions of atexit, it does nothing in a fork.
    return stack.enter_context(scratch())


def remove_left_scratch() -> None:
    """Remove the folders of `scratch` that killed processes left, for a process that may need none itself."""
    from runtime.kernel_caches import scratch_folder  # This import is here for the same reason.

    with suppress(InputError, OSError), alone((parent := scratch_folder()) / f"{_SCRATCH}{_LOCK}"):
        _remove_unused(parent)


def _remove_unused(parent: Path) -> None:
    """Remove the folders of `scratch` in `parent` whose processes have ended."""
    for folder in parent.glob(f"{_SCRATCH}*-*"):
        with suppress(Held, OSError):
            lock = take(folder / _LOCK, 0)
            if lock is not None:
                remove(folder)
                lock.release()
