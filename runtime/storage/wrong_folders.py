"""Say what a folder is that is given instead of one of another kind."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from runtime.storage.locks import WORK
from runtime.storage.paths import is_url, names

RUN, METADATA = "run.json", "metadata.json"
KINDS = {  # the file that is in a folder of each kind
    RUN: "a run of clip-curate or clip-remove",
    METADATA: "metadata of clip-metadata",
    "clusters.json": "clusters of clip-cluster",
    "_hashes.json": "hashes of clip-hash",
    "_scores.json": "scores of clip-score",
    "alignment.json": "figures of clip-align",
    "retry.json": "an export of the format retry",
    "croissant.json": "an export of the format huggingface",
    "index.json": "an export, or an index of tars",
}
SHOWN = 3  # names in a folder of no known kind


def described(path: Path) -> str:
    """Return what a path is, as words behind it: `is empty`, `holds clusters of clip-cluster (clusters.json)`."""
    found = names(path)
    for name, kind in KINDS.items():
        if name in found:
            return f"holds {kind} ({name})"
    if found == {WORK} or RUN in names(path / WORK):
        return "holds what a command has begun and not finished (run that command again)"
    if RUN in names(path.parent):
        return f"is a part of the run in {path.parent}"
    if found:
        return f"holds {_listed(sorted(found))}"
    if is_url(path) or not os.path.lexists(path):
        return "does not exist"
    return "is empty" if path.is_dir() else "is a file"


def _listed(found: Iterable[str]) -> str:
    first = [*found]
    more = f" and {len(first) - SHOWN:,} more" if len(first) > SHOWN else ""
    return ", ".join(first[:SHOWN]) + more
