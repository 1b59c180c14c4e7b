"""Pack artefacts into tars for machines that do not share the driver's disk, and unpack each once on a machine.

A tar is named by a digest of its content, so that a copy serves every later job too. `spark` sends the tars.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from runtime.storage import locks
from runtime.storage.own_files import OwnFile, content_digest
from runtime.storage.whole import whole

ENDING = ".packed"  # not .tar: Spark would unpack that beside it, where `metadata/` hides the package of that name
KEPT_SECONDS = 7 * 24 * 3600  # since a copy was used last
_PARTIAL = ".partial"


def pack(artefact: Path, folder: Path) -> Path:
    """Return a tar in `folder` of a file, or of a folder with all that is in it."""
    partial = folder / f"{uuid4().hex}{_PARTIAL}"
    try:
        with tarfile.open(partial, mode="w|", dereference=True) as tar:
            tar.add(artefact, arcname=artefact.name, filter=_only_content)
        return partial.replace(folder / f"{artefact.stem}-{content_digest(partial)}{ENDING}")
    finally:
        partial.unlink(missing_ok=True)


def put(artefact: Path, folder: Path) -> Path:
    """Pack an artefact into a shared folder, or to a URL, unless it is there; return the path of its tar."""
    with tempfile.TemporaryDirectory(prefix="clip-curation-") as local:
        tar = pack(artefact, Path(local))
        to = folder / tar.name
        if not to.exists():
            with whole(to) as partial:
                shutil.move(tar, partial)
    return to


def unpacked(tar: Path, cache: Path) -> Path:
    """Return the folder in `cache` with the content of a tar; the first process unpacks it while the others wait."""
    copy = cache / tar.stem
    if not _use(copy):
        with _locked(cache):
            if not _use(copy):
                _clean(cache)
                _unpack(tar, copy)
    return copy


def _only_content(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out the owner and the time of a member: the same content gives the same tar."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member


def _use(copy: Path) -> bool:
    """Note that a copy is used now; return whether it exists."""
    try:
        os.utime(copy)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """Keep the other processes of this machine out of the block; the system ends a lock with its process."""
    lock = locks.take(cache / ".lock", wait=True)
    if lock is None:
        raise OSError(f"the file system of {cache} has no locks; name another disk in SPARK_LOCAL_DIRS")
    try:
        yield
    finally:
        lock.release()


def _unpack(tar: Path, copy: Path) -> None:
    partial = copy.with_name(f"{uuid4().hex}{_PARTIAL}")
    try:
        if not tar.stem.endswith(content_digest(tar)):  # tarfile takes a tar that is cut off for a shorter one
            raise tarfile.TarError("its content has another digest than its name")
        with tar.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as members:
            members.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            members.extractall(partial, members=map(_only_below, members))  # Python 3.11.2, for one, has no filters
        partial.replace(copy)
    except tarfile.TarError as error:
        raise OwnFile(tar, None, "delete it, and run the same command again").damaged(error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _only_below(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Refuse a member that `pack` never makes: a link, a device, or a path that leads out of the folder."""
    is_outside = member.name.startswith("/") or ".." in member.name.split("/")
    if is_outside or not (member.isreg() or member.isdir()):
        raise tarfile.TarError(f"it holds {member.name!r}, which is no file or folder below it")
    return member


def _clean(cache: Path) -> None:
    """Remove copies that no one has used for long, and what killed processes left; the cache must be locked."""
    for copy in cache.iterdir():
        is_left = copy.name.endswith(_PARTIAL)
        if copy.is_dir() and (is_left or time.time() - copy.stat().st_mtime > KEPT_SECONDS):
            going = copy.replace(copy.with_name(f"{uuid4().hex}{_PARTIAL}"))  # at once: none finds half
            shutil.rmtree(going, ignore_errors=True)
