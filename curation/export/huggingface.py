"""Write a run as a folder for Hugging Face: the manifest, its entries, the dataset card and Croissant metadata."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa

from curation.balancing.counts import EntryCounts
from curation.export.card import DATA_FOLDER, ENTRIES_FOLDER, About, card
from curation.export.croissant import CAPTION, RECORD_SETS, WITH_CAPTIONS, croissant
from curation.online.captions import Captions
from curation.runs.finished import curated_files
from curation.runs.results import Results
from curation.schemas import CURATED
from runtime.arrow.schemas import require
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile, intact
from runtime.storage.parquet import PartWriter, batches

GROUP_ROWS = 100_000  # of a file with captions


def write_folder(run: Results, folder: Path, about: About, captions: Captions | None = None) -> int:
    """Write all files of the folder; return the number of files of the manifest.

    Files of the run get a second name in it (a hard link), or are copied if it is on another disk. With `captions` they
    are written anew, with columns for them.
    """
    counts = run.path / "counts.parquet"
    if EntryCounts.open(str(counts)).digest != run.facts["made_from"]["metadata"]:
        raise InputError(f"{counts} and the run.json beside it are of two runs; curate again with --overwrite")
    files = curated_files(run)
    for name in (DATA_FOLDER, ENTRIES_FOLDER):
        (folder / name).mkdir()
    for file in files:
        if captions:
            _write_captioned(file, folder / DATA_FOLDER / file.path.name, captions)
        else:
            with intact(file) as path:
                _link(path, folder / DATA_FOLDER / path.name)
    _link(counts, folder / ENTRIES_FOLDER / "entries.parquet")
    name = about.name or run.path.resolve().name
    described = croissant(run.facts, about, name, folder, WITH_CAPTIONS if captions else RECORD_SETS)
    (folder / "croissant.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / "README.md").write_text(card(run.facts, about, name), "utf-8")
    return len(files)


def _write_captioned(file: OwnFile, path: Path, captions: Captions) -> None:
    schema = pa.schema([*CURATED, *CAPTION])
    with PartWriter(path, schema, row_group_rows=GROUP_ROWS) as writer:
        for batch in batches(file, GROUP_ROWS):
            columns = [*require(batch, CURATED).columns, *captions.values(batch["uid"]).columns]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))


def _link(file: Path, path: Path) -> None:
    try:
        os.link(file, path)
    except OSError:
        shutil.copyfile(file, path)
