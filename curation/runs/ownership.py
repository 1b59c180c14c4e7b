"""Let one run at a time write into an output: by a lock in a local folder, by a token on an object store.

A lock keeps a second run out, and is free as soon as its process is gone, however that ends. A token does not: the
second run takes over, and the first one notices before it gives anything its name, and ends.
"""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from filelock import UnixFileLock

from runtime.errors import InputError
from runtime.storage import locks
from runtime.storage.paths import is_url, make_folder
from runtime.storage.whole import read_json, write_json

LOCK, TOKEN = "lock", "owner.json"
TRIES = 100


class Lock:
    """The right to write into a local output, held by this process; InputError where another one has it."""

    def __init__(self, work: Path):
        self.work = work
        self._lock = _locked(work)

    def require(self) -> None:
        """Do nothing: a lock cannot be taken away."""

    def release(self) -> None:
        """Let another run have it."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


class Token:
    """The right to write into an output on an object store, until another run takes it."""

    def __init__(self, work: Path):
        self._token = {"run": uuid4().hex}
        self._path = work / TOKEN
        self.work = work / self._token["run"]  # into which no task that another run has left behind writes
        write_json(self._path, self._token)

    def require(self) -> None:
        """Refuse to go on where another run has taken over."""
        if read_json(self._path) != self._token:
            raise InputError(
                f"another run has taken over {self._path.parent.parent}, so this one ends; give each its own folder"
            )

    def release(self) -> None:
        """Do nothing: the next run takes over."""


def own(work: Path) -> Lock | Token:
    """Return the right to write into the output whose folder for unfinished work is `work`."""
    return Token(work) if is_url(work) else Lock(work)


def _locked(work: Path) -> UnixFileLock | None:
    """Return the lock of a local output; None where the file system has no locks."""
    for tries_left in reversed(range(TRIES)):
        try:
            return locks.take(make_folder(work) / LOCK)
        except (FileNotFoundError, FileExistsError):  # a run that has ended removes the folder at this moment
            if not tries_left:
                raise
        except locks.Held:
            break
    raise InputError(f"another run is writing to {work.parent}; wait until it has ended, or give another folder")
