"""Claim an output folder for one run: lock it, and refuse a folder that cannot be written or overlaps an input.

A local folder has a lock; an object store, or a file system without locks, has a token (`Owner`). In both cases a run
has its own folder for unfinished files, below `.work`. A task that outlives its driver goes on writing into the folder
of its ended run, which the next run removes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from glob import has_magic
from os import PathLike
from pathlib import Path
from uuid import uuid4

from filelock import Timeout, UnixFileLock

from runtime.errors import AGAIN, InputError
from runtime.redaction import hidden
from runtime.storage.own_files import Parts, finished, read_json, write_json
from runtime.storage.paths import as_path, is_url, make_folder, names, reachable, remove, remove_left_scratch

MOMENT = 0.2  # seconds to wait for a lock: its last owner may be removing its file, which is then made anew
_FOREVER = -1.0  # as filelock says it
HOLD_SECONDS = 3600.0  # that one process may hold a lock for which others wait, as while it builds an artefact
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
WORK = ".work"  # the folder of unfinished files, in the output folder
LOCK, TOKEN = "lock", "owner.json"
TRIES = 100
_RUN = re.compile(r"[0-9a-f]{32}")

READ_ONLY = ("hf", "http", "https", "memory", "data")  # other processes do not see the last two
WRITTEN = ("00000.parquet", "00000.tar", "run.json")
ANY_DEPTH = "**"
SAME_SYSTEM = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfss": "abfs", "wasbs": "wasb"}
Real = Callable[[str], str]

_holds: dict[Path, int] = {}  # descriptors of the files that this process holds


class Held(Exception):
    """Another process has the lock."""


def take(path: Path, seconds: float = MOMENT) -> UnixFileLock | None:
    """Lock the file `path`, and return the lock, held until its `release`; None if the file system has no locks.

    If another process has the lock for so many `seconds` more, raise Held; a negative number waits until it is free.
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
    """Lock the file `path`, as other processes may do too, until this process ends; for `take` it is Held meanwhile.

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
            if os.fstat(file).st_nlink:  # else who had taken the lock has removed the file
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


class Owner:
    """The right to write into a folder: a lock of this process, or a token that another run may replace by its own.

    A lock keeps a second run out, and is released as soon as its process ends, in any way; the lock file stays behind,
    and means nothing. A token does not keep a second run out: the second run replaces it, and the first run notices
    before it gives any file its name, and ends.
    """

    def __init__(self, folder: Path, lock: UnixFileLock | None):
        self._folder, self._lock = folder / WORK, lock
        self._token = {"run": uuid4().hex}
        self.work = self._folder / self._token["run"]
        self._locked = os.stat(self._folder / LOCK) if lock else None
        if lock is None:
            write_json(make_folder(self._folder) / TOKEN, self._token)

    def require(self) -> None:
        """Raise an InputError if another run has replaced the token of this one."""
        if self._lock is None and read_json(self._folder / TOKEN) != self._token:
            raise InputError(
                f"another run has taken over {self._folder.parent}, so this one ends; give each its own folder"
            )

    def release(self) -> None:
        """Release the lock, if there is one, so that another run can have the folder."""
        if self._lock is not None:
            self._lock.release()

    def end(self) -> None:
        """Remove the unfinished files of this run, then its lock file or token; release the lock."""
        remove(self.work)
        with suppress(InputError, FileNotFoundError):
            self.require()
            # A folder that has been replaced holds the lock of whoever has begun to replace it again.
            if self._locked is None or os.path.samestat(self._locked, os.stat(self._folder / LOCK)):
                remove(self._folder / (LOCK if self._lock else TOKEN))
        self.release()
        if not is_url(self._folder):
            with suppress(OSError):  # another run has begun, or something is left for the next one
                self._folder.rmdir()


def claim(folder: Path, wait: bool = False) -> Owner:
    """Return the right to write into `folder`, which is made if need be.

    If another process has the lock, raise an InputError, or with `wait` wait until the lock is free. Temporary files of
    killed processes are removed: those of the run that is continued may be among them.
    """
    remove_left_scratch()
    if is_url(folder):
        return Owner(folder, None)
    _require_own(folder / WORK)
    return Owner(folder, _locked(folder, wait))


@contextmanager
def owned(folder: Path, wait: bool = False) -> Iterator[Owner]:
    """Yield the right to write into a folder. At the end, remove unfinished files, and the folder if new and empty."""
    is_new = not is_url(folder) and not os.path.exists(folder)  # False, too, of a name that is too long
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
    present = set() if is_url(folder) else names(folder)  # a file at a URL is whole, or is not there
    for name in present - finished(present):
        remove(folder / name)


def clear_work(work: Path, *kept: str) -> None:
    """Remove everything in `work` except the lock, the token and the names `kept`; the caller must own the output."""
    for name in names(work) - {LOCK, TOKEN, *kept}:
        remove(work / name)


def is_free(folder: Path) -> bool:
    """Return whether a folder is new or empty, apart from unfinished files of a run that has begun or was killed."""
    left = finished(names(folder / WORK)) - {LOCK, TOKEN}
    return finished(names(folder)) <= {WORK} and all(map(_RUN.fullmatch, left))


def _require_own(work: Path) -> None:
    """Raise an InputError if the folder of unfinished work is, or holds, a link or a file of another user.

    A run empties this folder. Files of the user who owns the output folder are accepted.
    """
    for path in (work, *(work / name for name in ([] if os.path.islink(work) else names(work)))):
        with suppress(OSError):  # a run that ends now removes its files; `_locked` reports other errors
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                raise InputError(f"{path} is a link, which is not followed; remove it, or give another output folder")
            if status.st_uid not in (os.getuid(), work.parent.stat().st_uid):
                raise InputError(f"{path} belongs to someone else; remove it, or give another output folder")


def _impossible(folder: Path, error: OSError) -> InputError:
    return InputError(f"output {folder} cannot be made ({error.strerror}); give another folder")


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
    raise InputError(f"another run is writing to {folder}; wait until it has ended, or give another folder")


@contextmanager
def usable_output(output: str | PathLike[str]) -> Iterator[Path]:
    """Yield the path of an output folder; InputError if it is a file, or a URL at which nothing can be written."""
    path = as_path(output)
    if is_url(path):
        if path.protocol in READ_ONLY or not path.path.strip("/"):
            raise InputError(
                f"output {path} cannot be written to; give a local folder, or one such as s3://bucket/name"
            )
    elif os.path.exists(path) and not path.is_dir():
        raise InputError(f"output {path} is a file; give a folder")
    try:
        with reachable(path):
            yield path
    except FileNotFoundError as error:
        if not is_url(path):
            raise
        raise InputError(f"output {path} cannot be made ({error}); make the bucket first") from error


@dataclass(frozen=True)
class Claimed(Parts):
    """An output folder that one run has claimed: its parts, and `owner`, the run's right to write into the folder."""

    owner: Owner


