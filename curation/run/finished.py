"""Find the Parquet files of a finished run, and refuse them if rows are missing; compare the images that two runs kept.

The numbers of a run are in `results`.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from curation.run.results import Results
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import require_rows


def curated_files(run: Results) -> list[OwnFile]:
    """Return the files of the manifest; refuse a manifest with other rows than the run wrote."""
    return _whole_files(run, "curated", run.facts["rows"]["kept"])


def matched_files(run: Results) -> list[OwnFile]:
    """Return the files of the matched images that were counted; refuse them if rows are missing."""
    folder, rows = run.counted
    return _whole_files(run, folder.name, rows)


def pool_files(run: Results) -> list[OwnFile]:
    """Return the files of the counted images; if images were removed from the run, those of its manifest."""
    return curated_files(run) if run.facts.get("removals") else matched_files(run)


def overlap(one: Results, other: Results, share: float = 1.0) -> pa.Table:
    """Return how many images `only_one`, `both` and `only_other` kept, by language; with a `share`, of a sample."""
    left = one.kept(share).select(["uid", "language"]).rename_columns(["uid", "left"])
    right = other.kept(share).select(["uid", "language"]).rename_columns(["uid", "right"])
    joined = left.join(right, "uid", join_type="full outer")
    in_one, in_other = pc.is_valid(joined["left"]), pc.is_valid(joined["right"])
    columns = {
        "language": pc.coalesce(joined["left"], joined["right"]),
        "only_one": pc.and_not(in_one, in_other),
        "both": pc.and_(in_one, in_other),
        "only_other": pc.and_not(in_other, in_one),
    }
    names = ["only_one", "both", "only_other"]
    sums = pa.table(columns).group_by("language").aggregate([(name, "sum") for name in names])
    return sums.select(["language", *(f"{name}_sum" for name in names)]).rename_columns(["language", *names])


def _whole_files(run: Results, part: str, rows: int) -> list[OwnFile]:
    files, folder = run.files(part), run.path / part
    if not files:
        raise InputError(f"{folder} holds no Parquet files, the run wrote {rows:,} rows; curate again with --overwrite")
    require_rows(files, rows)
    return files
