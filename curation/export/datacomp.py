"""Write DataComp's subset file: the uids of a subset as pairs of 64-bit numbers, sorted, in one .npy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from curation.export.experts import EVERYTHING, Selection
from runtime.arrow.uid_keys import hex_keys, save_sorted
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches

SUBSET = np.dtype("u8,u8")  # the first and the last 16 of a uid's 32 hexadecimal digits


def write_subset(files: Iterable[OwnFile], path: Path, selection: Selection = EVERYTHING) -> int:
    """Write the uids in Parquet files as DataComp's subset file; return the number of uids."""
    uids = (selection.filter(batch)["uid"] for file in files for batch in batches(file, columns=["uid"]))
    return save_sorted(map(hex_keys, uids), path, _pairs)


def _pairs(keys: np.ndarray) -> np.ndarray:
    return keys.view(">u8").astype("u8").view(SUBSET)
