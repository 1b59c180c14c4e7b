"""Find the checksums that descriptors record for Parquet files, if a user passes such files as tables."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from runtime.folders.descriptor import NAMES, name_of_descriptor
from runtime.redaction import with_secrets
from runtime.storage.json_files import read_json
from runtime.storage.listing import names_in
from runtime.storage.paths import as_path

_WRITTEN_BY_OTHERS = re.compile("https?://|.*://.*::", re.DOTALL)  # URLs of web servers, and files inside archives
_CHECKSUM = re.compile("[0-9a-f]{8}")


def recorded(paths: Iterable[str]) -> dict[str, str]:
    """Return the checksums of those files for which a descriptor has one, by path.

    The descriptor is in the file's folder or in the folder above.
    """
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        if not _WRITTEN_BY_OTHERS.match(path):
            by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    checksums: dict[str, str] = {}
    for folder, of_folder in by_folder.items():
        above, _, part = folder.rpartition("/")
        by_name = _described_in(folder)
        by_path = _described_in(above) if above != folder else {}
        for path in of_folder:
            name = path.rpartition("/")[2]
            checksum = by_name.get(name) or by_path.get(f"{part}/{name}")
            if checksum:
                checksums[path] = checksum
    return checksums


def _described_in(folder: str) -> dict[str, str]:
    """Return the checksums that a folder's descriptor lists, by path; {} if the folder has none."""
    name = name_of_descriptor({*NAMES} & {*names_in(folder or "/")})
    if name is None:
        return {}
    return _checksums_in(read_json(as_path(with_secrets(folder or "/")) / name) or {})


def _checksums_in(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the checksums in a JSON object, which another program may have written."""
    stated = content.get("checksums")
    sums = stated if isinstance(stated, dict) else {}
    return {name: value for name, value in sums.items() if isinstance(value, str) and _CHECKSUM.fullmatch(value)}
