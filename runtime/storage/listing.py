"""List the files that a path, folder, glob or URL stands for, each with its version; open a file of that version only.

All that fsspec opens can be listed. A local name is taken as it is, also where fsspec would read a chain of systems.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from glob import has_magic
from itertools import chain
from typing import Any, BinaryIO, cast

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from runtime.errors import InputError
from runtime.storage.remote import AHEAD, Reading, RemoteFile
from runtime.storage.retrying import may_pass, persist

LOOKS = 5  # tries to list or to look up: a wrong name of a host should not take minutes
OBJECT_STORES = ("http://", "https://", "s3://", "s3a://", "gs://", "gcs://", "abfs://", "abfss://", "az://")

Info = dict[str, Any]  # of one file, as fsspec's file systems return it


@dataclass(frozen=True)
class Version:
    """The marks by which one content of a file is told from another, as far as the file system has them."""

    size: int | None = None
    modified: int | None = None  # nanoseconds since 1970
    etag: str | None = None

    def difference(self, now: Version) -> str | None:
        """Return what has changed; a time counts only without ETags, as listings round it otherwise."""
        if None not in (self.size, now.size) and self.size != now.size:
            return f"it had {self.size:,} bytes and has {now.size:,}"
        if None not in (self.etag, now.etag):
            return None if self.etag == now.etag else f"its ETag was {self.etag} and is {now.etag}"
        if self.modified is not None and now.modified is not None and self.modified != now.modified:
            return f"it was of {_shown(self.modified)} and is of {_shown(now.modified)}"
        return None


@dataclass(frozen=True)
class Found:
    """The files that a path stands for; `is_file` where it names one file itself, rather than a folder or a glob."""

    files: list[tuple[str, Version]]
    is_file: bool

    @property
    def paths(self) -> list[str]:
        """The paths of the files: absolute ones, or URLs."""
        return [path for path, _ in self.files]


class ListedFile:
    """A file that was listed as `version`: once it is another, nothing is read of it any more."""

    def __init__(self, path: str, version: Version | None = None):
        self.path, self.retries = path, 0
        self._version = version or Version()
        self._system, self._inner = system_of(path)

    def open(self, reading: Reading = AHEAD) -> BinaryIO:
        """Return it opened."""
        size = self.check()
        if isinstance(self._system, LocalFileSystem):
            return _opened(self.path, lambda: open(self._inner, "rb"))
        return cast(BinaryIO, RemoteFile(self.path, self._begin, size, self._failed, reading))

    def check(self) -> int | None:
        """Return its size; InputError if the file is not the one that was listed."""
        try:
            now = persist(self.path, self._look, self._failed)
        except FileNotFoundError as error:
            raise InputError(f"{self.path} has vanished since it was listed; run the same command again") from error
        difference = self._version.difference(now)
        if difference:
            raise InputError(
                f"{self.path} has changed since it was listed ({difference}); run the same command again once no one"
                " writes to it"
            )
        self._version = now
        return now.size

    def _begin(self) -> BinaryIO:
        uncached = {"cache_type": "none"} if self.path.startswith(OBJECT_STORES) else {}
        return self._system.open(self._inner, "rb", **uncached)

    def _look(self) -> Version:
        self._system.invalidate_cache(self._inner)  # a listing tells what was
        return _version(self._system, self._system.info(self._inner))

    def _failed(self) -> None:
        self.retries += 1


def expand(path: str, deep: bool = True) -> Found | None:
    """Return the files that a file, folder, glob or URL stands for; None if nothing is there.

    A folder stands for all files below it, or with `deep` false for those directly in it; so does a folder that a glob
    matches. Hidden files count only where the path names them.
    """
    system, inner = system_of(path)
    found = persist(path, lambda: _infos(system, inner, deep), lambda: None, LOOKS)
    if found is None:
        return None
    infos, is_file = found
    return Found([(_full_path(system, info["name"], path), _version(system, info)) for info in infos], is_file)


def name_of(path: str) -> str:
    """Return a path in lower case, and a URL without its query: what the ending of a file is looked for in.

    >>> name_of("https://example.org/A.Parquet?signature=x.csv"), name_of("A?.CSV")
    ('https://example.org/a.parquet', 'a?.csv')
    """
    return (path.partition("?")[0] if "://" in path else path).lower()


def system_of(path: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a path, and what it is called there."""
    if "://" not in path:  # not fsspec.core.url_to_fs, which splits a name at ::
        return fsspec.filesystem("file"), os.path.abspath(os.path.expanduser(path))
    system, inner = fsspec.core.url_to_fs(path)
    return (_asked_once(system) if "s3" in type(system).protocol else system), inner


