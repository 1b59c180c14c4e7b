"""Export `huggingface`: a folder with the manifest, its entries, the dataset card and Croissant metadata."""

from __future__ import annotations

import json
import os
import re
import shutil
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.balancing.counts import EntryCounts
from curation.balancing.sampling import kept_by_language
from curation.by_uid.captions import Captions
from curation.export.card import card, croissant
from curation.export.forms import (
    ALL,
    EVERYTHING,
    ByCluster,
    Form,
    Selection,
    captioned,
    lack,
    of_clusters,
    selected,
    with_kept,
)
from curation.report.numbers import counted
from curation.run.derived import Derived
from curation.run.finished import curated_files
from curation.run.results import Results
from curation.schemas import CURATED
from runtime.arrow.buffers import require
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile, intact
from runtime.storage.parquet import batches, part_writer

GROUP_ROWS = 100_000  # of a file that is written anew
CAPTION = (
    pa.field("caption", pa.string()),
    pa.field("caption_score", pa.float64()),
    pa.field("caption_source", pa.string()),
)
CLUSTER = (pa.field("coarse", pa.int32()), pa.field("fine", pa.int32()))


@dataclass(frozen=True)
class HuggingFace(Form):
    """The manifest with its entries, its publisher's statements, and columns of captions and clusters.

    What is None is not stated.
    """

    dataset_name: str | None = None
    license: str | None = None  # of the manifest: texts and images belong to their authors
    dataset_version: str | None = None
    date: str | None = None  # of publication
    cite: str | None = None
    captions: Sequence[str | Path] = ()
    clusters: ByCluster = ALL

    writes = "a folder for Hugging Face with data, card and Croissant"
    whole_by = "README.md"
    elsewhere = "{flags} would be said on a dataset card; --format {form} writes none"

    def __post_init__(self) -> None:
        if self.date is not None and not _is_date(self.date):
            raise InputError(f"the date is {self.date!r}; give one such as 2026-11-25")

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add the flags for the publisher's statements."""
        group = parser.add_argument_group("the dataset card, for huggingface; what is not given is left out")
        group.add_argument("--dataset-name", metavar="NAME", help="name of the dataset (default: that of RUN)")
        group.add_argument("--license", metavar="ID", help="licence of the manifest, such as cc-by-4.0")
        group.add_argument("--dataset-version", metavar="VERSION", help="such as 1.0.0")
        group.add_argument("--date", metavar="YYYY-MM-DD", help="date of publication")
        group.add_argument("--cite", metavar="TEXT", help="how to cite the dataset")

    def write(self, run: Results, folder: Derived) -> str:
        """Write the files of the folder."""
        with (
            folder.at_once() as local,
            captioned(run, local, self.captions) as found,
            selected(run, local, self.clusters) as selection,
        ):
            files = self._write(run, local, Rows(found.captions if found else None, selection))
        captions = f" with captions ({lack(found)})" if found else ""
        return f"README.md, croissant.json, the entries and {counted(files, 'file')} of data{captions}{selection}"

    def _write(self, run: Results, folder: Path, rows: Rows) -> int:
        """Write all files; return the number of files of the manifest.

        Files of the run get a second name (a hard link), or are copied if the folder is on another disk. With columns
        beside them, or if some rows are left out, they are written anew.
        """
        counts = run.path / "counts.parquet"
        if EntryCounts.open(str(counts)).digest != run.facts["made_from"]["metadata"]:
            raise InputError(f"{counts} and the run.json beside it are of two runs; curate again with --overwrite")
        files = curated_files(run)
        for name in ("data", "entries"):
            (folder / name).mkdir()
        kept: Counter[str] = Counter()
        for file in files:
            if rows.columns:
                kept += _write_rows(file, folder / "data" / file.path.name, rows)
            else:
                with intact(file) as path:
                    _link(path, folder / "data" / path.name)
        _link(counts, folder / "entries" / "entries.parquet")
        name, facts = self.dataset_name or run.path.resolve().name, rows.facts(run, kept)
        described = croissant(facts, self, name, folder, rows.columns)
        (folder / "croissant.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", "utf-8")
        (folder / "README.md").write_text(card(facts, self, name, rows.columns), "utf-8")
        return len(files)


@dataclass(frozen=True)
class Rows:
    """The rows of the manifest that are written, and the columns added to them."""

    captions: Captions | None = None
    selection: Selection = EVERYTHING

    @property
    def columns(self) -> list[pa.Field]:
        """The columns added to those of the manifest."""
        return [*(CAPTION if self.captions else ()), *(CLUSTER if self.selection.found else ())]

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows to write for a CURATED batch."""
        batch = self.selection.filter(require(batch, CURATED))
        columns = list(batch.columns)
        if self.captions:
            columns += self.captions.of(batch["uid"]).columns
        if self.selection.found:
            columns += self.selection.found.clusters.of(batch["uid"], [field.name for field in CLUSTER]).columns
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema([*CURATED, *self.columns]))

    def facts(self, run: Results, kept: Counter[str]) -> dict[str, Any]:
        """Return the content of run.json with the numbers of written rows as kept, by language."""
        if self.selection.expert is None:
            return run.facts
        return with_kept(run.facts, kept) | {"part": of_clusters(self.selection.expert)}


def _write_rows(file: OwnFile, path: Path, rows: Rows) -> Counter[str]:
    """Write the rows of one file; return the number of rows of each language."""
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


def _is_date(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False
