"""Ship artefacts (files or folders) to the workers of any Spark session, packed if machines do not share a disk.

An archive is named by a digest of its content. Each machine unpacks it once, and later jobs use that copy.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
import pyarrow as pa

from runtime.errors import AGAIN, InputError
from runtime.kernel_caches import cache_folder
from runtime.messages import listed
from runtime.storage.arrays import open_array
from runtime.storage.checksums import checksum_of, content_digest
from runtime.storage.machine_cache import kept
from runtime.storage.own_files import OwnFile, compared
from runtime.storage.paths import absolute, as_path, make_folder
from runtime.storage.scratch import staged
from runtime.storage.whole import whole

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ENDING = ".packed"  # Spark would unpack a .zip, for example, and a folder `metadata/` would hide the package
_PARTIAL = ".partial"
NAMED = 3  # the most machines that a message names
SHARED = "pass a folder that all machines share, or a URL"


@dataclass(frozen=True)
class Shipped:
    """An artefact, a folder or a file, that workers open wherever they run."""

    source: Path  # on the driver's disk
    packed: str | None = None  # the archive: a name in Spark, or a path or URL for all machines; None: no archive
    checksum: str | None = None  # of a file; None for a folder, whose mapped files have their own checksums

    def path(self) -> Path:
        """Return, in a worker, the artefact's path on this machine; InputError if its file was damaged on the way."""
        return compared(self._here())

    def opened(self, open: Callable[[Path], Any]) -> Any:
        """Return, in a worker, `open(path)` of the artefact; the process keeps the result for later calls."""
        return _opened(open, self.path())

    def array(self) -> np.ndarray:
        """Return the array of a shipped `save_array` file, mapped into memory, in a worker; a process maps it once."""
        return _opened(open_array, self._here())

    def _here(self) -> OwnFile:
        """Return the artefact on this machine, unpacked if need be; its checksum is not compared yet."""
        if self.packed is None:
            return OwnFile(self.source, self.checksum, AGAIN)
        try:
            copy = unpacked_archive(_archive(self.packed), cache_folder())  # Later jobs use the folder, too.
        except FileNotFoundError as error:
            raise InputError(f"{self.packed} is not seen by {gethostname()}; {SHARED}") from error
        return OwnFile(copy / self.source.name, self.checksum, f"delete {copy} and {AGAIN}")


def _archive(packed: str) -> Path:
    if "/" in packed:
        return as_path(packed)
    from pyspark import SparkFiles  # This import is here because processes of one machine need no Spark.

    return Path(SparkFiles.get(packed))


def sender(spark: SparkSession, folder: str | PathLike[str] | None, local: Path) -> Callable[[Path], Shipped]:
    """Return a function that makes an artefact of the folder `local` available to the workers of any session.

    Artefacts go through `folder`, a folder or URL that all machines see. If it is None, Spark ships them; but in a
    session of Spark Connect, workers must see `local` themselves. InputError if workers do not see the folder.
    """
    if folder is not None:
        shared = absolute(folder)
        make_folder(shared)
        require_shared(spark, shared)
        return lambda source: Shipped(source, str(put(source, shared)), _checksum(source))
    if is_connect(spark):
        require_shared(spark, local, "name a folder that they see as `artefacts`, or a URL")
        return opened_itself
    return lambda source: ship(spark, source)


def ship(spark: SparkSession, source: Path) -> Shipped:
    """Return a file or a folder as an artefact for workers to open; `source` must not change any more.

    Workers of a local master open `source` itself; for others, Spark ships an archive.
    """
    from pyspark import SparkFiles

    if is_local(spark):
        return opened_itself(source)
    # Spark serves files in its root directory and removes them after the job; it can add folders only in local mode.
    packed = pack(source, Path(SparkFiles.getRootDirectory()))
    spark.sparkContext.addFile(str(packed))
    return Shipped(source, packed.name, _checksum(source))


