"""Make folders into which only this user can write, and choose the folder in which Numba caches a kernel.

Numba unpickles, and so executes, the files in its cache, whoever wrote them. So only users who could also change the
code may write there. A kernel is cached in the first of these folders that is writable: NUMBA_CACHE_DIR, `__pycache__`
beside its source, the user's cache folder, Spark's local disk or the folder of temporary files. If none is, each
process compiles the kernel. A kernel is compiled again when any kernel has changed, as kernels that it inlines may be
in other files.
"""

import errno
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import IndexDataCacheFile

from runtime.errors import InputError

_OF_SPARK = re.compile(r"(spark|executor|blockmgr)-[0-9a-f-]{36}")  # folders removed when an executor or a job ends
OTHERS = stat.S_IWGRP | stat.S_IWOTH  # the rights of others to write
_REMEDY = "name another folder in NUMBA_CACHE_DIR"
_OTHER_HOME = "name another folder in XDG_CACHE_HOME"
_NAME = "clip-curation"
_KERNELS = [Path(__file__).parents[1] / package / "kernels" for package in ("curation", "metadata", "runtime")]
_config: Any = numba.config  # its attributes are made at import, so type checkers do not know them
_faults: list[str] = []  # sentences on folders that were not used because others can write there


def own_folder(folder: Path, remedy: str) -> Path:
    """Return a folder into which only this user can write, made with mode 0700 if need be; InputError for any other.

    OSError if the folder cannot be made or written to. `remedy` ends the message of the InputError.
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
    """Return this user's folder for artefacts that jobs on this machine share, and that later jobs use again.

    It is on the first of Spark's local disks; if Spark names none, in XDG_CACHE_HOME or ~/.cache; if it cannot be made
    there, among temporary files.
    """
    if not os.environ.get("SPARK_LOCAL_DIRS"):
        with suppress(OSError):
            if home := _at_home():
                return home
    return scratch_folder()


def scratch_folder() -> Path:
    """Return this user's folder for temporary files of many gigabytes, on the first of Spark's local disks.

    If Spark names no disks, the folder is among the temporary files (TMPDIR).
    """
    disk = Path(os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or tempfile.gettempdir())
    # For workers, Spark names a folder of their executor, which is below the folder that all executors here share.
    while _OF_SPARK.fullmatch(disk.name) and not disk.is_mount():
        disk = disk.parent
    folder, remedy = disk / f"{_NAME}-{os.getuid()}", "name another disk in SPARK_LOCAL_DIRS or TMPDIR"
    try:
        return own_folder(folder, remedy)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{folder} cannot be a folder ({error.strerror}); remove what is there, or {remedy}") from None


class _CheckedFile(IndexDataCacheFile):
    """Numba's cache files of a kernel, with checksums; if a file is damaged, the kernel is compiled again."""

    def _load_index(self) -> dict:
        with suppress(Exception):  # unpickling a file that is cut off may raise any error
            return super()._load_index()
        return {}

    def _load_data(self, name: str) -> Any:
        content = Path(self._data_path(name)).read_bytes()
        if _checksum(content[:-4]) != content[-4:]:
            raise OSError("its checksum differs")  # Numba treats this like a missing file
        return super()._load_data(name)

    def _dump(self, obj: object) -> bytes:
        content = super()._dump(obj)
        return content + _checksum(content)  # after the end of the pickle, where unpickling stops


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4, "little")


def cached(**options: Any) -> Callable[[Callable], Any]:
    """Return a decorator that compiles a function with these options of Numba, and caches the kernel."""
    return lambda function: _compiled(function, options)


def require_safe() -> None:
    """Raise an InputError if a folder for kernels was not used because another user owns it or can write there."""
    if _faults:
        raise InputError(_faults[0])


def _compiled(function: Callable, options: dict[str, Any]) -> Any:
    source = Path(function.__code__.co_filename).parent
    folder = _cache_for(source, _config.CACHE_DIR)
    if folder is not None:
        with suppress(RuntimeError), _numba_caching_in("" if folder == source else str(folder)):
            kernel = numba.njit(cache=True, **options)(function)
            if folder in Path(kernel.stats.cache_path).parents:  # otherwise Numba chose a folder that was not checked
                file = kernel._cache._cache_file
                file.__class__ = _CheckedFile
                file._source_stamp = (file._source_stamp, *map(_state_of, (source, *_KERNELS)))
                return kernel
    return numba.njit(**options)(function)


@cache
def _state_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return the name, modification time (in nanoseconds) and size of each Python file below a folder."""
    states = ((file, file.stat()) for file in sorted(folder.rglob("*.py")))
    return tuple((file.name, state.st_mtime_ns, state.st_size) for file, state in states)


@contextmanager
def _numba_caching_in(folder: str) -> Iterator[None]:
    """Make Numba cache in `folder` the kernels that are decorated in the block; "" is the folder of the source."""
    before = _config.CACHE_DIR, os.environ.get("XDG_CACHE_HOME")
    _set(folder, folder or before[1])  # for source in a zip, Numba uses only the second
    try:
        yield
    finally:
        _set(*before)


def _set(numbas: str, home: str | None) -> None:
    _config.CACHE_DIR = numbas
    if home is None:
        os.environ.pop("XDG_CACHE_HOME", None)
    else:
        os.environ["XDG_CACHE_HOME"] = home


@cache
def _cache_for(source: Path, given: str) -> Path | None:
    """Return the folder in which to cache kernels whose code is in `source`, perhaps `source` itself; None without one.

    `given` is NUMBA_CACHE_DIR.
    """
    try:
        for choice in (
            lambda: _given(given),
            lambda: _beside(source),
            _kernels_at_home,
            lambda: _below(scratch_folder()),
        ):
            with suppress(OSError):
                if found := choice():
                    return found
    except InputError as error:
        _faults.append(str(error))
    return None


def _given(folder: str) -> Path | None:
    return _below(own_folder(Path(folder).resolve(), _REMEDY)) if folder else None


def _beside(source: Path) -> Path | None:
    """Return `source` if its `__pycache__` can be written by this user, and by others only if they can write `source`.

    Otherwise, return None.
    """
    compiled = source / "__pycache__"
    compiled = compiled if compiled.exists() else source
    if not os.access(compiled, os.W_OK | os.X_OK):
        return None
    own, code = compiled.stat(), source.stat()
    of_others = own.st_mode & OTHERS & ~(code.st_mode if own.st_gid == code.st_gid else code.st_mode & ~stat.S_IWGRP)
    return None if of_others or own.st_uid not in (os.getuid(), code.st_uid) else source


def _at_home() -> Path | None:
    """Return this program's folder in the user's cache folder; None without a home."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    return own_folder(home / _NAME, _OTHER_HOME) if home.is_absolute() else None


def _kernels_at_home() -> Path | None:
    home = _at_home()
    return home and _below(home)


def _below(folder: Path) -> Path:
    """Return the folder `kernels` in `folder`; nobody else can enter it, whatever rights umask gives Numba's files."""
    return own_folder(folder / "kernels", _REMEDY)
