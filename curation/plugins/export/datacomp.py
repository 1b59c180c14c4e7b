"""Export `datacomp`: one .npy file of uids in DataComp's subset format, each uid as two 64-bit numbers, sorted."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from curation.plugins.annotations.clusters import CLUSTER, Choice
from curation.plugins.export.formats import ALL, Beside, ByCluster, Form, chosen
from curation.plugins.joins.uid_join import Join, images_in
from curation.run.finished_run import FinishedRun, curated_files
from runtime.arrow import hex_numbers
from runtime.buckets import group_buckets
from runtime.cogroup import Grouping, Rows, RowStream, Side, cogroup
from runtime.engine import Engine
from runtime.folders.folder import Folder
from runtime.progress import advancing
from runtime.storage.checksums import checksum_of
from runtime.storage.own_files import OwnFile, intact, written_files
from runtime.storage.parquet import batches, row_count, write_rows
from runtime.storage.whole import whole
from runtime.tallies import Tallies, TaskResult
from runtime.wording import counted

UIDS = "uids.npy"
SUBSET = np.dtype("u8,u8")  # the first and the last 16 of a uid's 32 hexadecimal digits
HALVES = pa.schema([pa.field("first", pa.uint64()), pa.field("last", pa.uint64())])
CHOSEN = pa.schema([pa.field("uid", pa.string())])
BATCH_ROWS = 1 << 16


@dataclass(frozen=True)
class DataComp(Form):
    """The export format `datacomp`: a file of uids of all images, or of chosen clusters."""

    clusters: ByCluster = ALL

    writes = "DataComp's subset file, which lists uids"

    def __post_init__(self) -> None:
        self.clusters.require_choice("datacomp")

    def write(self, run: FinishedRun, folder: Folder) -> str:
        """Write uids.npy for a run's manifest; return a description of the result."""
        files = curated_files(run)
        beside = Beside.of(folder.engine, run, (), self.clusters)
        if beside.choice:
            files = _chosen(files, folder, beside)
        with folder.progress.stage(f"sort the uids of {counted(len(files), 'file')}"):
            pieces = sorted_pieces(folder.engine, files, folder.parts.begin("pieces"))
        with folder.progress.stage("write the uids", "pieces"):
            rows = write_subset(pieces, folder.path / UIDS)
        return f"{UIDS} with {counted(rows, 'uid')}{beside}"


def sorted_pieces(engine: Engine, files: Sequence[OwnFile], folder: Path) -> list[OwnFile]:
    """Sort the uids in Parquet files; return files of pairs of numbers, which are sorted if read one after another.

    A task sorts the uids that begin with certain bits: a quarter of a million uids if they are as random as MD5s.
    """
    rows = sum(map(row_count, files))
    sorting = Grouping(HALVES, _first, _write_uids, *group_buckets(rows), more=(folder,))
    return written_files(folder, cogroup(engine, [Side(files, _read_uids, rows)], sorting).files)


def _read_uids(_: int, file: OwnFile, tallies: Tallies) -> Rows:
    """Yield the uids in a file as pairs of numbers."""
    for batch in advancing(batches(file, BATCH_ROWS, CHOSEN.names)):
        numbers = hex_numbers(batch["uid"])
        yield pa.RecordBatch.from_arrays([*map(pa.array, numbers.T.copy())], schema=HALVES)


def _write_uids(task: int, buckets: Iterator[Rows], result: TaskResult, folder: Path) -> None:
    """Write the uids of a task to one file, sorted."""
    path = folder / f"{task:05d}.uids"
    with whole(path) as local:
        with local.open("wb") as out:
            for rows in buckets:
                table = pa.Table.from_batches(rows, HALVES)
                first, last = (column.to_numpy() for column in table.columns)
                order = np.lexsort((last, first))
                np.stack([first[order], last[order]], axis=1).tofile(out)
        result.files[path.name] = checksum_of(local)


def write_subset(pieces: Sequence[OwnFile], path: Path) -> int:
    """Concatenate sorted pieces into DataComp's subset file; return the number of uids."""
    rows = 0
    with whole(path) as local, local.open("wb") as out:
        _write_header(out, rows)  # The header has the same size for any number of rows.
        begin = out.tell()
        for piece in pieces:
            with intact(piece) as checked, checked.open("rb") as file:
                shutil.copyfileobj(file, out, 1 << 20)
        rows = (out.tell() - begin) // SUBSET.itemsize
        out.seek(0)
        _write_header(out, rows)
    return rows


def _chosen(files: Sequence[OwnFile], folder: Folder, beside: Beside) -> list[OwnFile]:
    """Write the uids of the images that `beside.choice` takes; return one file of uids for each of `files`."""
    to = folder.parts.begin("chosen")
    with folder.progress.stage(f"choose images of {counted(len(files), 'file')}"):
        join = Join(images_in(files), beside.tables)
        return written_files(to, join.write(folder.engine, _write_chosen, list(files), to, beside.choice).files)


def _write_chosen(
    number: int, stream: RowStream, files: Sequence[OwnFile], folder: Path, choice: Choice | None
) -> TaskResult:
    """Write the uids of the file `number` that `choice` takes; `stream` has the cluster of each image."""
    file = files[number]
    joined = pa.schema([*CHOSEN, *CLUSTER])
    rows = (
        chosen(pa.RecordBatch.from_arrays([batch["uid"], *columns], schema=joined), batch["uid"], choice)
        for batch, columns in stream.beside(number, batches(file, BATCH_ROWS, CHOSEN.names), CLUSTER)
    )
    return write_rows(folder / file.path.name, CHOSEN, BATCH_ROWS, (batch.select(CHOSEN.names) for batch in rows))


def _first(rows: pa.RecordBatch) -> np.ndarray:
    return rows["first"].to_numpy()


def _write_header(out: BinaryIO, rows: int) -> None:
    descr = np.lib.format.dtype_to_descr(SUBSET)
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": (rows,)})
