"""List the files of a path, folder, glob or URL with their versions, and refuse a changed file or a wrong folder.

Any file system that fsspec opens can be listed. A local name is taken literally, even if fsspec would read it as a
chain of file systems.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from glob import has_magic
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar, cast

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from runtime.errors import InputError, require_utf8, unusable
from runtime.messages import listed
from runtime.packages import missing_package
from runtime.redaction import hidden, with_secrets
from runtime.storage.json_files import read_json
from runtime.storage.paths import incomplete_url, is_of_plugin, is_url, names, use_own_system
from runtime.storage.remote import AHEAD, Reading, RemoteFile, may_pass, persist
from runtime.storage.whole import WORK

for _system in known_implementations.values():  # fsspec's sentences name no extra of this project
    if _sentence := missing_package(_system.get("err", "")):
        _system["err"] = _sentence

Info = dict[str, Any]  # what a file system of fsspec returns about one file
# Opening a FIFO waits for a writer, perhaps for ever, and a device may never end.
KINDS = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
BROKEN_LINK, FOLDER_LINK = "broken link", "link to a folder"

log = logging.getLogger(__name__)


class HasPath(Protocol):
    """Anything that is found at a path."""

    @property
    def path(self) -> str:
        """The path or URL at which it is found."""


Named = TypeVar("Named", bound=HasPath)

LOOKS = 5  # the most tries to list or look up a path: a wrong host name should not take minutes
OBJECT_STORES = ("http://", "https://", "s3://", "s3a://", "gs://", "gcs://", "abfs://", "abfss://", "az://")

RUN, METADATA = "run.json", "metadata.json"
DESCRIPTOR = "_folder.json"  # the descriptor of other folders; readers of Parquet pass over names that begin with _
CLAIM = "claim.json"  # in the hidden folder WORK of a folder that a command has begun to make
FOLDERS = {  # files that only one kind of folder has → that kind
    RUN: "a run of clip-curate or clip-remove",
    METADATA: "metadata of clip-metadata",
    "clusters.json": "clusters of clip-cluster",
    "index.json": "an export, or an index of tars",
}
NAMES_SHOWN = 3  # names that `described` lists if it does not know the kind of a folder


@dataclass(frozen=True)
class ListedFiles:
    """The files that a path stands for, and files passed over; `is_file`: it names one file, not a folder or glob."""

    files: list[tuple[str, Version]]
    is_file: bool
    hidden: list[str] = field(default_factory=list)  # paths of the hidden files that were passed over
    folders: list[str] = field(default_factory=list)  # paths of the folders that were listed
    passed_over: dict[str, str] = field(default_factory=dict)  # path → kind, of all that are not regular files

    @property
    def paths(self) -> list[str]:
        """The paths of the files: absolute ones, or URLs."""
        return [path for path, _ in self.files]


class ListedFile:
    """A listed file, which is refused if its version is no longer `version`; `retries` counts tries that failed."""

    def __init__(self, path: str, version: Version | None = None):
        self.path = path
        self.retries = 0
        self._version = version or Version()
        self._system, self._inner = system_of(path)

    def open(self, reading: Reading = AHEAD) -> BinaryIO:
        """Return the file, opened to read bytes; InputError if it has changed or vanished since it was listed."""
        size = self.check()
        if isinstance(self._system, LocalFileSystem):
            try:
                return open(self._inner, "rb")
            except PermissionError as error:
                remedy = "change its permissions, or leave it out"
                raise PermissionError(f"you have no permission to read {self.path}; {remedy}") from error
            except OSError as error:
                raise OSError(f"{self.path} cannot be opened: {error}") from error
        return cast(BinaryIO, RemoteFile(self.path, self._begin, size, self._failed, reading))

    def check(self) -> int | None:
        """Return the file's size in bytes, None if unknown; InputError if the file has changed or vanished."""
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
        uncached = {"cache_type": "none"} if self.path.startswith(OBJECT_STORES) or is_of_plugin(self.path) else {}
        return self._system.open(self._inner, "rb", **uncached)

    def _look(self) -> Version:
        self._system.invalidate_cache(self._inner)  # A cached listing may be out of date.
        return version_of(self._system, self._system.info(self._inner))

    def _failed(self) -> None:
        self.retries += 1


