"""Find the checksums that commands recorded of Parquet files which a user gives as tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from runtime.folders.folder import STAMP
from runtime.folders.stamps import stamp_of
from runtime.redaction import with_secrets
from runtime.storage.json_files import read_json
from runtime.storage.listing import names_in
from runtime.storage.paths import as_path, in_threads

FACTS = ("run.json", "clusters.json")  # in the parent folder: written by curate and by clip-cluster


_WRITTEN_BY_OTHERS = re.compile("https?://|.*://.*::", re.DOTALL)  # URLs of web servers, and files inside archives


_CHECKSUM = re.compile("[0-9a-f]{8}")


def recorded(paths: Iterable[str]) -> dict[str, str]:
    """Return the checksums of those files for which this project has recorded one, by path."""
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        if not _WRITTEN_BY_OTHERS.match(path):
            by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    return {path: checksum for folder in by_folder.items() for path, checksum in _in_folder(*folder).items()}


def stamp_name(file: str) -> str:
    """Return the name of the JSON file, in the same folder, that holds the checksum of a Parquet file.

    >>> stamp_name("0a.parquet")
    '_0a.json'
    """
    return f"_{file.rpartition('.')[0]}.json"


def _in_folder(folder: str, paths: list[str]) -> dict[str, str]:
    above, _, part = folder.rpartition("/")
    present, root = {*names_in(folder or "/")}, as_path(with_secrets(folder or "/"))
    names = {path.rpartition("/")[2]: path for path in paths}
    stamps = [root / name for name in (STAMP, *map(stamp_name, names)) if name in present]
    facts = [root.parent / name for name in names_in(above or "/") if name in FACTS]
    checksums = {name: checksum for of_file in in_threads(checksums_of, stamps) for name, checksum in of_file.items()}
    of_parts = {name: checksum for of_file in in_threads(_checksums, facts) for name, checksum in of_file.items()}
    checksums |= {name: of_parts[f"{part}/{name}"] for name in names if f"{part}/{name}" in of_parts}
    return {path: checksums[name] for name, path in names.items() if name in checksums}


def checksums_of(path: Path) -> dict[str, str]:
    """Return the checksums that a JSON file records, by file name: those of a stamp's files, or `checksums`."""
    stamp = stamp_of(read_json(path))
    return stamp.files if stamp else _checksums(path)


def _checksums(path: Path) -> dict[str, str]:
    stated = (read_json(path) or {}).get("checksums")
    sums = stated if isinstance(stated, dict) else {}
    return {name: value for name, value in sums.items() if isinstance(value, str) and _CHECKSUM.fullmatch(value)}
