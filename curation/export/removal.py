"""A finished manifest without what a list excludes, in a new folder, with a list of what went.

Counts, rates and probabilities stay those of the run: nothing is sampled again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa

from curation.exclusion.filter import Exclusion
from curation.report.facts import versions
from curation.runs.finished import batches, curated_files, open_local
from curation.runs.results import Results
from curation.schemas import CURATED, require
from runtime.errors import InputError
from runtime.storage.parquet import PartWriter, row_group_rows
from runtime.storage.whole import whole_folder, write_json

REMOVED = pa.schema([CURATED.field("uid"), CURATED.field("url"), pa.field("why", pa.string())])
LEFT_AS_THEY_ARE = ("counts.parquet", "thresholds.json")


@dataclass
class Removed:
    """How many rows went, by reason and by language."""

    reasons: Counter = field(default_factory=Counter)
    languages: Counter = field(default_factory=Counter)

    def add(self, rows: pa.RecordBatch, reasons: pa.Array) -> None:
        """Count these rows, each with its reason."""
        self.reasons.update(reasons.to_pylist())
        self.languages.update(rows["language"].to_pylist())

    @property
    def rows(self) -> int:
        """The number of all rows that went."""
        return self.reasons.total()


def remove(source, exclusion: Exclusion, to) -> str:
    """Write the manifest in folder `source` without what is excluded to the new folder `to`; return what was done."""
    run, to = open_local(source), Path(to)
    _require_free(to, run.path)
    files = curated_files(run)
    try:
        with whole_folder(to) as folder:
            removed = _write_kept(files, exclusion, folder)
            _write_facts(run, exclusion, removed, folder)
    except OSError as error:
        raise InputError(f"{to} cannot be written ({error}); give a folder on a disk with room") from None
    return _summary(run.facts["rows"]["kept"], removed, to)


def _write_kept(files: list[Path], exclusion: Exclusion, folder: Path) -> Removed:
    """Write what stays under the names that it has, and removed.parquet."""
    rows_of_group, removed = row_group_rows(files), Removed()
    (folder / "curated").mkdir()
    with PartWriter(folder / "removed.parquet", REMOVED, rows_of_group) as gone:
        for file in files:
            with PartWriter(folder / "curated" / file.name, CURATED, rows_of_group) as kept:
                for rows in batches(file):
                    _part(require(rows, CURATED), exclusion, kept, gone, removed)
    return removed


def _part(rows: pa.RecordBatch, exclusion: Exclusion, kept: PartWriter, gone: PartWriter, removed: Removed) -> None:
    reasons = exclusion.excluded(rows)
    kept.write(rows.filter(reasons.is_null()))
    left, reasons = rows.filter(reasons.is_valid()), reasons.drop_null()
    gone.write(pa.RecordBatch.from_arrays([left["uid"], left["url"], reasons], schema=REMOVED))
    removed.add(left, reasons)


def _write_facts(run: Results, exclusion: Exclusion, removed: Removed, folder: Path) -> None:
    """Write what describes the manifest, run.json last."""
    for name in LEFT_AS_THEY_ARE:
        if (run.path / name).exists():
            shutil.copyfile(run.path / name, folder / name)
    write_json(folder / "run.json", _facts(run, exclusion, removed))


def _facts(run: Results, exclusion: Exclusion, removed: Removed) -> dict:
    """Return the content of run.json: that of the run, with what is kept now and what was removed when."""
    facts = run.facts
    rows = facts["rows"] | {"kept": facts["rows"]["kept"] - removed.rows}
    languages = {
        code: row | {"kept": row["kept"] - removed.languages[code]} for code, row in facts["languages"].items()
    }
    removal = {
        "from": blake2b((run.path / "run.json").read_bytes(), digest_size=16).hexdigest(),
        "exclusion": exclusion.digest,
        "removed": removed.rows,
        "reasons": dict(sorted(removed.reasons.items())),
        "versions": versions(),
    }
    note = (
        f"{removed.rows:,} pairs were removed after sampling; all figures but those of what is kept are those "
        "before, and so are the probabilities."
    )
    more = {"removals": [*facts.get("removals", []), removal], "notes": [*facts.get("notes", []), note]}
    return facts | {"rows": rows, "languages": languages} | more


def _summary(before: int, removed: Removed, to: Path) -> str:
    reasons = ", ".join(f"{rows:,} {reason}" for reason, rows in sorted(removed.reasons.items()))
    return (
        f"removed {removed.rows:,} of {before:,} pairs{f' ({reasons})' if reasons else ''}; "
        f"the others are in {to / 'curated'}, what went is in {to / 'removed.parquet'}"
    )


def _require_free(to: Path, source: Path) -> None:
    """Refuse to write where something is, or into the run itself."""
    if "://" in str(to) or (to.exists() and not to.is_dir()):
        raise InputError(f"output {to} is no local folder; give a new one")
    if source.resolve() in to.resolve().parents:
        raise InputError(f"output {to} is in the run's own folder; give another")
    if to.is_dir() and any(to.iterdir()):
        raise InputError(f"output {to} is not empty; give a new folder")
