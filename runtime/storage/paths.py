"""Read, list, move and remove files in local folders and at URLs that fsspec opens, with one function for both.

Object stores have no folders, only common prefixes of names: no folder is made there, and one is moved file by file.
Writing is in `whole`.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard, TypeVar, cast

from upath import UPath

from runtime.arrow import gather
from runtime.errors import InputError
from runtime.packages import missing_package

_NETWORK = ("aiohttp", "aiobotocore", "asyncio", "botocore", "fsspec", "s3fs")  # their errors need not be OSErrors
FULL = (errno.ENOSPC, errno.EDQUOT)
NO_SPACE, MAKE_ROOM = "no space left in", "make room and run the same command again"
AT_ONCE = 16  # requests: each takes some 30 ms
_WAITING = 1024  # items, each of which takes a kilobyte while it waits for a thread


Item = TypeVar("Item")
Result = TypeVar("Result")

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    class Url(Path):
        """A UPath to a type checker: it has the methods of a Path, and these."""

        fs: AbstractFileSystem
        path: str
        protocol: str


class FullDisk(InputError):
    """A disk, or a share of it, has no space left: nothing is wrong with what was given, so the status is another."""


def as_path(path: str | os.PathLike) -> Path:
    """Return a path as a Path, and a URL as a UPath, which has the same methods and is annotated as a Path."""
    if isinstance(path, Path | UPath):
        return path
    protocol, mark, rest = str(path).partition("://")
    if not mark or protocol == "file":
        return Path(rest if mark else path)
    try:
        # A listing that s3fs remembers would not show what another process wrote a moment ago.
        return cast(Path, UPath(f"{protocol}://{rest.rstrip('/')}", use_listings_cache=False))
    except ValueError as error:
        raise InputError(f"{path} is no URL that can be opened: {error}") from None
    except ImportError as error:
        raise InputError(f"{path} cannot be opened: {missing_package(str(error)) or error}") from None


def absolute(path: str | os.PathLike) -> Path:
    """Return a path that means the same to workers, which run in other folders; a URL as `as_path` does."""
    path = as_path(path)
    return path if is_url(path) else path.absolute()


def is_url(path: Path) -> TypeGuard[Url]:
    """Say whether a path is a URL."""
    return not isinstance(path, Path)


@contextmanager
def reachable(path: str | os.PathLike) -> Iterator[None]:
    """Refuse a URL that cannot be reached, in a sentence instead of a library's error.

    That nothing exists at a URL is still a FileNotFoundError.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        known = isinstance(error, ImportError) or is_outside(error)
        if not (known and "://" in str(path)):
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        reason = isinstance(error, ImportError) and missing_package(text) or text
        raise InputError(
            f"{path} cannot be used ({reason}); see docs/how-to/object-storage.md on packages, credentials, endpoints"
        ) from error


def is_outside(error: BaseException) -> bool:
    """Say whether an error is of files or networks, rather than of this program."""
    return isinstance(error, OSError) or type(error).__module__.startswith(_NETWORK)


@contextmanager
def room(folder: str | os.PathLike) -> Iterator[None]:
    """Say which folder has no space left, where a block ends for that reason."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise FullDisk(f"{NO_SPACE} {folder}; {MAKE_ROOM}") from error
        raise


@contextmanager
def staged() -> Iterator[Path]:
    """Yield an empty folder of this process's own for whole files on their way to or from a URL; it goes at the end.

    It is on the disk of Spark's local folders: files of a run may be larger than what temporary files have room for.
    """
    from runtime.caches import cache_folder  # here, as it brings Numba along, which commands start without

    with room(cache := cache_folder()), tempfile.TemporaryDirectory(prefix="staged-", dir=cache) as folder:
        yield Path(folder)


def is_full(error: OSError) -> bool:
    """Say whether a disk, or someone's share of it, is full."""
    is_short = "requested and" in str(error)  # NumPy says that bytes could not be written, and not why
    return error.errno in FULL or is_short


def read_bytes(path: Path) -> bytes:
    """Return the content of a file."""
    return path.fs.cat_file(path.path) if is_url(path) else path.read_bytes()


def files(folder: str | os.PathLike, ending: str = "") -> list[Path]:
    """Return the files directly in a folder whose names end with `ending`, in order; none where there is no folder."""
    listed = as_path(folder)
    if is_url(listed):
        found = [name for name, kind in _listed(listed) if kind == "file"]
    else:
        found = [path.name for path in listed.iterdir() if path.is_file()] if listed.is_dir() else []
    return [listed / name for name in sorted(found) if name.endswith(ending)]


def names(folder: Path) -> set[str]:
    """Return the names of all files and folders in a folder; none where there is no folder."""
    if is_url(folder):
        return {name for name, _ in _listed(folder)}
    with suppress(FileNotFoundError):  # where another run removes the folder at that moment
        if os.path.isdir(folder):
            return set(os.listdir(folder))
    return set()


def files_below(folder: Path, within: str = "") -> Iterator[str]:
    """Yield the paths, within a folder, of the files in and below it, but for those in hidden folders."""
    present = {path.name for path in files(folder)}
    yield from (f"{within}{name}" for name in present)
    for name in names(folder) - present:
        if not name.startswith("."):
            yield from files_below(folder / name, f"{within}{name}/")


def make_folder(folder: Path) -> Path:
    """Make a folder with those it is in, where there are folders; return it."""
    if not is_url(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def remove(path: Path) -> None:
    """Remove a file, or a folder with all in it, if it exists; of a link the link alone."""
    if is_url(path):
        list(in_threads(path.fs.rm_file, path.fs.find(path.path)))
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        if path.is_dir():  # a listing was late: what it lacked is in the next one
            shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def move_files(found: list[Path], folder: Path) -> None:
    """Move files on one object store to another folder of it: all copies exist before the first file is removed."""
    urls, target = cast("list[Url]", found), cast("Url", folder)
    list(in_threads(lambda file: file.fs.cp_file(file.path, (target / file.name).path), urls))
    missing = sorted({file.name for file in urls} - names(target))
    if missing:  # Ceph's dbstore, for one, answers 200 to copies that it does not make
        raise OSError(f"{target} lacks {missing[0]}, though the server answered that it copied it; nothing was removed")
    list(in_threads(lambda file: file.fs.rm_file(file.path), urls))


def _listed(folder: Url) -> list[tuple[str, str]]:
    """Return name and type of all that a folder on an object store holds, without the folder's own placeholder."""
    try:
        found = folder.fs.ls(folder.path, detail=True)
    except FileNotFoundError:
        return []
    own = folder.path.rstrip("/")
    names = [(each["name"].rstrip("/"), each["type"]) for each in found]
    return [(name.rpartition("/")[2], kind) for name, kind in names if name != own]


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int = AT_ONCE) -> Iterator[Result]:
    """Yield what a function returns for each item, in their order: several are asked for at once.

    >>> list(in_threads(len, ["a", "bcd"]))
    [1, 3]
    """
    with ThreadPoolExecutor(threads) as pool:
        for some in gather(items, lambda _: 1, _WAITING):
            yield from pool.map(function, some)
