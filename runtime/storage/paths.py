"""Read, list, move and remove files in local folders and at URLs that fsspec opens, with one function for both.

Object stores have no folders, only common prefixes of names: no folder is made there, and a folder is moved file by
file. Writing is in `whole`.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard, TypeVar, cast

from runtime.arrow import gather
from runtime.errors import InputError, ParameterError, low_limit
from runtime.messages import shortened
from runtime.packages import load_own, missing_package, own_hooks

# The errors of these packages are errors of a network, even if they are not OSErrors.
_NETWORK = ("aiohttp", "aiobotocore", "asyncio", "botocore", "fsspec", "httpx", "s3fs")
SYSTEMS = "clip_curation.file_systems"  # the hook of this project's own file systems, by protocol
FULL = (errno.ENOSPC, errno.EDQUOT)
AT_ONCE = 16  # the requests that run at a time, each of which takes some 30 ms
_WAITING = 1024  # items, each of which takes a kilobyte while it waits for a thread
Item = TypeVar("Item")
Result = TypeVar("Result")

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    class Url(Path):
        """A UPath as a type checker sees it: a Path with three more attributes."""

        fs: AbstractFileSystem
        path: str
        protocol: str


class FullDisk(InputError):
    """A disk or a quota has no space left. The inputs are not to blame, so a command ends with another exit status."""


def as_path(path: str | os.PathLike) -> Path:
    """Return a path as a Path, and a URL as a UPath, which has the methods of a Path and is annotated as one.

    A `~` at its beginning is the user's home folder. InputError if no installed package opens such a URL.
    """
    if hasattr(type(path), "fs"):
        return cast(Path, path)
    protocol, mark, rest = str(path).partition("://")
    if isinstance(path, Path) or not mark:
        return Path(os.path.expanduser(path))
    if protocol == "file":
        return Path(rest)
    from upath import UPath  # This import is here because most runs have no URL.

    use_own_system(protocol)
    try:
        # A listing that s3fs has cached would lack files that another process has just written.
        url = UPath(f"{protocol}://{rest.rstrip('/')}", use_listings_cache=False)
        _ = url.fs  # The file system is made here, so that a URL that lacks a part is refused.
        return cast(Path, url)
    except TypeError as error:
        raise incomplete_url(str(path), error) from None
    except ValueError as error:
        raise InputError(f"{path} is not a URL that can be opened: {error}") from None
    except ImportError as error:
        raise InputError(f"{path} cannot be opened: {missing_package(str(error)) or error}") from None
    except OSError as error:  # pyarrow raises it if it does not find the library of Hadoop.
        raise InputError(f"{path} cannot be opened: {shortened(str(error))}") from None


@cache
def use_own_system(protocol: str) -> None:
    """Let fsspec open URLs of a protocol by this project's own file system, if there is one.

    InputError if a package that the file system needs is not installed, or if nothing opens such URLs.
    """
    import fsspec  # This import is here because most runs have no URL.

    last = protocol.rpartition("::")[2]  # The last protocol of a chain counts.
    if last not in {*own_hooks(SYSTEMS), *fsspec.registry, *fsspec.available_protocols()}:
        raise InputError(
            f"no installed package opens URLs that begin with {last}://; check the spelling, or install a package of "
            "fsspec for them (docs/how-to/object-storage.md)"
        )
    if protocol in own_hooks(SYSTEMS):
        try:
            fsspec.register_implementation(protocol, load_own(SYSTEMS)[protocol], clobber=True)
        except ImportError as error:
            raise InputError(f"{protocol}://: {missing_package(str(error)) or error}") from None


def is_of_plugin(url: str) -> bool:
    """Say whether a plugin's file system opens a URL: an object store from which this project only reads."""
    return url.partition("://")[0] in own_hooks(SYSTEMS)


def names_above_root(url: str) -> int:
    """Return how many names of a URL come before the name of its host, bucket or dataset."""
    return load_own(SYSTEMS)[url.partition("://")[0]].names_above_root if is_of_plugin(url) else 0


def incomplete_url(url: str, error: TypeError) -> InputError:
    """Return the error for a URL that has too little for its file system, which raised `error`: no host, for one."""
    variable = f"FSSPEC_{url.partition('://')[0].upper()}_"
    return InputError(
        f"{url} lacks what its file system needs ({error}); complete the URL, or set environment variables "
        f"{variable}NAME"
    )


def absolute(path: str | os.PathLike) -> Path:
    """Return an absolute path, which means the same to workers in other folders; a URL is returned as by `as_path`."""
    path = as_path(path)
    return path if is_url(path) else path.absolute()


def local_folder(path: str | os.PathLike, parameter: str = "output") -> Path:
    """Return the path of a folder of this machine; ParameterError if it is a URL, of whatever kind.

    >>> local_folder("s3://bucket/name")
    Traceback (most recent call last):
    runtime.errors.ParameterError: output is s3://bucket/name, a URL; pass a local folder, and copy it from there
    """
    protocol, mark, rest = str(path).partition("://")
    if mark and protocol != "file":
        raise ParameterError(f"is {path}, a URL; pass a local folder, and copy it from there", parameter)
    return Path(rest if mark else path).expanduser()


def fixed(path: str | os.PathLike) -> Path:
    """Return a path; of a URL whose name may come to mean other files, a URL that does not."""
    path = as_path(path)
    if not is_url(path) or not hasattr(path.fs, "pinned"):
        return path
    return as_path(path.fs.unstrip_protocol(path.fs.pinned(path.path)))


def is_url(path: Path) -> TypeGuard[Url]:
    """Say whether a path from `as_path` is a URL."""
    return not isinstance(path, Path)