@contextmanager
def claimed(output: str | PathLike[str], require: Callable[[Path], object], wait: bool = False) -> Iterator[Claimed]:
    """Claim an output folder for this run alone, and yield the claimed folder.

    `require(folder)` raises an error if the folder holds something else. If another run has claimed a local folder,
    raise an InputError, or with `wait` wait until that run ends.
    """
    with usable_output(output) as folder:
        require(folder)  # before this run has written anything into it
        with owned(folder, wait) as owner:
            require(folder)
            yield Claimed(folder, owner.work, owner)


def require_apart(
    output: str | PathLike[str], inputs: Iterable[str | PathLike[str]], except_in: Sequence[str] = ()
) -> None:
    """Raise an InputError if the output folder or URL is in an input folder or glob, or if an input is in the output.

    Otherwise a later run could read, or remove, files that it should not. Symbolic links are followed. An input glob is
    refused if it matches the output folder, or names of files that the run writes into it (WRITTEN).

    `except_in` names folders in `output` in which inputs may be.
    """
    real = cache(os.path.realpath)
    to, output_names = hidden(str(output)), _Names.of(str(output), real, has_wildcards=False).fixed
    for path in dict.fromkeys(map(str, inputs)):
        names = _Names.of(path, real)
        if names.fixed[: len(output_names)] == output_names:  # the output folder, or in it
            below = (names.fixed + names.pattern)[len(output_names) :]
            if not below or below[0] not in except_in:
                where = "is in" if below else "is"
                raise InputError(f"input {hidden(path)} {where} the output folder {to}; give another output folder")
        elif names.match_in(output_names):
            raise InputError(
                f"output {to} is in the input {hidden(path)}, and a later run would read what this one writes; give "
                "an output folder that is not in it"
            )


@dataclass(frozen=True)
class _Names:
    """The names in a path: `fixed` has the file system and the names before the first wildcard, `pattern` the rest."""

    fixed: list[str]
    pattern: list[str]

    @classmethod
    def of(cls, path: str, real: Real, has_wildcards: bool = True) -> _Names:
        """Return the names in a path or URL; `real` resolves symbolic links.

        A local path that exists is taken literally: its names have no wildcards.
        """
        link = hidden(path).rpartition("::")[2] if "://" in path else path  # of zip://member::s3://bucket/archive.zip
        system, mark, rest = link.partition("://")
        if mark and system != "file":
            names = [name for name in rest.split("/") if name]
            first = _first_wildcard(names) if has_wildcards else len(names)
            return cls([SAME_SYSTEM.get(system, system), *names[:first]], names[first:])
        local = os.path.abspath(os.path.expanduser(rest if mark else link))
        names = local.split("/")
        first = _first_wildcard(names) if has_wildcards and not os.path.lexists(local) else len(names)
        return cls(["file", *_followed("/".join(names[:first]) or "/", real)], names[first:])

    def match_in(self, folder: list[str]) -> bool:
        """Say whether this path or glob holds the folder `folder`, or may match files that a run writes into it."""
        if folder[: len(self.fixed)] != self.fixed:
            return False
        rest, pattern = folder[len(self.fixed) :], self.pattern
        if ANY_DEPTH in pattern:
            depth = pattern.index(ANY_DEPTH)
            return _match(pattern[:depth], rest) and any(fnmatchcase(name, pattern[-1]) for name in (*rest, *WRITTEN))
        is_below = len(pattern) > len(rest)
        return _match(pattern, rest) and (not is_below or any(fnmatchcase(name, pattern[-1]) for name in WRITTEN))


def _first_wildcard(names: list[str]) -> int:
    return next((number for number, name in enumerate(names) if has_magic(name)), len(names))


def _match(pattern: list[str], names: list[str]) -> bool:
    return all(fnmatchcase(name, part) for name, part in zip(names, pattern, strict=False))


def _followed(path: str, real: Real) -> list[str]:
    """Return the names in a path after `real` has resolved its symbolic links; `real` caches resolved folders."""
    folder, name = os.path.split(path)
    followed = real(path) if os.path.islink(path) or not name else os.path.join(real(folder), name)
    return [part for part in followed.split("/") if part]
