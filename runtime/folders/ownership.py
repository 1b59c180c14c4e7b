"""Claim an output folder for one run: lock it, and refuse a folder that cannot be written.

A local folder has a lock; an object store, or a file system without locks, has a token (`Owner`). Files of a part that
a later run cannot resume are below `.work`, in a folder that belongs only to this run. A task that outlives its driver
keeps writing, either into that folder, which the next run removes, or into a part that the next run resumes. In such a
part, the next run's task writes the same bytes.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from uuid import uuid4

from filelock import UnixFileLock

from runtime.errors import InputError
from runtime.folders.parts import Parts
from runtime.storage.json_files import read_json, write_json
from runtime.storage.listing import CLAIM
from runtime.storage.locks import MOMENT, Held, take
from runtime.storage.paths import as_path, is_of_plugin, is_url, make_folder, names, reachable, remove
from runtime.storage.scratch import remove_left_scratch
from runtime.storage.whole import WORK, finished

_FOREVER = -1.0  # filelock's value for a wait without limit
LOCK, TOKEN = "lock", "owner.json"
MAX_NAMED = 3  # names of a user's files in a message
TRIES = 100
_RUN = re.compile(r"[0-9a-f]{32}")
READ_ONLY = ("http", "https", "memory", "data")  # other processes do not see the last two


class Owner:
    """The right to write into a folder: a lock of this process, or a token that another run may replace by its own.

    A lock keeps a second run out, and is released as soon as its process ends, in any way; the lock file stays behind,
    and means nothing. A token does not keep a second run out: the second run replaces it. The first run notices
    before it moves a part to its place or writes a descriptor, and ends.
    """

    def __init__(self, folder: Path, lock: UnixFileLock | None):
        self._folder, self._lock = folder / WORK, lock
        self._token = {"run": uuid4().hex}
        self.unfinished = self._folder / self._token["run"]
        self._locked = os.stat(self._folder / LOCK) if lock else None
        if lock is None:
            write_json(make_folder(self._folder) / TOKEN, self._token)

    def require(self) -> None:
        """Raise an InputError if another run has replaced the token of this one."""
        if self._lock is None and read_json(self._folder / TOKEN) != self._token:
            raise InputError(
                f"another run has taken over {self._folder.parent}, so this run ends; give each run its own folder"
            )

    def release(self) -> None:
        """Release the lock, if there is one, so that another run can have the folder."""
        if self._lock is not None:
            self._lock.release()

    def end(self) -> None:
        """Remove the unfinished files of this run, then its lock file; release the lock.

        Where there are no locks, the token is removed, unless another run has replaced it.
        """
        remove(self.unfinished)
        with suppress(InputError, FileNotFoundError):
            self.require()
            # If another program has removed and made the folder anew, the lock file in it is not this run's.
            if self._locked is None or os.path.samestat(self._locked, os.stat(self._folder / LOCK)):
                remove(self._folder / (LOCK if self._lock else TOKEN))
        self.release()
        if not is_url(self._folder):
            with suppress(OSError):  # another run has begun, or something is left for the next one
                self._folder.rmdir()


def claim(folder: Path, wait: bool = False) -> Owner:
    """Return the right to write into `folder`, which is made if need be.

    If another process has the lock, raise an InputError; with `wait`, wait until the lock is free instead. Temporary
    files of killed processes on this machine are removed, as the run that is continued may have left some.
    """
    remove_left_scratch()
    if is_url(folder):
        return Owner(folder, None)
    _require_own(folder / WORK)
    return Owner(folder, _locked(folder, wait))


@contextmanager
def owned(folder: Path, wait: bool = False) -> Iterator[Owner]:
    """Yield the right to write into a folder.

    At the end, remove unfinished files, and the folder itself if this run made it and it is empty.
    """
    is_new = not is_url(folder) and not os.path.exists(folder)  # it is also True for a name that is too long
    owner = claim(folder, wait)
    try:
        remove_runs(folder / WORK)
        remove_partial(folder)
        yield owner
        owner.require()
    finally:
        owner.end()
        if is_new:
            with suppress(OSError):  # it holds something
                folder.rmdir()


def remove_runs(work: Path) -> None:
    """Remove the folders of earlier runs below `work`; the caller must own the output folder."""
    for name in names(work):
        if _RUN.fullmatch(name):
            remove(work / name)


def remove_partial(folder: Path) -> None:
    """Remove files at the top of a local folder that a killed process left half written; the caller must own it."""
    present = set() if is_url(folder) else names(folder)  # a file at a URL is complete, or does not exist
    for name in present - finished(present):
        remove(folder / name)


def clear_work(work: Path, *kept: str) -> None:
    """Remove everything in `work` except the lock, the token and the names `kept`; the caller must own the output."""
    for name in names(work) - {LOCK, TOKEN, *kept}:
        remove(work / name)


def is_free(folder: Path) -> bool:
    """Return whether a folder is new, or has only a claim and unfinished files of a run that was killed."""
    left = finished(names(folder / WORK)) - {LOCK, TOKEN, CLAIM}
    return finished(names(folder)) <= {WORK} and all(map(_RUN.fullmatch, left))


def claim_in(folder: Path) -> dict | None:
    """Return the claim in a folder that a command has begun to make (`Kind.claim`); None if there is none."""
    return read_json(folder / WORK / CLAIM)


def _require_own(work: Path) -> None:
    """Raise an InputError if the folder of unfinished work is, or holds, a link or a file of another user.

    A run empties this folder. Files of the user who owns the output folder are accepted.
    """
    for path in (work, *(work / name for name in ([] if os.path.islink(work) else names(work)))):
        with suppress(OSError):  # a run that ends now removes its files; `_locked` reports other errors
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                raise InputError(
                    f"{path} is a link, which is not followed; remove it, or specify another output folder"
                )
            if status.st_uid not in (os.getuid(), work.parent.stat().st_uid):
                raise InputError(f"{path} belongs to another user; remove it, or specify another output folder")


def _impossible(folder: Path, error: OSError) -> InputError:
    return InputError(f"output {folder} cannot be created ({error.strerror}); specify another folder")


def _locked(folder: Path, wait: bool) -> UnixFileLock | None:
    """Return the lock of a local folder, None if its file system has no locks; InputError if another run has it."""
    for tries_left in reversed(range(TRIES)):
        try:
            return take(make_folder(folder / WORK) / LOCK, _FOREVER if wait else MOMENT)
        except (FileNotFoundError, FileExistsError) as error:  # a run that ends now removes the folder
            if not tries_left:
                raise _impossible(folder, error) from error
        except Held:
            break
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
                raise _impossible(folder, error) from error
            raise
    raise InputError(f"another run is writing to {folder}; wait until it has ended, or specify another folder")


@contextmanager
def usable_output(output: str | PathLike[str]) -> Iterator[Path]:
    """Yield the path of an output folder; InputError if it is a file, or a URL at which nothing can be written."""
    path = as_path(output)
    if is_url(path):
        if path.protocol in READ_ONLY or is_of_plugin(str(path)) or not path.path.strip("/"):
            raise InputError(
                f"output {path} cannot be written to; specify a local folder, or a URL such as s3://bucket/name"
            )
    elif os.path.exists(path) and not path.is_dir():
        raise InputError(f"output {path} is a file; specify a folder")
    try:
        with reachable(path):
            yield path
    except FileNotFoundError as error:
        if not is_url(path):
            raise
        raise InputError(f"output {path} cannot be created ({error}); create the bucket first") from error


@dataclass(frozen=True)
class Claimed(Parts):
    """An output folder that one run has claimed: its parts, and `owner`, the run's right to write into the folder."""

    owner: Owner


@contextmanager
def claimed(output: str | PathLike[str], require: Callable[[Path], object], wait: bool = False) -> Iterator[Claimed]:
    """Claim an output folder exclusively for this run, and yield the claimed folder.

    `require(folder)` raises an error if the folder holds something else. If another run has claimed a local folder,
    raise an InputError, or with `wait` wait until that run ends.
    """
    with usable_output(output) as folder:
        require(folder)  # before this run has written anything into it
        with owned(folder, wait) as owner:
            require(folder)
            yield Claimed(folder, owner.unfinished, owner)