def expand(path: str, deep: bool = True) -> ListedFiles | None:
    """Return what a file, folder, glob or URL stands for: its files and their versions; None if nothing is there.

    A folder, also one that a glob matches, stands for all files below it, or if `deep` is false for the files directly
    in it. Hidden files count only if the path names them. Only regular files count: anything else is refused with an
    InputError if `path` names it, and passed over with a warning in a folder.
    """
    contents = _contents(path, deep)
    if contents is not None:
        _warn_of(contents.passed_over, path)
    return contents


def listed_versions(paths: Iterable[str | os.PathLike[str]]) -> list[list[str]]:
    """Return the path, without secrets, and the version of each file that `paths` name, as texts for a digest.

    A path that names no file, or that cannot be looked up, adds nothing: whoever reads it raises that error.
    """
    found: list[list[str]] = []
    for path in paths:
        with suppress(OSError, ImportError, ValueError):
            contents = _contents(str(path))
            files = contents.files if contents else []
            found += [[hidden(name), repr(version)] for name, version in files]
    return found


def _contents(path: str, deep: bool = True) -> ListedFiles | None:
    require_utf8(path)
    system, inner = system_of(path)
    listed = persist(path, lambda: _infos(system, inner, deep), lambda: None, LOOKS)
    if listed is None:
        return None
    for info in listed.infos:
        require_utf8(info["name"])
    odd = [info["name"] for info in listed.infos if isinstance(system, LocalFileSystem) and info["type"] != "file"]
    kinds = {name: kind for name in odd if (kind := other_kind(name))}
    infos = [info for info in listed.infos if info["name"] not in kinds]
    files = [(_full_path(system, info["name"], path), version_of(system, info)) for info in infos]
    unseen = [_full_path(system, name, path) for name in listed.hidden]
    folders = [_full_path(system, name, path) for name in listed.folders]
    return ListedFiles(files, listed.is_file, unseen, folders, kinds)