@contextmanager
def reachable(path: str | os.PathLike) -> Iterator[None]:
    """Raise an InputError of one sentence, instead of a library's error, if a URL cannot be reached in the block.

    A FileNotFoundError passes through: nothing exists at the URL.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        is_expected = isinstance(error, ImportError) or is_outside(error)
        if not (is_expected and "://" in str(path)):
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        reason = isinstance(error, ImportError) and missing_package(text) or text
        raise InputError(
            f"{path} cannot be used ({reason}); see docs/how-to/object-storage.md on packages, credentials, endpoints"
        ) from error


def is_outside(error: BaseException) -> bool:
    """Say whether an error comes from files or networks, rather than from this program."""
    return isinstance(error, OSError) or type(error).__module__.startswith(_NETWORK)


def existing(path: str | os.PathLike) -> Path:
    """Return a local path if it exists, else the nearest folder above that does."""
    whole = Path(os.path.abspath(path))
    # exists() returns False for names that are too long.
    return next(parent for parent in (whole, *whole.parents) if os.path.exists(parent))


def no_space(folder: str | os.PathLike) -> str:
    """Return a sentence that names a full local folder and the file system that it is on."""
    system = next(parent for parent in (existing(folder), *existing(folder).parents) if parent.is_mount())
    return f"no space left in {folder}, on the file system {system}; make room and run the same command again"


@contextmanager
def room(folder: str | os.PathLike) -> Iterator[None]:
    """Raise FullDisk, which names `folder`, if the block fails because a disk or quota is full."""
    try:
        yield
    except OSError as error:
        if limit := low_limit(error):
            raise limit from error
        if is_full(error):
            raise FullDisk(no_space(folder)) from error
        raise


def is_full(error: OSError) -> bool:
    """Say whether an error means that a disk or a quota is full."""
    is_short = "requested and" in str(error)  # NumPy's message says that bytes were not written, but not why.
    return error.errno in FULL or is_short


def read_bytes(path: Path) -> bytes:
    """Return the content of a file or URL."""
    return path.fs.cat_file(path.path) if is_url(path) else path.read_bytes()


def files(folder: str | os.PathLike, ending: str = "") -> list[Path]:
    """Return the files directly in a folder whose names end with `ending`, sorted by name; [] if there is no folder."""
    listed = as_path(folder)
    return [listed / name for name, kind in sorted(_listed(listed)) if kind == "file" and name.endswith(ending)]


def names(folder: Path) -> set[str]:
    """Return the names of all files and folders directly in a folder; an empty set if there is no folder."""
    if is_url(folder):
        return {name for name, _ in _listed(folder)}
    with suppress(FileNotFoundError):  # Another run may remove the folder at this moment.
        if os.path.isdir(folder):
            return set(os.listdir(folder))
    return set()


def files_below(folder: Path, within: str = "") -> Iterator[str]:
    """Yield the paths, relative to `folder`, of all files in and below it, except files in hidden folders.

    `within` is put before each path.
    """
    for name, kind in _listed(folder):
        if kind == "file":
            yield f"{within}{name}"
        elif not name.startswith("."):
            yield from files_below(folder / name, f"{within}{name}/")


def make_folder(folder: Path) -> Path:
    """Make a local folder and its parents if they do not exist (at a URL, nothing is made); return `folder`."""
    if not is_url(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def remove_file(path: Path) -> None:
    """Remove a file that is known to be one, by one request if it is at a URL; a missing file is accepted."""
    with suppress(FileNotFoundError):
        if is_url(path):
            path.fs.rm_file(path.path)
        else:
            path.unlink()


def remove(path: Path) -> None:
    """Remove a file, or a folder and everything in it, if it exists; a link is removed, but not what it leads to."""
    if is_url(path):
        list(in_threads(path.fs.rm_file, path.fs.find(path.path)))
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        if path.is_dir():  # A listing lacked new files, which the next listing has.
            shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def move_files(paths: list[Path], folder: Path) -> None:
    """Move files to another folder of the same object store: all copies exist before the first file is removed.

    OSError if the server did not make a copy; nothing is removed then.
    """
    urls = cast("list[Url]", paths)
    target = cast("Url", folder)
    list(in_threads(lambda file: file.fs.cp_file(file.path, (target / file.name).path), urls))
    missing = sorted({file.name for file in urls} - names(target))
    if missing:  # Ceph's dbstore, for one, answers 200 to copies that it does not make.
        raise OSError(f"{target} lacks {missing[0]}, though the server answered that it copied it; nothing was removed")
    list(in_threads(lambda file: file.fs.rm_file(file.path), urls))


def _listed(folder: Path) -> list[tuple[str, str]]:
    """Return the name and type of each item in a folder, except the placeholder of a folder on an object store."""
    if not is_url(folder):
        paths = folder.iterdir() if folder.is_dir() else ()
        return [(path.name, "file" if path.is_file() else "directory") for path in paths]
    try:
        infos = folder.fs.ls(folder.path, detail=True)
    except FileNotFoundError:
        return []
    placeholder = folder.path.rstrip("/")
    names = [(info["name"].rstrip("/"), info["type"]) for info in infos]
    return [(name.rpartition("/")[2], kind) for name, kind in names if name != placeholder]


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int = AT_ONCE) -> Iterator[Result]:
    """Yield what `function` returns for each item, in the order of the items; up to `threads` calls run at once.

    >>> list(in_threads(len, ["a", "bcd"]))
    [1, 3]
    """
    with ThreadPoolExecutor(threads) as pool:
        for some in gather(items, lambda _: 1, _WAITING):
            yield from pool.map(function, some)
