"""Join images of a run to the samples of tars by uid, for more of both than memory holds.

Memory holds one number for each uid of the tars; the images, with any columns, are read once. An image whose number
agrees is written to a file for its shard. Then whole uids are compared: no answer rests on a number being unique.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.schemas import CANDIDATE
from curation.tars.samples import SAMPLES
from runtime.draws import draws
from runtime.errors import InputError
from runtime.storage.arrays import open_arrow
from runtime.storage.own_files import OwnFile, as_written

BUCKETS = 256  # files at most, each of neighbouring shards; memory holds one file at a time

# Training needs no pages: an index has none.
CANDIDATES = pa.field("candidates", pa.list_(pa.struct([field for field in CANDIDATE if field.name != "page_url"])))
# Of an image that may be the sample in `row` of `shard`, because their numbers agree; its own columns come behind.
FOUND = (pa.field("shard", pa.int32()), pa.field("row", pa.int32()))
# One row per sample that has a matched image, with what training needs of both.
ROWS = SAMPLES.append(CANDIDATES)


@dataclass(frozen=True, eq=False)
class TarUids:
    """The shard and row of each uid of all tars, in the order of a number drawn for the uid."""

    numbers: np.ndarray  # ascending
    shards: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, uids_of_shards: Iterable[pa.Array]) -> "TarUids":
        """Return the uids of all shards, given in the order of shards."""
        drawn = [draws(0, "place", uids) for uids in uids_of_shards]
        sizes = [len(each) for each in drawn]
        shards = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        rows = np.concatenate([np.empty(0, np.int32), *(np.arange(size, dtype=np.int32) for size in sizes)])
        numbers = np.concatenate([np.empty(0), *drawn])
        order = np.argsort(numbers, kind="stable")
        return cls(numbers[order], shards[order], rows[order])

    def find(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return FOUND and the image's columns for each sample that an image may be: none, one, or several."""
        sought = draws(0, "place", batch.column("uid"))
        first = np.searchsorted(self.numbers, sought)
        number = np.searchsorted(self.numbers, sought, "right") - first
        image = np.repeat(np.arange(len(sought)), number)
        found = np.arange(len(image)) + np.repeat(first - np.cumsum(number) + number, number)
        columns = [self.shards[found], self.rows[found], *batch.take(pa.array(image)).columns]
        return pa.RecordBatch.from_arrays(columns, schema=found_of(batch.schema))


def found_of(images: pa.Schema) -> pa.Schema:
    """Return FOUND with the columns of images behind it."""
    return pa.schema([*FOUND, *images])


def join(
    images: Iterable[pa.RecordBatch], columns: pa.Schema, uids: TarUids, shards: int, work: Path
) -> Iterator[tuple[int, pa.Table]]:
    """Yield each shard's number and its found rows, in the order of shards; `work` is a folder for temporary files.

    `columns` are those of the images, with `uid` among them.
    """
    buckets = min(BUCKETS, shards)
    first_of_bucket = [bucket * shards // buckets for bucket in range(buckets + 1)]
    paths = [work / f"found{bucket}.arrow" for bucket in range(buckets)]
    with ExitStack() as stack:
        files = [stack.enter_context(pa.ipc.new_file(str(path), found_of(columns))) for path in paths]
        for batch in images:
            _write_found(uids.find(batch), first_of_bucket, files)
    for bucket, file in enumerate([as_written(path) for path in paths]):
        yield from _found_of(file, range(*first_of_bucket[bucket : bucket + 2]))
        file.path.unlink()


def _write_found(found: pa.RecordBatch, first_of_bucket: list[int], files: list[pa.RecordBatchFileWriter]) -> None:
    """Append found rows to the files of their shards."""
    found = found.take(pc.sort_indices(found.column("shard")))
    ends = np.searchsorted(found.column("shard").to_numpy(), first_of_bucket)
    for bucket in np.flatnonzero(np.diff(ends)):
        files[bucket].write_batch(found.slice(ends[bucket], ends[bucket + 1] - ends[bucket]))


def _found_of(file: OwnFile, shards: range) -> Iterator[tuple[int, pa.Table]]:
    """Yield each shard's number and its found rows, sorted, from the file of these shards."""
    found = open_arrow(file).read_all()
    found = found.sort_by([("shard", "ascending"), ("row", "ascending")])
    ends = np.searchsorted(found.column("shard").to_numpy(), [*shards, shards.stop])
    for i, shard in enumerate(shards):
        yield shard, found.slice(ends[i], ends[i + 1] - ends[i])


def joined(samples: pa.RecordBatch, found: pa.Table) -> pa.Table:
    """Return the samples of one shard that have an image, in their order, with the other columns of the image."""
    same = pc.equal(pc.take(samples.column("uid"), found.column("row")), found.column("uid"))
    found = found.filter(same)
    rows = found.column("row").to_numpy()
    repeated = rows[1:][np.diff(rows) == 0]
    if len(repeated):
        uid = samples.column("uid")[int(repeated[0])]
        raise InputError(f"the images of the run hold uid {uid} more than once; give the images of one run of curate")
    table = pa.Table.from_batches([samples.take(rows)])
    for field in found.drop_columns([*(field.name for field in FOUND), "uid"]).schema:
        table = table.append_column(field, found.column(field.name))
    return table
