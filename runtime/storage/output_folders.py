"""Give an output folder to one run alone, and refuse one that cannot be written to or holds something else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from runtime.errors import InputError
from runtime.storage.apart import require_apart
from runtime.storage.ownership import is_free, owned
from runtime.storage.paths import as_path, is_url, reachable
from runtime.storage.whole import Parts, whole_folder

READ_ONLY = ("http", "https", "memory", "data")  # the last two are not what other processes see


@contextmanager
def usable(output: str | PathLike[str]) -> Iterator[Path]:
    """Give the path of an output folder; refuse a file, and a URL at which nothing can be written."""
    path = as_path(output)
    if is_url(path):
        if path.protocol in READ_ONLY or not path.path.strip("/"):
            raise InputError(
                f"output {path} cannot be written to; give a local folder, or one such as s3://bucket/name"
            )
    elif os.path.exists(path) and not path.is_dir():
        raise InputError(f"output {path} is a file; give a folder")
    try:
        with reachable(path):
            yield path
    except FileNotFoundError as error:
        if not is_url(path):
            raise
        raise InputError(f"output {path} cannot be made ({error}); make the bucket first") from error


@contextmanager
def claimed(output: str | PathLike[str], require: Callable[[Path], object]) -> Iterator[Parts]:
    """Give an output folder to this run alone; `require` refuses one that holds something else."""
    with usable(output) as folder:
        require(folder)  # before anything of ours is in it
        with owned(folder) as owner:
            require(folder)
            yield Parts(folder, owner.work)


@contextmanager
def new_folder(
    to: str | PathLike[str], inputs: Iterable[str | PathLike[str]], overwrite: bool | None = None
) -> Iterator[Path]:
    """Give an empty folder that becomes the local folder `to` when the block ends without an error.

    A folder that is not empty is refused, or replaced with `overwrite`, which is None where a user cannot ask for that.
    """
    path = as_path(to)
    if is_url(path) or (path.exists() and not path.is_dir()):
        raise InputError(f"output {path} is no local folder; give a new one")
    require_apart(path, inputs)
    try:
        with owned(path), whole_folder(path) as folder:
            if not (overwrite or is_free(path)):
                more = "" if overwrite is None else ", or --overwrite this"
                raise InputError(f"output {path} is not empty; give a new or empty folder{more}")
            yield folder
    except OSError as error:
        raise InputError(f"output {path} cannot be written ({error}); give a folder on a disk with room") from None
