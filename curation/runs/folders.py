"""Refuse output folders that cannot be written to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import InputError
from runtime.storage.paths import is_url

READ_ONLY = ("http", "https", "memory", "data")  # the last two are not what other processes see


def usable(path: Path) -> Path:
    """Return an output folder; refuse a file, and a URL at which nothing can be written."""
    if is_url(path):
        if path.protocol in READ_ONLY or not path.path.strip("/"):
            raise InputError(
                f"output {path} cannot be written to; give a local folder, or one such as s3://bucket/name"
            )
    elif os.path.exists(path) and not path.is_dir():
        raise InputError(f"output {path} is a file; give a folder")
    return path


@contextmanager
def present(path: Path) -> Iterator[None]:
    """Refuse a URL in a bucket that does not exist."""
    try:
        yield
    except FileNotFoundError as error:
        if not is_url(path):
            raise
        raise InputError(f"output {path} cannot be made ({error}); make the bucket first") from error
