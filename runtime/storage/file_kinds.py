"""Tell regular files from all else that a local path may name."""

from __future__ import annotations

import errno
import os
import stat

# Opening a FIFO waits for a writer, perhaps for ever, and a device may never end.
KINDS = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
BROKEN_LINK, FOLDER_LINK = "broken link", "link to a folder"


def other_kind(path: str) -> str | None:
    """Return what is at a local path that is no regular file, None where one is, itself or behind links."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) and os.path.islink(path):
            return BROKEN_LINK
        raise
    if stat.S_ISDIR(mode):
        return FOLDER_LINK
    return None if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "special file")
