"""Make folders into which only this user can write, and choose the folder in which Numba caches a kernel.

Numba unpickles, and so executes, the files in its cache, whoever wrote them. So only users who could also change the
code may write there. A kernel is cached in the first of these folders that is writable: NUMBA_CACHE_DIR, `__pycache__`
beside its source, the user's cache folder, Spark's local disk or the folder of temporary files. If none is, each
process compiles the kernel. A kernel is compiled again when the source of any kernel has changed, as kernels that it
inlines may be in other files. Kernels that a wheel brings compiled, in COMPILED, are looked for first; nothing is
written there.
"""

import errno
import hashlib
import os
import platform
import re
import stat
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba.core.caching import IndexDataCacheFile

from runtime.errors import InputError

# Spark removes folders with these names when an executor or a job ends.
_OF_SPARK = re.compile(r"(spark|executor|blockmgr)-[0-9a-f-]{36}")
OTHERS = stat.S_IWGRP | stat.S_IWOTH  # the rights of others to write
_REMEDY = "name another folder in NUMBA_CACHE_DIR"
_OTHER_HOME = "name another folder in XDG_CACHE_HOME"
_NAME = "clip-curation"
_ROOT = Path(__file__).parents[1]
_KERNELS = [_ROOT / package / "kernels" for package in ("curation", "runtime")]
COMPILED = Path(__file__).with_name("compiled")  # in a wheel: one folder for each folder of sources; tools/pack_kernels
# The kind of processor for which a wheel's kernels are compiled, and what a processor of that kind has at least: x86-64
# from 2013 on. With what all x86-64 has, keys of URLs (MD5) take 1.2 times the processor time.
COMPILED_FOR, _FEATURES = (
    ("x86-64-v3", ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"))
    if platform.machine() in ("x86_64", "AMD64")
    else ("generic", ())
)
_config: Any = numba.config  # its attributes are made at import, so type checkers do not know them
_faults: list[str] = []  # sentences on folders that were not used because others can write there


def private_folder(folder: Path, remedy: str) -> Path:
    """Return a folder into which only this user can write, made with mode 0700 if need be; InputError for any other.

    OSError if the folder cannot be made or written to. `remedy` ends the message of the InputError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid():
        raise InputError(f"{folder} belongs to someone else; remove it, or {remedy}")
    if status.st_mode & OTHERS:
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
    folder = disk / f"{_NAME}-{os.getuid()}"
    remedy = "name another disk in SPARK_LOCAL_DIRS or TMPDIR"
    try:
        return private_folder(folder, remedy)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{folder} cannot be a folder ({error.strerror}); remove what is there, or {remedy}") from None


class _CheckedFile(IndexDataCacheFile):
    """Numba's cache files of a kernel, with checksums; if a file is damaged, the kernel is compiled again."""

    compiled: "_CheckedFile | None" = None  # the files of the kernel in the wheel

    def load(self, key: tuple) -> Any:
        """Return the compiled kernel of a key of Numba; None if there is none from these sources and versions."""
        if self.compiled and not _config.BOUNDSCHECK:
            signature, (triple, *_), code = key
            if kernel := self.compiled.load((signature, (triple, COMPILED_FOR, ""), code)):
                return kernel
        return super().load(key)

    def _load_index(self) -> dict:
        with suppress(Exception):  # Unpickling a file that is cut off may raise any error.
            return super()._load_index()
        return {}

    def _load_data(self, name: str) -> Any:
        content = Path(self._data_path(name)).read_bytes()
        if _checksum(content[:-4]) != content[-4:]:
            raise OSError("its checksum differs")  # Numba treats this like a missing file.
        return super()._load_data(name)

    def _dump(self, obj: object) -> bytes:
        content = super()._dump(obj)
        return content + _checksum(content)  # Unpickling stops before the checksum.


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4, "little")


def cached(**options: Any) -> Callable[[Callable], Any]:
    """Return a decorator that compiles a function with these options of Numba, and caches the kernel."""
    return lambda function: _compiled(function, options)


def processor() -> str:
    """Return the name of the processor for which kernels are compiled."""
    return _config.CPU_NAME or llvmlite.binding.get_host_cpu_name()


def require_safe() -> None:
    """Raise an InputError if kernels are not compiled, or if a folder for them is another user's, or open to others."""
    if _config.DISABLE_JIT:
        raise InputError("NUMBA_DISABLE_JIT is set, so kernels would take days instead of minutes; unset this variable")
    if _faults:
        raise InputError(_faults[0])


