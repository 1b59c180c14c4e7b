"""Write a run as a folder for Hugging Face: the manifest, its entries, the dataset card and Croissant metadata."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.balancing.counts import EntryCounts
from curation.balancing.sampling import kept_by_language
from curation.by_uid.captions import Captions
from curation.export.card import DATA_FOLDER, ENTRIES_FOLDER, About, card
from curation.export.croissant import BESIDE_COLUMNS, CAPTION, CLUSTER, croissant, with_columns
from curation.export.experts import EVERYTHING, Selection, of_clusters
from curation.run.finished import curated_files
from curation.run.results import Results
from curation.schemas import CURATED
from runtime.arrow.buffers import require
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile, intact
from runtime.storage.parquet import batches, part_writer

GROUP_ROWS = 100_000  # of a file that is written anew


@dataclass(frozen=True)
class Rows:
    """The rows of the manifest that are written, and what stands beside them."""

    captions: Captions | None = None
    selection: Selection = EVERYTHING

    @property
    def columns(self) -> list[pa.Field]:
        """The columns beside those of the manifest."""
        return [*(CAPTION if self.captions else ()), *(CLUSTER if self.selection.found else ())]

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return what is written of a CURATED batch."""
        batch = self.selection.filter(require(batch, CURATED))
        columns = list(batch.columns)
        if self.captions:
            columns += self.captions.of(batch["uid"]).columns
        if self.selection.found:
            clusters = self.selection.found.clusters.of(batch["uid"])
            columns += [clusters[field.name] for field in CLUSTER]
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema([*CURATED, *self.columns]))

    def facts(self, run: Results, kept: Counter[str]) -> dict[str, Any]:
        """Return the content of run.json with what is written as kept, by language."""
        if self.selection.expert is None:
            return run.facts
        languages = {code: row | {"kept": kept[code]} for code, row in run.facts["languages"].items()}
        rows = run.facts["rows"] | {"kept": kept.total()}
        return run.facts | {"rows": rows, "languages": languages, "part": of_clusters(self.selection.expert)}


ALL_ROWS = Rows()


def write_folder(run: Results, folder: Path, about: About, rows: Rows = ALL_ROWS) -> int:
    """Write all files of the folder; return the number of files of the manifest.

    Files of the run get a second name in it (a hard link), or are copied if it is on another disk. With columns beside
    them, or if some rows are left out, they are written anew.
    """
    counts = run.path / "counts.parquet"
    if EntryCounts.open(str(counts)).digest != run.facts["made_from"]["metadata"]:
        raise InputError(f"{counts} and the run.json beside it are of two runs; curate again with --overwrite")
    files = curated_files(run)
    for name in (DATA_FOLDER, ENTRIES_FOLDER):
        (folder / name).mkdir()
    kept: Counter[str] = Counter()
    for file in files:
        if rows.columns:
            kept += _write_rows(file, folder / DATA_FOLDER / file.path.name, rows)
        else:
            with intact(file) as path:
                _link(path, folder / DATA_FOLDER / path.name)
    _link(counts, folder / ENTRIES_FOLDER / "entries.parquet")
    name = about.dataset_name or run.path.resolve().name
    facts, more = rows.facts(run, kept), [(field.name, BESIDE_COLUMNS[field.name]) for field in rows.columns]
    described = croissant(facts, about, name, folder, with_columns(rows.columns))
    (folder / "croissant.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / "README.md").write_text(card(facts, about, name, more), "utf-8")
    return len(files)


def _write_rows(file: OwnFile, path: Path, rows: Rows) -> Counter[str]:
    """Write what is written of a file; return the number of rows of each language."""
    kept: Counter[str] = Counter()
    with part_writer(path, pa.schema([*CURATED, *rows.columns]), row_group_rows=GROUP_ROWS) as writer:
        for batch in map(rows.of, batches(file, GROUP_ROWS)):
            writer.write(batch)
            kept.update({row["language"]: row["kept"] for row in kept_by_language(batch).to_pylist()})
    return kept


def _link(file: Path, path: Path) -> None:
    try:
        os.link(file, path)
    except OSError:
        shutil.copyfile(file, path)
