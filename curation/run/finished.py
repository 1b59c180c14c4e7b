"""The Parquet files of a finished run, checked to be complete, for what is made from them.

The figures of the run are in `results`.
"""

from __future__ import annotations

from os import PathLike

from curation.run.results import Results
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import require_rows


def open_local(path: str | PathLike[str]) -> Results:
    """Return the results in a local folder; a URL is refused."""
    if "://" in str(path):
        raise InputError(f"{path} is a URL; copy the run to a local folder first, and give that")
    return Results.open(path)


def curated_files(run: Results) -> list[OwnFile]:
    """Return the files of the manifest; refuse a manifest with other rows than the run wrote."""
    return _whole_files(run, "curated", run.facts["rows"]["kept"])


def matched_files(run: Results) -> list[OwnFile]:
    """Return the files of the matched images that were counted; refuse them if rows are missing."""
    folder, rows = run.counted
    return _whole_files(run, folder.name, rows)


def pool_files(run: Results) -> list[OwnFile]:
    """Return the files of the images that were counted; of a run without some images, which has none, its manifest."""
    return curated_files(run) if run.facts.get("removals") else matched_files(run)


def _whole_files(run: Results, part: str, rows: int) -> list[OwnFile]:
    files, folder = run.files(part), run.path / part
    if not files:
        raise InputError(f"{folder} holds no Parquet files, the run wrote {rows:,} rows; curate again with --overwrite")
    require_rows(files, rows)
    return files
