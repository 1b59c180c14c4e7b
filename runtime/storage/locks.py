"""Lock files, so that one process of a machine at a time does what only one may do.

A file system may have no locks: then nothing is locked, and callers are told so.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import Timeout, UnixFileLock

from runtime.errors import AGAIN, InputError

MOMENT = 0.2  # seconds to wait for a lock: its last owner may be removing its file, which is then made anew
HOLD_SECONDS = 3600.0  # the longest wait for a process that holds a lock, such as while it builds an artefact
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
_holds: dict[Path, int] = {}  # descriptors of the files that this process holds


class Held(Exception):
    """Another process has the lock."""


def take(path: Path, seconds: float = MOMENT) -> UnixFileLock | None:
    """Lock the file `path`, and return the lock, held until its `release`; None if the file system has no locks.

    Raise Held if another process still has the lock after `seconds`; if `seconds` is negative, wait without a limit.
    """
    # Without locks filelock would leave a marker instead, which outlives a process that is killed.
    lock = UnixFileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=seconds)
    except Timeout as error:
        raise Held(f"another process has {path}") from error
    except IsADirectoryError:
        raise _no_file(path) from None
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return lock


def hold(path: Path) -> None:
    """Take a shared lock of the file `path` until this process ends: other processes can `hold`, but not `take` it.

    If the file system has no locks, nothing is locked.
    """
    with suppress(FileNotFoundError):
        if path in _holds and os.path.samestat(os.fstat(_holds[path]), path.stat()):
            return
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except IsADirectoryError:
            raise _no_file(path) from None
        try:
            fcntl.flock(file, fcntl.LOCK_SH)
            if os.fstat(file).st_nlink:  # Without a link, whoever had taken the lock has removed the file.
                _holds[path] = file
                return
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return
        finally:
            if _holds.get(path) != file:
                os.close(file)


def _no_file(path: Path) -> InputError:
    return InputError(f"{path} is a folder, and locks are files; remove it and {AGAIN}")


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Run the block in one process of this machine at a time; yield False if the file system of `path` has no locks.

    InputError if another process holds the lock for HOLD_SECONDS: somebody may have stopped it.
    """
    try:
        lock = take(path, HOLD_SECONDS)
    except Held:
        raise InputError(
            f"another process has held the lock {path} for {HOLD_SECONDS / 60:.0f} minutes, and may be stopped; "
            f"continue or end that process, and {AGAIN}"
        ) from None
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()
