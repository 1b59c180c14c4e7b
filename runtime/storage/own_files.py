"""Write files and folders that get their names when they are complete; read them after comparing their checksums.

Complete means on the disk: after a power loss a file has its name and all its bytes, or no name. An interrupted run
leaves its parts, which are folders stamped with a description of their inputs. The next run reuses a part if the stamp
is the one that the run would write. An object store cannot rename folders, so a part there is complete once its stamp
exists, which is written last. The checksum of a JSON file is a member of its object that other programs may ignore.

The checksum is the CRC-32, computed at 11 to 25 GB per second. It finds damage, but does not protect from forgery.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from mmap import ACCESS_READ, MADV_DONTNEED, mmap
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
from isal import isal_zlib as zlib  # computes checksums in a quarter of zlib's time

from runtime.errors import AGAIN, InputError, LowLimit, low_limit
from runtime.redaction import hidden
from runtime.storage.paths import (
    FullDisk,
    as_path,
    files,
    is_outside,
    is_url,
    make_folder,
    move_files,
    read_bytes,
    remove,
    room,
    staged,
)

_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError)  # Arrow's errors
_PART = 1 << 24  # bytes


# What Arrow says of damaged files, and what a message says instead.
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
    """A file that this project wrote, its checksum, and what the user should do if the file is damaged."""

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
        if self.checksum not in (None, _hex(_crc(content))):
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
    except (FullDisk, LowLimit):  # no room for the copy of a file at a URL, or no memory
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
            raise  # the file may be whole, and the server busy or forbidding
        raise file.damaged(error) from None


def is_of_arrow(error: Exception) -> bool:
    """Say whether an error means that Arrow cannot decode bytes, rather than that reading the bytes failed."""
    is_plain = type(error) is OSError and not error.errno and not error.__cause__  # like Arrow's own errors
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
    missing, more = sorted(checksums.keys() - path_by_name.keys()), sorted(path_by_name.keys() - checksums.keys())
    if missing:
        raise OwnFile(folder / missing[0], None, remedy).damaged(FileNotFoundError())
    if more:
        raise InputError(f"{folder / more[0]} is no file of this run; delete it")
    return [OwnFile(path, checksums[name], remedy) for name, path in path_by_name.items()]


def checksum_of(path: Path) -> str:
    """Return the checksum of a local file: 8 hexadecimal digits."""
    with path.open("rb") as file:
        if not path.stat().st_size:  # an empty file cannot be mapped
            return _hex(0)
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            return _hex(_crc(content))


def content_digest(path: Path, hashed: Any = None) -> str:
    """Return the BLAKE2b of a file's bytes, as 32 hexadecimal digits; `hashed`, a new hash object, replaces BLAKE2b."""
    hashed = hashed or blake2b(digest_size=16)
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            hashed.update(data)
    return hashed.hexdigest()


def as_written(path: Path) -> OwnFile:
    """Return a file that this command has just written, with its checksum computed now, to be read again."""
    return OwnFile(path, checksum_of(path), "run the same command again")


def written_files(folder: Path, checksums: Mapping[str, str]) -> list[OwnFile]:
    """Return the files that tasks have written into a folder, sorted by name, given their checksums."""
    return [OwnFile(folder / name, checksum, AGAIN) for name, checksum in sorted(checksums.items())]


@lru_cache(maxsize=1 << 16)
def _compare(file: OwnFile, validate: Callable[[Path], object] | None, marks: tuple[int, ...]) -> None:
    """Refuse a damaged file. Results are cached; `marks` are inode, size and times, which change with the file."""
    _require(file, file.path)
    if validate is not None:
        validate(file.path)


def _require(file: OwnFile, local: Path) -> None:
    if file.checksum is not None and checksum_of(local) != file.checksum:
        raise file.damaged("its checksum differs")


def _crc(content: mmap) -> int:
    """Return the CRC-32 of a mapped file; memory holds one part of the file at a time."""
    checksum = 0
    with memoryview(content) as data:
        for begin in range(0, len(data), _PART):
            part = data[begin : begin + _PART]
            checksum = zlib.crc32(part, checksum)
            content.madvise(MADV_DONTNEED, begin, len(part))
    return checksum


def _hex(checksum: int) -> str:
    return f"{checksum:08x}"


MEMBER = "checksum"  # the member of a JSON object that has its checksum; a stamp of the ledger brings its own
_KIND, _DIGITS = "crc32:", 8
PARTIAL = ".partial"  # the end of the name of a file that is being written
STAMP = "_made_from.json"  # Parquet readers pass over names that begin with _
_BEGUN = re.compile(rf"\..+\.[0-9a-f]{{32}}\{PARTIAL}", re.DOTALL)  # as `whole` names it
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)  # some network file systems, for folders
EARLIER = "_earlier.json"  # the stamp of a part on an object store that is being replaced or added to


