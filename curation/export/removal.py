"""Copy a finished manifest without the images that exclusion lists name, and list the removed rows.

Counts, rates and probabilities stay as the run computed them: nothing is sampled again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from hashlib import blake2b
from os import PathLike
from pathlib import Path

import pyarrow as pa

from curation.exclusion import Exclusion
from curation.export.forms import with_kept
from curation.report.facts import versions
from curation.run.finished import curated_files, open_local
from curation.run.results import Results
from curation.schemas import CURATED
from runtime.arrow.buffers import require
from runtime.storage.output_folders import new_folder
from runtime.storage.own_files import OwnFile, checksum_of, intact
from runtime.storage.parquet import batches, part_writer, row_group_rows
from runtime.storage.whole import write_json

REMOVED = pa.schema([CURATED.field("uid"), CURATED.field("url"), pa.field("why", pa.string())])
LEFT_AS_THEY_ARE = ("counts.parquet", "thresholds.json")


def remove(source: str | PathLike[str], exclusion: Exclusion, to: str | PathLike[str]) -> str:
    """Copy the manifest in `source` without excluded images to a new folder; return a sentence about it."""
    run = open_local(source)
    with new_folder(to, [run.path]) as folder:
        reasons, languages = _write_kept(curated_files(run), exclusion, folder)
        _write_facts(folder, run, _facts(run, exclusion, reasons, languages))
    return _summary(run.facts["rows"]["kept"], reasons, Path(to))


def _write_kept(files: list[OwnFile], exclusion: Exclusion, folder: Path) -> tuple[Counter[str], Counter[str]]:
    """Write the kept rows to files of the same names in curated/, and the others to removed.parquet.

    Return the numbers of the latter by reason and by language.
    """
    rows_of_group, counted, languages = row_group_rows(files), Counter[str](), Counter[str]()
    (folder / "curated").mkdir()
    with part_writer(folder / "removed.parquet", REMOVED, rows_of_group) as removals:
        for file in files:
            with part_writer(folder / "curated" / file.path.name, CURATED, rows_of_group) as kept:
                for batch in batches(file):
                    rows = require(batch, CURATED)
                    reasons = exclusion.excluded(rows)
                    kept.write(rows.filter(reasons.is_null()))
                    excluded, reasons = rows.filter(reasons.is_valid()), reasons.drop_null()
                    columns = [excluded["uid"], excluded["url"], reasons]
                    removals.write(pa.RecordBatch.from_arrays(columns, schema=REMOVED))
                    counted.update(reasons.to_pylist())
                    languages.update(excluded["language"].to_pylist())
    return counted, languages


def _write_facts(folder: Path, run: Results, facts: dict) -> None:
    """Write the files that describe the manifest, run.json last."""
    for file in map(run.file, LEFT_AS_THEY_ARE):
        if file.path.exists():
            with intact(file) as path:
                shutil.copyfile(path, folder / path.name)
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    checksums = {path.relative_to(folder).as_posix(): checksum_of(path) for path in written}
    write_json(folder / "run.json", facts | {"checksums": checksums})


def _facts(run: Results, exclusion: Exclusion, reasons: Counter[str], languages: Counter[str]) -> dict:
    """Return the content of run.json: the run's own, with the number kept now and a record of the removal."""
    facts = run.facts
    kept = Counter({code: row["kept"] for code, row in facts["languages"].items()})
    kept.subtract(languages)
    removal = {
        "from": blake2b((run.path / "run.json").read_bytes(), digest_size=16).hexdigest(),
        "exclusion": exclusion.digest,
        "removed": reasons.total(),
        "reasons": dict(sorted(reasons.items())),
        "versions": versions(),
    }
    note = (
        f"{reasons.total():,} pairs were removed after sampling; all figures but those of what is kept are those "
        "before, and so are the probabilities."
    )
    more = {"removals": [*facts.get("removals", []), removal], "notes": [*facts.get("notes", []), note]}
    return with_kept(facts, kept) | more


def _summary(before: int, removed: Counter[str], to: Path) -> str:
    reasons = ", ".join(f"{rows:,} {reason}" for reason, rows in sorted(removed.items()))
    return (
        f"removed {removed.total():,} of {before:,} pairs{f' ({reasons})' if reasons else ''}; "
        f"the others are in {to / 'curated'}, what went is in {to / 'removed.parquet'}"
    )