def _compiled(function: Callable, options: dict[str, Any]) -> Any:
    if _config.DISABLE_JIT:
        return function
    source = Path(function.__code__.co_filename).parent
    folder = _cache_for(source, _config.CACHE_DIR)
    if folder is not None:
        with suppress(RuntimeError), _numba_caching_in("" if folder == source else str(folder)):
            kernel = numba.njit(cache=True, **options)(function)
            if folder in Path(kernel.stats.cache_path).parents:  # Otherwise Numba chose a folder that was not checked.
                _check(kernel._cache, source)
                return kernel
    return numba.njit(**options)(function)


def _check(numbas: Any, source: Path) -> None:
    """Make Numba's cache of a kernel check its files, and look among the kernels that the wheel brings first."""
    stamp = (llvmlite.__version__, sys.implementation.cache_tag, *map(_digest_of, (source, *_KERNELS)))
    file = numbas._cache_file = _CheckedFile(numbas.cache_path, numbas._impl.filename_base, stamp)
    if brings_compiled() and source.is_relative_to(_ROOT):
        folder = COMPILED / source.relative_to(_ROOT)
        file.compiled = _CheckedFile(str(folder), numbas._impl.filename_base, stamp)


@cache
def brings_compiled() -> bool:
    """Say whether the wheel of this program brings compiled kernels that this processor can run."""
    features: dict[str, bool] = llvmlite.binding.get_host_cpu_features() if COMPILED.is_dir() and _FEATURES else {}
    return COMPILED.is_dir() and all(features.get(name) for name in _FEATURES)


@cache
def _digest_of(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of all Python files below a folder."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@contextmanager
def _numba_caching_in(folder: str) -> Iterator[None]:
    """Make Numba cache in `folder` the kernels that are decorated in the block; "" is the folder of the source."""
    numbas_before = _config.CACHE_DIR
    home_before = os.environ.get("XDG_CACHE_HOME")
    _set(folder, folder or home_before)  # For source in a zip, Numba uses only the second.
    try:
        yield
    finally:
        _set(numbas_before, home_before)


def _set(numbas: str, home: str | None) -> None:
    _config.CACHE_DIR = numbas
    if home is None:
        os.environ.pop("XDG_CACHE_HOME", None)
    else:
        os.environ["XDG_CACHE_HOME"] = home


@cache
def _cache_for(source: Path, setting: str) -> Path | None:
    """Return the folder in which to cache kernels whose code is in `source`, perhaps `source` itself; None without one.

    `setting` is NUMBA_CACHE_DIR.
    """
    try:
        for choice in (
            lambda: _chosen(setting),
            lambda: _beside(source),
            lambda: (home := _at_home()) and _below(home),
            lambda: _below(scratch_folder()),
        ):
            with suppress(OSError):
                if folder := choice():
                    return folder
    except InputError as error:
        _faults.append(str(error))
    return None


def _chosen(folder: str) -> Path | None:
    return _below(private_folder(Path(folder).resolve(), _REMEDY)) if folder else None


def _beside(source: Path) -> Path | None:
    """Return `source` if its `__pycache__` can be written by this user, and by others only if they can write `source`.

    Otherwise, return None.
    """
    compiled = source / "__pycache__"
    compiled = compiled if compiled.exists() else source
    if not os.access(compiled, os.W_OK | os.X_OK):
        return None
    cache = compiled.stat()
    code = source.stat()
    of_others = (
        cache.st_mode & OTHERS & ~(code.st_mode if cache.st_gid == code.st_gid else code.st_mode & ~stat.S_IWGRP)
    )
    return None if of_others or cache.st_uid not in (os.getuid(), code.st_uid) else source


def _at_home() -> Path | None:
    """Return this program's folder in the user's cache folder; None without a home."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if not home.is_absolute():
        return None
    folder = home / _NAME
    if folder.is_symlink() and folder.lstat().st_uid == os.getuid():  # The user may have linked it to a larger disk.
        folder = folder.resolve()
    return private_folder(folder, _OTHER_HOME)


def _below(folder: Path) -> Path:
    """Return the folder `kernels` in `folder`; nobody else can enter it, whatever rights umask gives Numba's files."""
    return private_folder(folder / "kernels", _REMEDY)