def text_of(content: Any) -> str:
    """Return `content` as the text of a JSON file; an object without a checksum gets one as its last member."""
    if isinstance(content, dict) and MEMBER not in content:
        content = content | {MEMBER: _checksum(content)}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def content_of(data: bytes) -> Any:
    """Return the content of a JSON file without its checksum; ValueError if the checksum differs or it is no JSON.

    A file without a checksum, of another program, is accepted. A file of this project does not pass as such if one byte
    of the checksum member's name, or of the kind of the checksum before its digits, is damaged.
    """
    try:
        content = json.loads(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        return content
    stated = {name: value for name, value in content.items() if _is_stated(name, str(value))}
    if stated:
        rest = {name: value for name, value in content.items() if name != MEMBER}
        if stated != {MEMBER: _checksum(rest)}:
            raise ValueError("its checksum differs")
        return rest
    return content


def _is_stated(name: str, value: str) -> bool:
    return value.startswith(_KIND) or (name == MEMBER and len(value) == len(_KIND) + _DIGITS)


def is_exact(data: bytes) -> bool:
    """Say whether the bytes of a JSON file are exactly what `text_of` makes of its content, including the checksum."""
    try:
        content = content_of(data)
    except ValueError:
        return False
    return isinstance(content, dict) and MEMBER not in content and text_of(content).encode() == data


def _checksum(content: dict) -> str:
    return f"{_KIND}{zlib.crc32(json.dumps(content).encode()):08x}"


def finished(names: set[str]) -> set[str]:
    """Return `names` without names of partial files, which are being written or were left by a killed process."""
    return {name for name in names if not _BEGUN.fullmatch(name)}


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
            f"{part} is a link, which is not followed; put the folder there, or give another output folder"
        )


@dataclass(frozen=True)
class Parts:
    """The parts of an output: complete ones in `folder`, unfinished ones in `work`, on the same disk or object store.

    A part is a folder of files, with a name. `work` belongs to one run. A part that files are added to (`reopen`) stays
    in the parent of `work`, so that the next run can go on with it.
    """

    folder: Path
    work: Path

    def begin(self, name: str) -> Path:
        """Return an empty folder for the files of a part; `finish` gives the part its name."""
        begun = self.work / name
        remove(begun)
        if not is_url(begun):
            begun.mkdir(parents=True)  # fails if something could not be removed
        return begun

    def reopen(self, name: str) -> Path:
        """Return the folder of a part to add files to; the part counts as unfinished until `finish`."""
        if is_url(self.folder):  # copying all its files would cost more than it protects
            self._take_stamp(name)
            return self.folder / name
        folder = self._reopened(name)
        require_no_link(self.folder / name)
        if (self.folder / name).exists():
            remove(folder)
            (self.folder / name).rename(folder)
        return make_folder(folder)

    def finish(self, name: str, stamp: dict | None = None) -> None:
        """Complete a part that was begun or reopened, in place of any earlier part of its name; write its `stamp`."""
        if is_url(self.folder):
            self._finish_moving(name, stamp)
            return
        begun = self.work / name if (self.work / name).exists() else self._reopened(name)
        if stamp is not None:
            write_json(begun / STAMP, stamp)
        for file in files(begun, PARTIAL):
            remove(file)  # left by a task that was killed, and done again
        old, final = self.work / f"{name}.old", self.folder / name
        remove(old)
        make_folder(old.parent)
        make_folder(final.parent)
        if final.exists():
            final.rename(old)
        begun.rename(final)
        sync(final.parent)
        remove(old)

    def stamp(self, name: str) -> dict | None:
        """Return the stamp of the part `name`, a record of its inputs; None if no complete part has that name."""
        return read_json(self.folder / name / STAMP)

    def earlier(self, name: str) -> dict | None:
        """Return the stamp of the complete part `name`, or else its stamp before `reopen`; None without either."""
        reopened = self.folder / name / EARLIER if is_url(self.folder) else self._reopened(name) / STAMP
        return self.stamp(name) or read_json(reopened)

    def _reopened(self, name: str) -> Path:
        return self.work.parent / name

    def _finish_moving(self, name: str, stamp: dict | None) -> None:
        """Finish a part on an object store, file by file; the files of a reopened part are already in their folder."""
        final, begun = self.folder / name, files(self.work / name)
        names = {file.name for file in begun or files(final)}
        missing = (stamp or {}).get("checksums", {}).keys() - names
        if missing:  # a listing may lack new files
            raise OwnFile(self.work / name / min(missing), None, AGAIN).damaged(FileNotFoundError())
        self._take_stamp(name)
        if begun:
            for file in files(final):
                if file.name not in {EARLIER, *names}:
                    remove(file)
            move_files(begun, final)
        if stamp is not None:
            write_json(final / STAMP, stamp)
        remove(final / EARLIER)

    def _take_stamp(self, name: str) -> None:
        stamp = self.stamp(name)
        if stamp is not None:
            write_json(self.folder / name / EARLIER, stamp)
            remove(self.folder / name / STAMP)


def write_text(path: Path, text: str) -> str:
    """Write a text as a complete file; return its checksum. Bytes of a path that are not UTF-8 are escaped."""
    with whole(path) as file:
        file.write_text(text, "utf-8", "backslashreplace")
        return checksum_of(file)


def write_json(path: Path, content: Any) -> str:
    """Write `content` as a complete JSON file, an object with a checksum of its content; return the file's checksum."""
    with whole(path) as file:
        file.write_text(text_of(content), encoding="utf-8")
        return checksum_of(file)


def read_json(path: Path) -> dict | None:
    """Return the object in a JSON file, without its checksum; None if the file is missing, damaged or has no object.

    OSError if the server behind a URL is busy or forbids access.
    """
    try:
        content = content_of(read_bytes(path))
    except (FileNotFoundError, ValueError):
        return None
    except OSError:
        if is_url(path):  # busy, or forbidden: not the same as missing
            raise
        return None
    return content if isinstance(content, dict) else None
