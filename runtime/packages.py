"""Name the pip command for missing optional packages, and versions; load plug-ins by entry point; read CSV tables.

A hook (a group of entry points) has parts of this project and parts of other installed packages.
"""

import csv
import errno
import platform
import re
import shlex
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from importlib.resources import files
from importlib.util import find_spec
from inspect import signature
from typing import Any

from runtime import hook_providers
from runtime.errors import InputError

PROJECT = "clip-curation"
UPLOADS = "clip_curation.uploads"  # the hook of modules that upload what commands have written

try:
    __version__ = version(PROJECT)
except PackageNotFoundError:  # run from a checkout
    __version__ = "0"

FASTTEXT = "fasttext-predict" if sys.version_info < (3, 14) else "fasttext-predict-v2"  # as in setup.cfg
LIBRARIES = ("numpy", "numba", "pyarrow", "pyspark", "pyahocorasick", FASTTEXT, "fastwarc", "clip-curation")


def missing_package(text: str) -> str | None:
    """Return a sentence with the pip command for the text of an ImportError; None if it names no optional package.

    >>> missing_package("No module named 'gcsfs'")
    'gcsfs is not installed: pip install gcsfs'
    """
    for package, extra in _EXTRAS.items():
        if re.search(rf"\b{package}\b", text):
            return missing(package, extra)
    return None


def missing(package: str, extra: str) -> str:
    """Return a sentence with the pip command for a package, or for the project's `extra` that brings the package.

    >>> missing("PIL", "images")
    "PIL is not installed: pip install 'clip-curation[images]'"
    """
    return f"{package} is not installed: pip install {shlex.quote(f'{PROJECT}[{extra}]' if extra else package)}"


def require_packages(packages: Iterable[str], extra: str | None = None) -> None:
    """Raise an InputError if one of these packages is not installed.

    `extra` is the project's extra that brings all of them, if it is not the package's usual one.
    """
    for package in packages:
        if find_spec(package) is None:
            raise InputError(missing(package, extra or _EXTRAS.get(package, "")))


@dataclass(frozen=True)
class Hook:
    """An object on a hook, before it is imported. If it is another package's, errors name that package."""

    point: EntryPoint
    is_own: bool

    def __str__(self) -> str:
        package = self.point.dist.name if self.point.dist else self.point.module
        return f"the package {package} has {self.point.value} as {self.point.name} in {self.point.group}"

    def load(self, fits: Callable[[Any], bool], expected: str) -> Any:
        """Import and return the object; InputError if another package's cannot be imported or does not fit.

        `expected` describes, for the error, an object that fits.
        """
        if self.is_own:
            return self.point.load()
        try:
            loaded = self.point.load()
        except Exception as error:  # Importing another package may raise any error.
            raise InputError(f"{self}, which cannot be imported ({error!r}); fix or uninstall the package") from error
        return self._require(loaded, fits, expected)

    def find(self, options: Any, fits: Callable[[Any], bool], expected: str) -> Any | None:
        """Call the object, a function, with the options, and return its result: None, or an object that fits."""
        function = self.load(_takes_one, "a function of the options")
        try:
            result = function(options)
        except Exception as error:  # Another package may raise any error.
            if self.is_own or isinstance(error, InputError):
                raise
            raise InputError(f"{self}, which failed ({error!r}); fix or uninstall the package") from error
        return self._require(result, lambda made: made is None or fits(made), f"a function that returns {expected}")

    def _require(self, loaded: Any, fits: Callable[[Any], bool], expected: str) -> Any:
        if not (self.is_own or fits(loaded)):
            got = type(loaded).__name__
            raise InputError(f"{self}: expected {expected}, but got {got}; fix or uninstall the package")
        return loaded


def hooks(group: str, taken: Container[str] = ()) -> dict[str, Hook]:
    """Return the objects on the hook `group` by name: this project's in the order of HOOKS, then others by name.

    The tables of `provide_hooks` locate this project's objects, as `module:object`; other packages declare theirs as
    entry points of the group. InputError if another package uses a name of this project or a name in `taken`.
    """
    hook_by_name = {name: Hook(EntryPoint(name, where, group), is_own=True) for name, where in own_hooks(group).items()}
    for other in sorted(entry_points(group=group), key=lambda point: point.name):
        if other.name in hook_by_name or other.name in taken:
            raise InputError(f"{Hook(other, is_own=False)}, but this name is already taken; uninstall the package")
        hook_by_name[other.name] = Hook(other, is_own=False)
    return hook_by_name


@contextmanager
def named_in_errors(group: str, name: str) -> Iterator[None]:
    """Raise an InputError that names an object on a hook, if it is another package's and fails in the block.

    Errors of the engine and full disks pass through: the part is not to blame for them.
    """
    try:
        yield
    except (InputError, ConnectionError, BrokenExecutor):
        raise
    except Exception as error:
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if name in own_hooks(group) or is_full or type(error).__module__.startswith("pyspark"):
            raise
        raise InputError(
            f"{name}, a part of another package (in {group}), failed ({type(error).__name__}: {error}); fix or "
            "uninstall that package, or run without its part"
        ) from error


def usable_hooks(
    hooks: Mapping[str, Hook], fits: Callable[[Any], bool], expected: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the objects of hooks by name, and a sentence for each that cannot be used, by name."""
    loaded, faults = {}, {}
    for name, hook in hooks.items():
        try:
            loaded[name] = hook.load(fits, expected)
        except InputError as error:
            faults[name] = str(error)
    return loaded, faults


def has(*names: str) -> Callable[[Any], bool]:
    """Return a function that says whether an object has these methods."""
    return lambda instance: all(callable(getattr(instance, name, None)) for name in names)


def own_hooks(group: str) -> dict[str, str]:
    """Return the location, as `module:object`, of each of this project's objects on a hook, by name."""
    hooks_of_group: dict[str, str] = {}
    for module in sorted(hook_providers):
        hooks_of_group |= import_module(module).HOOKS.get(group, {})
    return hooks_of_group


def load_own(group: str) -> dict[str, Any]:
    """Import and return this project's objects on a hook, by name."""
    return {name: EntryPoint(name, where, group).load() for name, where in own_hooks(group).items()}


def _takes_one(function: Any) -> bool:
    try:
        signature(function).bind(None)
    except (TypeError, ValueError):  # The hook is not a function, or it is a built-in one.
        return False
    return True


def table_rows(package: str, table: str) -> list[dict[str, str]]:
    """Return the rows, as dictionaries, of a CSV file of this project; `table` is its path in the package."""
    return [*csv.DictReader(files(package).joinpath(table).read_text("utf-8").splitlines())]


def has_table(package: str, table: str) -> bool:
    """Return whether a package of this project has a CSV file of this name."""
    return files(package).joinpath(table).is_file()


# Package -> the extra of this project that brings the package; empty: the package is installed by its name.
_EXTRAS = {row["package"]: row["extra"] for row in table_rows("runtime", "extras.csv")}


def versions(more: Iterable[str] = ()) -> dict[str, str | None]:
    """Return the versions of Python and of the packages that affect results, by name; None if not installed.

    `more` has the names of further packages.
    """
    return {"python": platform.python_version()} | {name: _version(name) for name in (*LIBRARIES, *more)}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
