"""Take lock files, which one process at a time can have; the system ends a lock with its process, however that ends.

The file itself stays behind, and means nothing.
"""

from __future__ import annotations

import errno
from pathlib import Path

from filelock import Timeout, UnixFileLock

MOMENT = 0.2  # seconds: someone may remove the file of a lock that has ended just now, which is then made anew
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


class Held(Exception):
    """Another process has the lock."""


def take(path: Path, wait: bool = False) -> UnixFileLock | None:
    """Return the lock of the file `path`, taken until its `release`; None where the file system has no locks.

    Where another process has it, Held is raised, or with `wait` the lock is taken once it is free.
    """
    # Without locks filelock would leave a marker instead, which outlives a process that is killed.
    lock = UnixFileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=-1 if wait else MOMENT)
    except Timeout as error:
        raise Held(f"another process has {path}") from error
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return lock
