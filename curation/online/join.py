"""Which matched image belongs to which sample of which tar, for more of both than memory holds.

Of the tars, a number per uid is held; the matched images pass by once. Where a number agrees, the image is put down
for its shard, and when all have passed, whole uids are compared: no answer rests on a number being unique.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.online.tars import SAMPLES
from curation.schemas import MATCHED
from runtime.draws import draws
from runtime.errors import InputError

BUCKETS = 256  # files at most, each of neighbouring shards, of which one at a time is held in memory

CANDIDATES = MATCHED.field("candidates")
# A matched image that may be the sample in `row` of `shard`.
FOUND = pa.schema([pa.field("shard", pa.int32()), pa.field("row", pa.int32()), MATCHED.field("uid"), CANDIDATES])
# One row per sample that has a matched image: what training needs of both.
ROWS = SAMPLES.append(CANDIDATES)


@dataclass(frozen=True, eq=False)
class Places:
    """Where the uids of all tars are, by a number made of each."""

    numbers: np.ndarray  # ascending
    shards: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, uids_of_shards: Iterable[pa.Array]) -> "Places":
        """Return the places of the uids of each shard, in the order of shards."""
        numbers = [draws(0, "place", uids) for uids in uids_of_shards]
        sizes = [len(each) for each in numbers]
        shards = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        rows = np.concatenate([np.empty(0, np.int32), *(np.arange(size, dtype=np.int32) for size in sizes)])
        numbers = np.concatenate([np.empty(0), *numbers])
        order = np.argsort(numbers, kind="stable")
        return cls(numbers[order], shards[order], rows[order])

    def find(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a FOUND row for each place where an image of the batch may be: none, one, or several."""
        sought = draws(0, "place", batch.column("uid"))
        first = np.searchsorted(self.numbers, sought)
        number = np.searchsorted(self.numbers, sought, "right") - first
        image = np.repeat(np.arange(len(sought)), number)
        place = np.arange(len(image)) + np.repeat(first - np.cumsum(number) + number, number)
        columns = [self.shards[place], self.rows[place], batch.column("uid").take(image)]
        return pa.RecordBatch.from_arrays([*columns, batch.column("candidates").take(image)], schema=FOUND)


def join(matched: Iterable[pa.RecordBatch], places: Places, shards: int, work: Path) -> Iterator[tuple[int, pa.Table]]:
    """Yield each shard's number and its FOUND rows, in the order of shards; `work` is a folder for files in between."""
    buckets = min(BUCKETS, shards)
    first_of_bucket = [bucket * shards // buckets for bucket in range(buckets + 1)]
    paths = [work / f"found{bucket}.arrow" for bucket in range(buckets)]
    with ExitStack() as stack:
        files = [stack.enter_context(pa.ipc.new_stream(str(path), FOUND)) for path in paths]
        for batch in matched:
            _put_down(places.find(batch), first_of_bucket, files)
    for bucket, path in enumerate(paths):
        yield from _found_of(path, range(*first_of_bucket[bucket : bucket + 2]))
        path.unlink()


def _put_down(found: pa.RecordBatch, first_of_bucket: list[int], files: list) -> None:
    found = found.take(pc.sort_indices(found.column("shard")))
    ends = np.searchsorted(found.column("shard").to_numpy(), first_of_bucket)
    for bucket in np.flatnonzero(np.diff(ends)):
        files[bucket].write_batch(found.slice(ends[bucket], ends[bucket + 1] - ends[bucket]))


def _found_of(path: Path, shards: range) -> Iterator[tuple[int, pa.Table]]:
    with pa.memory_map(str(path)) as file:
        found = pa.ipc.open_stream(file).read_all()
    found = found.sort_by([("shard", "ascending"), ("row", "ascending")])
    ends = np.searchsorted(found.column("shard").to_numpy(), [*shards, shards.stop])
    for i, shard in enumerate(shards):
        yield shard, found.slice(ends[i], ends[i + 1] - ends[i])


def joined(samples: pa.RecordBatch, found: pa.Table) -> pa.Table:
    """Return the ROWS of one shard: its samples that have a matched image, in their order."""
    same = pc.equal(pc.take(samples.column("uid"), found.column("row")), found.column("uid"))
    found = found.filter(same)
    rows = found.column("row").to_numpy()
    repeated = rows[1:][np.diff(rows) == 0]
    if len(repeated):
        uid = samples.column("uid")[int(repeated[0])]
        raise InputError(f"the matched images hold uid {uid} more than once; give the matched/ of one run of curate")
    return pa.Table.from_batches([samples.take(rows)]).append_column(CANDIDATES, found.column("candidates"))
