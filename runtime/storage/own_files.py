"""Read files of this project after comparing their checksums, and say what to do if one is damaged."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from mmap import mmap
from pathlib import Path

import pyarrow as pa

from runtime.errors import AGAIN, InputError, LowLimit, low_limit
from runtime.redaction import hidden
from runtime.storage.checksums import checksum_of, checksum_of_mapped
from runtime.storage.paths import (
    FullDisk,
    files,
    is_outside,
    is_url,
)
from runtime.storage.scratch import staged
from runtime.storage.whole import whole

_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError)  # Arrow's errors
# Arrow's message about a damaged file → the words that replace it.
_ARROW_WORDS = {
    "Parquet magic bytes not found": "its end is missing or damaged",
    "smaller than the minimum file footer": "its end is missing or damaged",
    "eserialize thrift": "its footer or the head of a page is damaged",
}


def in_words(reason: object) -> str:
    """Return the reason why a file cannot be read, in one line, and in plain words instead of Arrow's.

    >>> in_words("Parquet magic bytes not found in footer. Either the file is corrupted or ...")
    'its end is missing or damaged'
    """
    text = " ".join(str(reason).split())
    return next((words for said, words in _ARROW_WORDS.items() if said in text), text)


@dataclass(frozen=True)
class OwnFile:
    """A file that this project wrote, its checksum, and the user's remedy if the file is damaged."""

    path: Path
    checksum: str | None  # as recorded; None if none is known
    remedy: str

    def damaged(self, reason: object) -> InputError:
        """Return an InputError that says that the file is missing (`reason` is a FileNotFoundError) or damaged."""
        shown = hidden(str(self.path))
        if isinstance(reason, FileNotFoundError):
            return InputError(f"{shown} is missing; {self.remedy}")
        return InputError(f"{shown} is damaged ({in_words(reason)}); {self.remedy}")

    def require(self, content: mmap) -> None:
        """Raise an InputError if `content`, the mapped file, differs from the recorded checksum, if there is one."""
        if self.checksum not in (None, checksum_of_mapped(content)):
            raise self.damaged("its checksum differs")


@contextmanager
def intact(file: OwnFile) -> Iterator[Path]:
    """Yield a local path to the file's bytes after comparing their checksum; a file at a URL is copied here first."""
    if not is_url(file.path):
        _require(file, file.path)
        yield file.path
        return
    with staged() as folder:
        local = folder / file.path.name
        file.path.fs.get_file(file.path.path, str(local))
        _require(file, local)
        yield local


def is_sound(file: OwnFile) -> bool:
    """Say whether a file exists and its bytes have the recorded checksum."""
    try:
        with intact(file):
            return True
    except (FullDisk, LowLimit):  # There is no room for the copy of a file at a URL, or no memory.
        raise
    except (FileNotFoundError, InputError):
        return False


@contextmanager
def refusing(file: OwnFile) -> Iterator[None]:
    """Raise an InputError of one sentence if the block finds `file` damaged or missing.

    If the server behind a URL fails, its error passes through.
    """
    try:
        yield
    except InputError:
        raise
    except _DAMAGE as error:
        if limit := low_limit(error):
            raise limit from error
        is_of_file = isinstance(error, FileNotFoundError) or is_of_arrow(error)
        if is_url(file.path) and is_outside(error) and not is_of_file:
            raise  # The file may be whole, and the server busy or forbidding.
        raise file.damaged(error) from None


def is_of_arrow(error: Exception) -> bool:
    """Say whether an error means that Arrow cannot decode bytes, rather than that reading the bytes failed."""
    # Arrow's own errors are of this kind.
    is_plain = type(error) is OSError and not error.errno and not error.__cause__
    return is_plain or isinstance(error, pa.ArrowException)


def compared(file: OwnFile, validate: Callable[[Path], object] | None = None) -> Path:
    """Return the path of a local file to map into memory, after comparing its checksum and calling `validate`.

    Both are done once per process, and again if the file changes. InputError if the file is missing or damaged.
    """
    try:
        status = file.path.stat()
    except FileNotFoundError as error:
        raise file.damaged(error) from None
    _compare(file, validate, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return file.path


def part_files(directory: Path) -> list[Path]:
    """Return the Parquet files in a folder, sorted by name, without names that begin with . or _."""
    return [path for path in files(directory, ".parquet") if not path.name.startswith((".", "_"))]


def own_files(folder: Path, checksums: Mapping[str, str] | None, remedy: str) -> list[OwnFile]:
    """Return a folder's Parquet files with their checksums, sorted by name.

    `checksums` maps names of files to checksums. InputError if one of these files is missing, or the folder has another
    Parquet file. If `checksums` is None, all Parquet files of the folder are returned, without checksums.
    """
    path_by_name = {path.name: path for path in part_files(folder)}
    if checksums is None:
        return [OwnFile(path, None, remedy) for path in path_by_name.values()]
    missing = sorted(checksums.keys() - path_by_name.keys())
    more = sorted(path_by_name.keys() - checksums.keys())
    if missing:
        raise OwnFile(folder / missing[0], None, remedy).damaged(FileNotFoundError())
    if more:
        raise InputError(f"{folder / more[0]} does not belong to this run; delete it")
    return [OwnFile(path, checksums[name], remedy) for name, path in path_by_name.items()]


def as_written(path: Path) -> OwnFile:
    """Return a file that this command has just written, with its checksum computed now, to be read again."""
    return OwnFile(path, checksum_of(path), "run the same command again")


def written_files(folder: Path, checksums: Mapping[str, str]) -> list[OwnFile]:
    """Return the files that tasks have written into a folder, sorted by name, given their checksums."""
    return [OwnFile(folder / name, checksum, AGAIN) for name, checksum in sorted(checksums.items())]


@lru_cache(maxsize=1 << 16)
def _compare(file: OwnFile, validate: Callable[[Path], object] | None, marks: tuple[int, ...]) -> None:
    """Refuse a damaged file. `marks` (inode, size, times) are in the key of the cache, as they change with the file."""
    _require(file, file.path)
    if validate is not None:
        validate(file.path)


def _require(file: OwnFile, local: Path) -> None:
    if file.checksum is not None and checksum_of(local) != file.checksum:
        raise file.damaged("its checksum differs")


def copied(file: OwnFile, path: Path, see: Callable[[Path], object] | None = None) -> str:
    """Copy a file of this project to `path`, by a hard link if both are on one disk; return its checksum.

    `see` is called with a local path at which the file's bytes can be read.
    """
    with intact(file) as source, whole(path) as local:
        if see:
            see(source)
        try:
            os.link(source, local)
        except OSError:
            shutil.copyfile(source, local)
        return file.checksum or checksum_of(source)
