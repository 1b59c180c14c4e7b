"""Recognise a changed file by its version, and tell regular files from other kinds of local paths.

A changed file may have the same size and modification time: `touch -r` and unpacked archives set times. The change time
of the inode (ctime) cannot be set, and a file that replaces another has its own inode. But both also change when no
byte does: by chmod, a new hard link, cp -a, rsync, a restored backup, or a mount that makes up inodes. So only the
driver uses them, to recognise an input of an earlier run; at worst that input is read again in vain. They are never a
reason to refuse a file: on another machine the same file of a network file system may have other values.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

Info = dict[str, Any]  # of one file, as fsspec's file systems return it
# Opening a FIFO waits for a writer, perhaps for ever, and a device may never end.
KINDS = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
BROKEN_LINK, FOLDER_LINK = "broken link", "link to a folder"


@dataclass(frozen=True)
class Version:
    """The properties that tell one content of a file from another, as far as the file system has them."""

    size: int | None = None
    modified: int | None = None  # nanoseconds since 1970
    etag: str | None = None
    changed: int | None = None  # nanoseconds since 1970, of the inode: only of local files
    inode: int | None = None  # likewise
    checksum: str | None = None  # of all bytes, where a command of ours has recorded it

    def difference(self, now: Version) -> str | None:
        """Return what has changed, without the marks that may differ from machine to machine.

        A time counts only without ETags, as listings round it otherwise.
        """
        if None not in (self.size, now.size) and self.size != now.size:
            return f"it had {self.size:,} bytes and has {now.size:,}"
        if None not in (self.etag, now.etag):
            return None if self.etag == now.etag else f"its ETag was {self.etag} and is {now.etag}"
        if self.modified is not None and now.modified is not None and self.modified != now.modified:
            return f"it was of {_shown(self.modified)} and is of {_shown(now.modified)}"
        return None


def version_of(system: AbstractFileSystem, info: Info) -> Version:
    """Return the version of a file, given what its file system says of it."""
    if isinstance(system, LocalFileSystem):
        found = os.stat(info["name"])
        return Version(found.st_size, found.st_mtime_ns, changed=found.st_ctime_ns, inode=found.st_ino)
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


def other_kind(path: str) -> str | None:
    """Return the kind of a local path that is not a regular file; None if it is one, also behind links."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) and os.path.islink(path):
            return BROKEN_LINK
        raise
    if stat.S_ISDIR(mode):
        return FOLDER_LINK
    return None if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "special file")