def _asked_once(system: AbstractFileSystem) -> AbstractFileSystem:
    """Return an S3 file system that leaves it to `persist` to try again: it would send 25 requests for each here."""
    config = {"retries": {"total_max_attempts": 1}, **(system.storage_options.get("config_kwargs") or {})}
    own = type(system)(*system.storage_args, **{**system.storage_options, "config_kwargs": config})
    own.retries = 1
    return own


def _opened(path: str, step: Callable[[], BinaryIO]) -> BinaryIO:
    try:
        return step()
    except OSError as error:
        raise OSError(f"{path} cannot be opened: {error}") from error


def _infos(system: AbstractFileSystem, inner: str, deep: bool) -> tuple[list[Info], bool] | None:
    """Return what is known of a file, the files of a folder, or of all that a glob matches; whether it is a file."""
    file = _file_info(system, inner)
    if file:
        return [file], True
    if system.isdir(inner):
        return _in_folder(system, inner, deep), False
    if not has_magic(inner):
        return None
    matches = system.glob(inner, detail=True)
    shown = {name: info for name, info in matches.items() if not _is_hidden(name.rpartition("/")[2])}
    found = [_in_folder(system, name, deep) if info["type"] == "directory" else [info] for name, info in shown.items()]
    infos = list(chain.from_iterable(found))
    return (infos, False) if infos else None


def _file_info(system: AbstractFileSystem, inner: str) -> Info | None:
    """Return what is known of a file, None if there is none; `isfile` of a remote system is False when it is busy."""
    if isinstance(system, LocalFileSystem):
        return system.info(inner) if system.isfile(inner) else None
    try:
        info = system.info(inner)
    except FileNotFoundError as error:
        if may_pass(error):
            raise
        return None
    return info if info["type"] == "file" else None


def _in_folder(system: AbstractFileSystem, folder: str, deep: bool) -> list[Info]:
    """Return the files below a folder that are not hidden."""
    found = system.find(folder, maxdepth=None if deep else 1, detail=True)
    below = len(folder.rstrip("/"))
    return [info for name, info in found.items() if not _is_hidden(name[below:].lstrip("/"))]


def _is_hidden(path: str) -> bool:
    """Say whether a file, or a folder it is in, is what Spark and Hadoop take for hidden."""
    return re.search(r"(^|/)[._]", path) is not None


def _full_path(system: AbstractFileSystem, name: str, path: str) -> str:
    """Return a path that means the same on every machine, for a file that `path` stands for."""
    if isinstance(system, LocalFileSystem):
        return name
    link, mark, rest = path.partition("::")  # zip://member::archive.zip
    return system.unstrip_protocol(name) + (mark + rest if "://" in link else "")


def _version(system: AbstractFileSystem, info: Info) -> Version:
    if isinstance(system, LocalFileSystem):
        return Version(info["size"], os.stat(info["name"]).st_mtime_ns)
    return Version(info["size"], _modified(info), info.get("ETag") or info.get("etag"))


def _modified(info: Info) -> int | None:
    """Return the time of the last change in nanoseconds; file systems have five names and three types for it."""
    names = ("mtime", "LastModified", "last_modified", "updated", "Last-Modified")
    value = next((info[name] for name in names if name in info), None)
    if isinstance(value, str):
        try:
            value = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
    if isinstance(value, datetime):
        value = value.timestamp()
    return round(value * 1e6) * 1000 if isinstance(value, int | float) else None


def _shown(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, timezone.utc).isoformat(" ")