@contextmanager
def looking_up(path: str) -> Iterator[None]:
    """Raise an InputError of one sentence if looking up `path` fails in the block."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ImportError, ValueError) as error:
        raise unusable(hidden(path), "cannot be looked up", str(error)) from error


def files_at(path: str, expected: str, deep: bool = True) -> ListedFiles:
    """Return what a path stands for, as `expand` does; InputError, which says what is expected, for nothing."""
    with looking_up(path):
        contents = expand(path, deep)
    if contents is None:
        raise InputError(f"{hidden(path)} does not exist; expected {expected}")
    return contents


def names_in(folder: str) -> list[str]:
    """Return the names directly in a folder, hidden or not; [] if the folder does not exist or may not be read."""

    def look() -> list[str]:
        with suppress(NotADirectoryError):
            return system.ls(inner, detail=False)
        return []

    try:
        system, inner = system_of(folder)
        paths = persist(folder, look, lambda: None, LOOKS)
    except (FileNotFoundError, PermissionError):
        return []
    return [name.rstrip("/").rpartition("/")[2] for name in paths]


def name_of(path: str) -> str:
    """Return a path in lower case, and a URL without its query, so that its ending tells the format of the file.

    >>> name_of("https://example.org/A.Parquet?signature=x.csv"), name_of("A?.CSV")
    ('https://example.org/a.parquet', 'a?.csv')
    """
    return without_query(path).lower()


def without_query(path: str) -> str:
    """Return a URL without its query; any other path is returned unchanged."""
    return path.partition("?")[0] if "://" in path else path


def system_of(path: str) -> tuple[AbstractFileSystem, str]:
    """Return the fsspec file system of a path, and the path's name in it.

    If names of the file system may come to mean other files, the name is one that does not.
    """
    if "://" not in path:  # fsspec.core.url_to_fs would split a name at `::`.
        return fsspec.filesystem("file"), os.path.abspath(os.path.expanduser(path))
    use_own_system(path.partition("://")[0])
    try:
        system, inner = fsspec.core.url_to_fs(with_secrets(path))
    except TypeError as error:
        raise incomplete_url(hidden(path), error) from None
    if hasattr(system, "pinned"):
        return system, system.pinned(inner)
    return (_asked_once(system) if "s3" in type(system).protocol else system), inner


def _asked_once(system: AbstractFileSystem) -> AbstractFileSystem:
    """Return an S3 file system without retries of its own: `persist` retries, and each try would be 25 requests."""
    config = {"retries": {"total_max_attempts": 1}, **(system.storage_options.get("config_kwargs") or {})}
    without_retries = type(system)(*system.storage_args, **{**system.storage_options, "config_kwargs": config})
    without_retries.retries = 1
    return without_retries


@dataclass
class _Listed:
    """The files, hidden files and folders that a path stands for.

    Each has the name that fsspec's file system gives it: bucket/key for S3, the whole URL for HTTP.
    """

    infos: list[Info]
    is_file: bool = False
    hidden: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def _infos(system: AbstractFileSystem, inner: str, deep: bool) -> _Listed | None:
    """Return information on a file, on the files of a folder, or on the matches of a glob; None if there are none."""
    file = _file_info(system, inner)
    if file:
        return _Listed([file], is_file=True)
    if system.isdir(inner):
        return _in_folder(system, inner, deep)
    if not has_magic(inner):
        return None
    listed = _Listed([])
    for name, info in system.glob(inner, detail=True).items():
        if not _is_hidden(name.rpartition("/")[2]):
            part = _in_folder(system, name, deep) if info["type"] == "directory" else _Listed([info])
            listed.infos += part.infos
            listed.hidden += part.hidden
            listed.folders += part.folders
    return listed if listed.infos else None


def _file_info(system: AbstractFileSystem, inner: str) -> Info | None:
    """Return information on a file; None for a folder or if nothing exists; InputError if it is a special file.

    `isfile` is not used, as it returns False for a remote file system that is busy.
    """
    if isinstance(system, LocalFileSystem) and (not os.path.lexists(inner) or system.isdir(inner)):
        return None
    if isinstance(system, LocalFileSystem) and (kind := other_kind(inner)):
        raise InputError(f"{inner} is a {kind}; expected a regular file, a folder or a glob")
    try:
        info = system.info(inner)
    except FileNotFoundError as error:
        if may_pass(error):
            raise
        return None
    return info if info["type"] == "file" else None


def _warn_of(kinds: dict[str, str], path: str) -> None:
    """Warn of names in `path` that are passed over because they are not regular files; `kinds` maps name to kind."""
    if kinds:
        counts = ", ".join(f"{number} {kind}{'s' * (number > 1)}" for kind, number in Counter(kinds.values()).items())
        log.warning("passed over in %s, as no regular files: %s, the first %s", hidden(path), counts, min(kinds))


def _in_folder(system: AbstractFileSystem, folder: str, deep: bool) -> _Listed:
    """Return information on the files in a folder, with `deep` also below it, and only the names of hidden files."""
    infos = system.find(folder, maxdepth=None if deep else 1, detail=True)
    below = len(folder.rstrip("/"))
    hidden = {name: None for name in infos if _is_hidden(name[below:].lstrip("/"))}
    return _Listed([infos[name] for name in infos if name not in hidden], hidden=[*hidden], folders=[folder])


def _is_hidden(path: str) -> bool:
    """Say whether Spark and Hadoop hide a file: its name, or the name of one of its folders, begins with . or _."""
    return re.search(r"(^|/)[._]", path) is not None


def _full_path(system: AbstractFileSystem, name: str, path: str) -> str:
    """Return the absolute path or URL, without secrets, of the file `name` in `system`.

    `path` is the path, folder or glob by which the file was found.
    """
    if isinstance(system, LocalFileSystem):
        return name
    link, mark, rest = path.partition("::")  # A link may be zip://member::archive.zip.
    # For fsspec 2025.9, all of HTTP has the protocol of the first URL that was opened.
    url = name if "://" in name else system.unstrip_protocol(name)
    return hidden(url + (mark + rest if "://" in link else ""))


@dataclass(frozen=True)
class Version:
    """The properties that tell one content of a file from another; None for each that the file system does not state.

    A changed file may have the same size and modification time: `touch -r` and unpacked archives set times. The change
    time of the inode (ctime) cannot be set, and a file that replaces another has another inode. But ctime and inode
    also change when no byte does: by chmod, a new hard link, cp -a, rsync, a restored backup, or a mount that makes up
    inodes. So only the driver uses them, to recognise an input of an earlier run; at worst that input is read again in
    vain. They are never a reason to refuse a file: on another machine the same file of a network file system may have
    other values.
    """

    size: int | None = None
    modified: int | None = None  # nanoseconds since 1970
    etag: str | None = None
    changed: int | None = None  # ctime of the inode, nanoseconds since 1970: only of local files
    inode: int | None = None  # only of local files
    checksum: str | None = None  # of all bytes, if a command of this project has recorded it

    def difference(self, now: Version) -> str | None:
        """Return how `now` differs from this version, in words; None if nothing that is compared differs.

        Ctime and inode are not compared, as they may differ from machine to machine. The modification time is compared
        only if an ETag is missing, as listings round times differently.
        """
        if None not in (self.size, now.size) and self.size != now.size:
            return f"it had {self.size:,} bytes and has {now.size:,}"
        if None not in (self.etag, now.etag):
            return None if self.etag == now.etag else f"its ETag was {self.etag} and is {now.etag}"
        if self.modified is not None and now.modified is not None and self.modified != now.modified:
            return f"it was of {_shown(self.modified)} and is of {_shown(now.modified)}"
        return None


def version_of(system: AbstractFileSystem, info: Info) -> Version:
    """Return the version of a file: from `os.stat` if it is local, else only from `info`."""
    if isinstance(system, LocalFileSystem):
        status = os.stat(info["name"])
        return Version(status.st_size, status.st_mtime_ns, changed=status.st_ctime_ns, inode=status.st_ino)
    return Version(info["size"], _modified(info), info.get("ETag") or info.get("etag"))


def _modified(info: Info) -> int | None:
    """Return the modification time in nanoseconds, or None; file systems have five names and three types for it."""
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


def each_once(paths: Iterable[str], found: Callable[[str], Iterable[Named]]) -> dict[str, Named]:
    """Return what is `found` at each path, by its own path; log a warning if paths have something in common."""
    by_path: dict[str, Named] = {}
    repeated: dict[str, str] = {}  # a file that is found again → the path at which it is found again
    for path in paths:
        here = {each.path: each for each in found(path)}
        repeated |= dict.fromkeys(here.keys() & by_path.keys(), path)
        by_path |= here
    for file, path in sorted(repeated.items())[:1]:
        are = f"and {len(repeated) - 1:,} more are" if len(repeated) > 1 else "is"
        log.warning("%s %s given twice, the second time by %s; each is read once", hidden(file), are, hidden(path))
    return by_path


def other_kind(path: str) -> str | None:
    """Return the kind of a local path, such as "FIFO" or "broken link"; None if it is, or leads to, a regular file."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) and os.path.islink(path):
            return BROKEN_LINK
        raise
    if stat.S_ISDIR(mode):
        return FOLDER_LINK
    return None if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "special file")


def described(path: Path) -> str:
    """Return words that follow a path in a message: `is empty`, `holds clusters of clip-cluster (clusters.json)`."""
    content = names(path)
    if DESCRIPTOR in content:
        stated = read_json(path / DESCRIPTOR) or {}
        return f"holds {stated.get('kind', 'files')} of {stated.get('command', 'this project')} ({DESCRIPTOR})"
    for name, kind in FOLDERS.items():
        if name in content:
            return f"holds {kind} ({name})"
    if content == {WORK} or CLAIM in names(path / WORK):
        return "holds what a command has begun and not finished (run that command again)"
    if "matched" in content:
        return f"holds a run of clip-curate that is not finished: {RUN} is missing (run the same command again)"
    if RUN in names(path.parent):
        return f"is a part of the run in {path.parent}"
    if content:
        return f"holds {listed(sorted(content), NAMES_SHOWN)}"
    if is_url(path) or not os.path.lexists(path):
        return "does not exist"
    return "is empty" if path.is_dir() else "is a file"
