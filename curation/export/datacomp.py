"""Export `datacomp`: one .npy file of uids in DataComp's subset format, each two 64-bit numbers, sorted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from curation.by_uid.join import Join, Table, images_in
from curation.by_uid.rows import RowStream
from curation.export.forms import ALL, Beside, ByCluster, Form, coarse_of
from curation.online.config import Choice
from curation.report.numbers import counted
from curation.run.finished import curated_files
from curation.run.making import Derived
from curation.run.results import Results
from curation.run.sizes import group_buckets
from runtime.arrow.uid_keys import hex_numbers
from runtime.buckets import Packer, by_bucket
from runtime.errors import AGAIN
from runtime.packed_rows import Block
from runtime.progress import counted as advanced
from runtime.shuffle import exchange
from runtime.storage.own_files import OwnFile, checksum_of, checksums_in, intact, tally
from runtime.storage.parquet import batches, part_writer, rows_of
from runtime.storage.whole import whole
from runtime.tallies import Tallies

UIDS = "uids.npy"
SUBSET = np.dtype("u8,u8")  # the first and the last 16 of a uid's 32 hexadecimal digits
HALVES = pa.schema([pa.field("first", pa.uint64()), pa.field("last", pa.uint64())])
CHOSEN = pa.schema([pa.field("uid", pa.string())])
BATCH_ROWS = 1 << 16


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
        files, beside = curated_files(run), Beside.of(folder.spark, run, (), self.clusters)
        if beside.choice:
            files = _chosen(files, folder, beside.tables, beside.choice)
        with folder.progress.stage(f"sort the uids of {counted(len(files), 'file')}"):
            pieces = sorted_pieces(folder.spark, files, folder.parts.begin("pieces"))
        with folder.progress.stage("write the uids", "pieces"):
            rows = write_subset(pieces, folder.path / UIDS)
        return f"{UIDS} with {counted(rows, 'uid')}{beside}"


def sorted_pieces(spark: SparkSession, files: Sequence[OwnFile], folder: Path) -> list[OwnFile]:
    """Sort the uids in Parquet files; return files of pairs of numbers, each of which goes on where the last one ends.

    A task holds the uids of some leading bits: a quarter of a million where they are MD5 or otherwise spread.
    """
    buckets, tasks = group_buckets(sum(map(rows_of, files)))
    send, receive = partial(_halves, buckets=buckets), partial(_sorted, buckets=buckets, folder=folder)
    return _own(folder, exchange(spark, list(files), send, receive, tasks))


def write_subset(pieces: Sequence[OwnFile], path: Path) -> int:
    """Put sorted pieces together as DataComp's subset file; return the number of uids."""
    rows = 0
    with whole(path) as local, local.open("wb") as out:
        _write_header(out, rows)  # which has as many bytes for any number of rows
        begin = out.tell()
        for piece in pieces:
            with intact(piece) as own, own.open("rb") as file:
                shutil.copyfileobj(file, out, 1 << 20)
        rows = (out.tell() - begin) // SUBSET.itemsize
        out.seek(0)
        _write_header(out, rows)
    return rows


def _chosen(files: Sequence[OwnFile], folder: Derived, tables: Sequence[Table], choice: Choice) -> list[OwnFile]:
    """Write the uids that clusters choose; return a file of them for each file."""
    chosen = folder.parts.begin("chosen")
    with folder.progress.stage(f"choose images of {counted(len(files), 'file')}"):
        join = Join(images_in(files), tables)
        write = partial(_choose, files=list(files), folder=chosen, fields=join.fields, choice=choice)
        return _own(chosen, join.write(folder.spark, write))


def _own(folder: Path, tallies: Tallies) -> list[OwnFile]:
    """Return the files that tasks wrote into a folder, by name."""
    return [OwnFile(folder / name, checksum, AGAIN) for name, checksum in checksums_in(tallies).items()]


def _choose(
    number: int, stream: RowStream, files: Sequence[OwnFile], folder: Path, fields: Sequence[pa.Field], choice: Choice
) -> Tallies:
    """Write the uids of a file that are chosen."""
    file, begin, tallies = files[number], 0, Tallies()
    path = folder / file.path.name
    with part_writer(path, CHOSEN, BATCH_ROWS) as writer:
        for batch in batches(file, BATCH_ROWS, CHOSEN.names):
            more = stream.columns(number, begin, begin := begin + batch.num_rows, fields)
            coarse = coarse_of(pa.RecordBatch.from_arrays(more, schema=pa.schema(fields)))
            writer.write(batch.filter(pa.array(choice.takes(batch["uid"], coarse))))
    tally(tallies, path, writer.checksum)
    return tallies


def _halves(file: OwnFile, tallies: Tallies, buckets: int) -> Iterator[Block]:
    """Yield the uids of a file as HALVES, by their leading bits."""
    packer = Packer(buckets)
    for batch in advanced(batches(file, BATCH_ROWS, CHOSEN.names)):
        numbers = hex_numbers(batch["uid"])
        rows = pa.RecordBatch.from_arrays([*map(pa.array, numbers.T.copy())], schema=HALVES)
        yield from packer.deal(rows, _first(rows))
    yield from packer.finish()


def _sorted(partition: int, blocks: Iterator[bytes], buckets: int, folder: Path) -> Tallies:
    """Write the uids of a partition in order."""
    path, tallies = folder / f"{partition:05d}.uids", Tallies()
    with whole(path) as local:
        with local.open("wb") as out:
            for rows in by_bucket(blocks, buckets, HALVES, _first):
                first, last = (column.to_numpy() for column in pa.Table.from_batches(rows, HALVES).columns)
                order = np.lexsort((last, first))
                np.stack([first[order], last[order]], axis=1).tofile(out)
        tally(tallies, path, checksum_of(local))
    return tallies


def _first(rows: pa.RecordBatch) -> np.ndarray:
    return rows["first"].to_numpy()


def _write_header(out: BinaryIO, rows: int) -> None:
    descr = np.lib.format.dtype_to_descr(SUBSET)
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": (rows,)})
