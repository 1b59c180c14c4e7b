"""One run at a time in an output folder: a lock where the system has locks, and where it has none a token.

A lock keeps a second run out, and is free as soon as its process is gone, however that ends. On an object store the
second run takes over: the first notices before it gives anything its name, and ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from uuid import uuid4

from runtime.errors import InputError
from runtime.storage.paths import is_url, make_folder
from runtime.storage.whole import read_json, write_json

LOCK, TOKEN = "lock", "owner.json"
TRIES = 100


class Lock:
    """The right to write into a local output, held by this process; InputError where another one has it."""

    def __init__(self, work: Path):
        self.work = work
        self._file = _locked(work)

    def require(self) -> None:
        """Do nothing: no one takes a lock away."""

    def release(self) -> None:
        """Let another run have it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Token:
    """The right to write into an output on an object store, until another run takes it."""

    def __init__(self, work: Path):
        self._token = {"run": uuid4().hex}
        self._path = work / TOKEN
        self.work = work / self._token["run"]  # where no task that another run has left behind still writes
        write_json(self._path, self._token)

    def require(self) -> None:
        """Refuse to go on where another run has taken over."""
        if read_json(self._path) != self._token:
            raise InputError(
                f"another run has taken over {self._path.parent.parent}, so this one ends; give each its own folder"
            )

    def release(self) -> None:
        """Do nothing: who comes next takes over."""


def own(work: Path) -> Lock | Token:
    """Return the right to write into the output whose folder for unfinished work is `work`."""
    return Token(work) if is_url(work) else Lock(work)


def _locked(work: Path) -> int | None:
    """Return the lock file, opened and locked; None where the file system has no locks."""
    for tries_left in reversed(range(TRIES)):
        path = work / LOCK
        try:
            make_folder(work)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except (FileNotFoundError, FileExistsError):  # a run that has ended removes the folder at this moment
            if not tries_left:
                raise
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise InputError(
                f"another run is writing to {work.parent}; wait until it has ended, or give another folder"
            ) from None
        except OSError:
            os.close(file)
            return None
        if _is_still(file, path):
            return file
        os.close(file)
    raise InputError(f"runs into {work.parent} begin and end all the time; give another folder")


def _is_still(file: int, path: Path) -> bool:
    """Say whether a file that was opened still has its name: a run that ended may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
