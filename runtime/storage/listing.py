"""Files wherever fsspec finds them: what a path stands for, which version of a file it is, and opening just that."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from glob import has_magic
from itertools import chain
from typing import BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from runtime.errors import InputError
from runtime.storage.remote import AHEAD, Reading, RemoteFile
from runtime.storage.retrying import may_pass, persist

LOOKS = 5  # tries to list or to look up: a wrong name of a host should not take minutes
OBJECT_STORES = ("http://", "https://", "s3://", "s3a://", "gs://", "gcs://", "abfs://", "abfss://", "az://")


@dataclass(frozen=True)
class Version:
    """What tells one content of a file from another, as far as the file system says."""

    size: int | None = None
    modified: int | None = None  # nanoseconds since 1970
    etag: str | None = None

    def difference(self, now: "Version") -> str | None:
        """Return what has changed; a time counts only without ETags, as listings round it otherwise."""
        if None not in (self.size, now.size) and self.size != now.size:
            return f"it had {self.size:,} bytes and has {now.size:,}"
        if None not in (self.etag, now.etag):
            return None if self.etag == now.etag else f"its ETag was {self.etag} and is {now.etag}"
        if None not in (self.modified, now.modified) and self.modified != now.modified:
            return f"it was of {_shown(self.modified)} and is of {_shown(now.modified)}"
        return None


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
        return RemoteFile(self.path, self._begin, size, self._failed, reading)

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

    def _begin(self):
        uncached = {"cache_type": "none"} if self.path.startswith(OBJECT_STORES) else {}
        return self._system.open(self._inner, "rb", **uncached)

    def _look(self):
        self._system.invalidate_cache(self._inner)  # a listing tells what was
        return _version(self._system, self._system.info(self._inner))

    def _failed(self):
        self.retries += 1


def system_of(path: str):
    """Return the file system of a path, and what it is called there."""
    if "://" not in path:  # a local name may hold what fsspec reads as a chain of systems
        return fsspec.filesystem("file"), os.path.abspath(path)
    system, inner = fsspec.core.url_to_fs(path)
    if hasattr(system, "config_kwargs"):  # s3fs and botocore would each try again, uncounted: 25 requests for one here
        system.retries = 1
        system.config_kwargs.setdefault("retries", {"total_max_attempts": 1})
    return system, inner


def files(path: str) -> list[tuple[str, Version]] | None:
    """Return the files that are no hidden ones of a file, folder, glob or URL; None if there is nothing."""
    system, inner = system_of(path)
    infos = persist(path, lambda: _infos(system, inner), lambda: None, LOOKS)
    return infos and [(_full_path(system, info["name"]), _version(system, info)) for info in infos]


def _opened(path, step: Callable[[], BinaryIO]):
    try:
        return step()
    except OSError as error:
        raise OSError(f"{path} cannot be opened: {error}") from error


def _infos(system, inner):
    """Return what is known of a file, the files of a folder, or of all that a glob matches."""
    file = _file_info(system, inner)
    if file:
        return [file]
    if system.isdir(inner):
        return _in_folder(system, inner)
    if not has_magic(inner):
        return None
    matches = system.glob(inner, detail=True)
    shown = {name: info for name, info in matches.items() if not _is_hidden(name.rpartition("/")[2])}
    found = [_in_folder(system, name) if info["type"] == "directory" else [info] for name, info in shown.items()]
    return list(chain.from_iterable(found)) or None


def _file_info(system, inner):
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


def _in_folder(system, folder):
    """Return all files below a folder that are not hidden."""
    found = system.find(folder, detail=True)
    below = len(folder.rstrip("/")) + 1
    return [info for name, info in found.items() if not _is_hidden(name[below:])]


def _is_hidden(path):
    """Say whether a file, or a folder it is in, is what Spark and Hadoop take for hidden."""
    return re.search(r"(^|/)[._]", path) is not None


def _full_path(system, name):
    """Return a path that means the same on every machine."""
    return name if isinstance(system, LocalFileSystem) else system.unstrip_protocol(name)


def _version(system, info):
    if isinstance(system, LocalFileSystem):
        return Version(info["size"], os.stat(info["name"]).st_mtime_ns)
    return Version(info["size"], _modified(info), info.get("ETag") or info.get("etag"))


def _modified(info):
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


def _shown(nanoseconds):
    return datetime.fromtimestamp(nanoseconds / 1e9, timezone.utc).isoformat(" ")
