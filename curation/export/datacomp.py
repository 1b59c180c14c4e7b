"""The form `datacomp`, DataComp's subset file: the uids of a subset as pairs of 64-bit numbers, sorted, in one .npy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curation.export.forms import ALL, EVERYTHING, ByCluster, Form, Selection, selected
from curation.report.numbers import counted
from curation.run.finished import curated_files
from curation.run.results import Results
from runtime.arrow.uid_keys import hex_keys, save_sorted
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches

SUBSET = np.dtype("u8,u8")  # the first and the last 16 of a uid's 32 hexadecimal digits


@dataclass(frozen=True)
class DataComp(Form):
    """A file of the uids, of all images or of those of an expert."""

    clusters: ByCluster = ALL

    writes = "DataComp's file of uids"

    def __post_init__(self) -> None:
        self.clusters.require_choice("datacomp")

    def write(self, run: Results, folder: Path) -> str:
        """Write uids.npy."""
        with selected(run, folder, self.clusters) as selection:
            rows = write_subset(curated_files(run), folder / "uids.npy", selection)
        return f"uids.npy with {counted(rows, 'uid')}{selection}"


def write_subset(files: Iterable[OwnFile], path: Path, selection: Selection = EVERYTHING) -> int:
    """Write the uids in Parquet files as DataComp's subset file; return the number of uids."""
    uids = (selection.filter(batch)["uid"] for file in files for batch in batches(file, columns=["uid"]))
    return save_sorted(map(hex_keys, uids), path, _pairs)


def _pairs(keys: np.ndarray) -> np.ndarray:
    return keys.view(">u8").astype("u8").view(SUBSET)