def opened_itself(source: Path) -> Shipped:
    """Return an artefact that workers open where it is, as they see this machine's disk."""
    return Shipped(source, checksum=_checksum(source))


def _checksum(source: Path) -> str | None:
    return checksum_of(source) if source.is_file() else None


@lru_cache(maxsize=8)
def _opened(open: Callable[[Any], Any], artefact: Path | OwnFile) -> Any:
    return open(artefact)


def is_local(spark: SparkSession) -> bool:
    """Return whether the workers are processes of this machine, which see all files that the driver sees."""
    if is_connect(spark):  # The server may be on any machine.
        return False
    master = spark.sparkContext.master or ""
    return master == "local" or master.startswith("local[")


def is_connect(spark: SparkSession) -> bool:
    """Return whether a session is of Spark Connect: such a session has neither a SparkContext nor its own JVM."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def require_shared(spark: SparkSession, folder: Path, remedy: str = SHARED) -> None:
    """Raise an InputError if workers on other machines do not see the folder; `remedy` ends the message.

    A URL means the same to all machines, and is accepted.
    """
    if is_local(spark) or "://" in str(folder):
        return
    token = folder / f".seen-{uuid4().hex}"
    token.touch()
    seen = str(token)
    try:
        hosts = spark.range(0, 1 << 20).mapInArrow(lambda batches: _blind_hosts(batches, seen), "host string")
        blind = sorted({row["host"] for row in hosts.collect()})
    finally:
        token.unlink(missing_ok=True)
    if blind:
        raise InputError(f"{folder} is not seen by the workers on {listed(blind, NAMED)}; {remedy}")


def _blind_hosts(batches: Iterable[pa.RecordBatch], token: str) -> Iterator[pa.RecordBatch]:
    """Yield the name of this machine if it does not see `token`, the path of a file that the driver made."""
    for _ in batches:
        pass
    if not Path(token).exists():
        yield pa.RecordBatch.from_pydict({"host": [gethostname()]})


def pack(artefact: Path, folder: Path) -> Path:
    """Write an archive of a file, or of all files of a folder, into `folder`; return the archive's path.

    The same content gives the same bytes and the same name.
    """
    partial = folder / f"{uuid4().hex}{_PARTIAL}"
    files = [artefact] if artefact.is_file() else sorted(path for path in artefact.rglob("*") if path.is_file())
    try:
        with ZipFile(partial, "w") as archive:
            for path in files:
                # The member is dated 1980, and has no permissions.
                member = ZipInfo(path.relative_to(artefact.parent).as_posix())
                with path.open("rb") as file, archive.open(member, "w", force_zip64=True) as packed:
                    shutil.copyfileobj(file, packed, 1 << 20)
        return partial.replace(folder / f"{artefact.stem}-{content_digest(partial)}{ENDING}")
    finally:
        partial.unlink(missing_ok=True)


def put(artefact: Path, folder: Path) -> Path:
    """Pack an artefact, and move the archive into a shared folder or URL unless it is there; return its path there.

    The archive's name contains a digest of its content.
    """
    with staged() as local:
        packed = pack(artefact, local)
        to = folder / packed.name
        if not to.exists():
            with whole(to) as partial:
                shutil.move(packed, partial)
    return to


def unpacked_archive(packed: Path, cache: Path) -> Path:
    """Return the folder in `cache` with the content of the archive `packed`.

    The first process unpacks the archive, while others wait.
    """
    return kept(cache / packed.stem, lambda folder: _unpack(packed, folder))


def _unpack(packed: Path, folder: Path) -> None:
    try:
        if not packed.stem.endswith(content_digest(packed)):
            raise BadZipFile("its content has another digest than its name")
        with packed.open("rb") as file, ZipFile(file) as archive:
            archive.extractall(folder)  # It writes only into `folder`, whatever the names of the members.
    except BadZipFile as error:
        raise OwnFile(packed, None, "delete it, and run the same command again").damaged(error) from error
