"""Write files that get their names when they are complete.

Complete means on the disk: after a power loss a file has its name and all its bytes, or no name.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from runtime.errors import InputError
from runtime.storage.checksums import checksum_of
from runtime.storage.paths import (
    as_path,
    files,
    is_url,
    remove,
    room,
)
from runtime.storage.scratch import staged

PARTIAL = ".partial"  # the end of the name of a file that is being written
_BEGUN = re.compile(rf"\..+\.[0-9a-f]{{32}}\{PARTIAL}", re.DOTALL)  # as `whole` names it
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)  # some network file systems, for folders


def finished(names: set[str]) -> set[str]:
    """Return `names` without names of partial files, which are being written or were left by a killed process."""
    return {name for name in names if not _BEGUN.fullmatch(name)}


def remove_partial_of(path: Path) -> None:
    """Remove what killed processes left half written of a local file, which no other process may be writing."""
    for left in files(path.parent, PARTIAL):
        if _BEGUN.fullmatch(left.name) and left.name.rsplit(".", 2)[0] == f".{path.name}":
            remove(left)


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a local path to write a file to; if the block ends without an error, the file gets its name `path`.

    It gets the name in one step; a file at a URL is uploaded.
    """
    final = as_path(path)
    if is_url(final):
        # Not fsspec's `open("wb")`: when an error leaves its block, it commits what was written until then.
        with staged() as folder:
            local = folder / final.name
            yield local
            final.fs.put_file(str(local), final.path)
        return
    local = final.with_name(f".{final.name}.{uuid4().hex}{PARTIAL}")
    try:
        with room(final.parent):
            yield local
            sync(local)
            os.replace(local, final)
            sync(final.parent)
    finally:
        local.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until the disk has the bytes of a file, or the names in a folder."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(opened)


def require_no_link(part: Path) -> None:
    """Refuse a part whose folder is a link: files would be removed from the folder that the link leads to."""
    if not is_url(part) and part.is_symlink():
        raise InputError(
            f"{part} is a link, which is not followed; put the folder there, or specify another output folder"
        )


def write_text(path: Path, text: str) -> str:
    """Write a text as a complete file; return its checksum. Bytes of a path that are not UTF-8 are escaped."""
    with whole(path) as file:
        file.write_text(text, "utf-8", "backslashreplace")
        return checksum_of(file)


WORK = ".work"  # the folder of unfinished files, in the output folder
