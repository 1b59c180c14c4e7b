"""Export `datacomp`: one .npy file of uids in DataComp's subset format, each two 64-bit numbers, sorted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from curation.export.forms import ALL, EVERYTHING, ByCluster, Form, Selection, selected
from curation.report.numbers import counted
from curation.run.derived import Derived
from curation.run.finished import curated_files
from curation.run.results import Results
from runtime.arrow.uid_keys import hex_numbers
from runtime.storage.key_parts import MOST_PARTS, in_parts
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches

UIDS = "uids.npy"
SUBSET = np.dtype("u8,u8")  # the first and the last 16 of a uid's 32 hexadecimal digits
HALVES = pa.schema([pa.field("first", pa.uint64()), pa.field("last", pa.uint64())])
BATCH_ROWS = 1 << 18  # cut into 256 parts at a time


@dataclass(frozen=True)
class DataComp(Form):
    """A file of the uids, of all images or of those of an expert."""

    clusters: ByCluster = ALL

    writes = "DataComp's file of uids"
    whole_by = UIDS

    def __post_init__(self) -> None:
        self.clusters.require_choice("datacomp")

    def write(self, run: Results, folder: Derived) -> str:
        """Write uids.npy."""
        with folder.at_once() as local, selected(run, local, self.clusters) as selection:
            rows = write_subset(curated_files(run), local / UIDS, selection)
        return f"uids.npy with {counted(rows, 'uid')}{selection}"


def write_subset(files: Iterable[OwnFile], path: Path, selection: Selection = EVERYTHING) -> int:
    """Write the uids in Parquet files as DataComp's subset file; return the number of uids.

    Memory holds the uids that begin with one byte: a 256th of them where they are MD5 or otherwise spread.
    """
    rows = 0
    with TemporaryDirectory(dir=path.parent) as work, path.open("wb") as out:
        _write_header(out, rows)  # which has as many bytes for any number of rows
        for part in in_parts(_halves(files, selection), HALVES, MOST_PARTS, Path(work), _first_byte):
            first, last = (column.to_numpy() for column in part.columns)
            order = np.lexsort((last, first))
            np.stack([first[order], last[order]], axis=1).tofile(out)
            rows += len(order)
        out.seek(0)
        _write_header(out, rows)
    return rows


def _halves(files: Iterable[OwnFile], selection: Selection) -> Iterator[pa.RecordBatch]:
    for file in files:
        for batch in batches(file, BATCH_ROWS, ["uid"]):
            numbers = hex_numbers(selection.filter(batch)["uid"])
            yield pa.RecordBatch.from_arrays([*map(pa.array, numbers.T.copy())], schema=HALVES)


def _first_byte(first: np.ndarray, parts: int) -> np.ndarray:
    return first >> np.uint64(56)


def _write_header(out: BinaryIO, rows: int) -> None:
    descr = np.lib.format.dtype_to_descr(SUBSET)
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": (rows,)})
