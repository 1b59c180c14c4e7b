"""Make folders into which this user alone can write, for files that are trusted later; refuse all other folders."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from pathlib import Path

from runtime.errors import InputError

_OF_SPARK = re.compile(r"(spark|executor|blockmgr)-[0-9a-f-]{36}")  # folders that end with an executor or a job
OTHERS = stat.S_IWGRP | stat.S_IWOTH  # rights to write


def own_folder(folder: Path, remedy: str) -> Path:
    """Return a folder, made with mode 0700 if need be, into which this user alone can write; refuse any other.

    OSError where it cannot be made or written to.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid():
        raise InputError(f"{folder} belongs to someone else; remove it, or {remedy}")
    if found.st_mode & OTHERS:
        raise InputError(f"others may write into {folder}; remove it, or {remedy}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    return folder


def cache_folder() -> Path:
    """Return this user's folder for what other jobs on the machine use, too: on the first of Spark's local disks.

    Without Spark's disks it is among the temporary files.
    """
    disk = Path(os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or tempfile.gettempdir())
    # Spark names workers a folder of their executor's own, which is below the one that the machine's executors share.
    while _OF_SPARK.fullmatch(disk.name) and not disk.is_mount():
        disk = disk.parent
    return own_folder(disk / f"clip-curation-{os.getuid()}", "name another disk in SPARK_LOCAL_DIRS")
