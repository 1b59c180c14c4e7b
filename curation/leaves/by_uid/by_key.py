"""Group packed rows about images by KEY, and send the results to the tasks of the images' files, sorted by row.

The rows of all sides of a join have the same schema, with the columns ROWS; in rows of tables, PLACE is null. A
RowStream reads such rows in step with the images of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.images.combine import differs
from curation.images.tasks import MATCHED_ROW_GROUP
from curation.leaves.by_uid.tables import KEY, KEY_NAMES, key_columns
from curation.run.ledger import MOST_BUCKETS
from runtime.arrow import gather_reduced, one_batch
from runtime.buckets import BUCKET_BYTES, FEWEST_ROWS, Block, Packer, by_bucket
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.tallies import Tallies

PLACE = (pa.field("file", pa.int32()), pa.field("row", pa.int64()))  # an image's file, and its row there

ROWS = (*KEY, *PLACE)
_ODD = np.array([0x9E3779B97F4A7C15, 0xD1342543DE82EF95], np.uint64)  # odd factors that spread keys of any kind
_TAKEN = 1 << 16  # rows in a batch of a RowStream


class RowStream:
    """Reads rows, which are sorted by their columns `file` and `row`, in step with the images of a file."""

    def __init__(self, batches: Iterable[pa.RecordBatch]):
        self._batches = iter(batches)
        self._held: pa.RecordBatch | None = None
        self._begin = 0

    def files(self) -> Iterator[int]:
        """Yield the number of each file that has rows; take all rows of one file before asking for the next."""
        while (held := self._peek()) is not None:
            yield held["file"][0].as_py()

    def has(self, file: int) -> bool:
        """Say whether the next rows are about a file."""
        held = self._peek()
        return held is not None and held["file"][0].as_py() == file

    def take(self, file: int, begin: int, end: int) -> pa.RecordBatch | None:
        """Return the rows about the images `begin` to `end` - 1 of a file, or None if there are none.

        All rows about earlier images must have been taken.
        """
        taken: list[pa.RecordBatch] = []
        while (held := self._peek()) is not None:
            is_own = pc.and_(pc.equal(held["file"], file), pc.less(held["row"], end))
            rows = int(np.argmin(np.append(is_own.to_numpy(zero_copy_only=False), False)))
            if rows:
                taken.append(held.slice(0, rows))
                self._begin += rows
            if rows < held.num_rows:
                break
        return pa.concat_batches(taken) if taken else None

    def columns(self, file: int, begin: int, end: int, fields: Sequence[pa.Field]) -> list[pa.Array]:
        """Return `fields` as columns of the images `begin` to `end` - 1 of a file; null for an image without a row.

        All rows about earlier images must have been taken.
        """
        found = self.take(file, begin, end)
        return [filled(found, begin, end, field) for field in fields]

    def rest_of(self, file: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows about a file that have not been taken."""
        while self.has(file) and (held := self._peek()) is not None:
            rows = int(np.argmin(np.append(held["file"].to_numpy() == file, False)))
            self._begin += rows
            yield held.slice(0, rows)

    def _peek(self) -> pa.RecordBatch | None:
        """Return the next rows, at least one, without taking them; None at the end."""
        while self._held is None or self._begin == self._held.num_rows:
            self._held, self._begin = next(self._batches, None), 0
            if self._held is None:
                return None
        return self._held.slice(self._begin)


def filled(rows: pa.RecordBatch | None, begin: int, end: int, field: pa.Field) -> pa.Array:
    """Return a column of the images `begin` to `end` - 1 of a file; null for images that `rows` is not about."""
    if rows is None:
        return pa.nulls(end - begin, field.type)
    at = np.full(end - begin, -1)
    at[rows["row"].to_numpy() - begin] = np.arange(rows.num_rows)
    return rows[field.name].take(pa.array(at, mask=at < 0))


Write = Callable[[int, RowStream], Tallies]


@dataclass(frozen=True)
class Places:
    """The layout by which rows are sent to the tasks of their files: a row's bucket is the number of its file."""

    files: int
    buckets: int  # a power of two, at least two
    tasks: int  # likewise; if there are fewer tasks than files, a task takes several files in turn
    row_bits: int  # bits of the largest row number in a file
    images: int  # images in all files

    @classmethod
    def of(cls, sizes: Sequence[int], most_tasks: int = MOST_BUCKETS) -> Places:
        """Return the places for files with these numbers of rows."""
        buckets, tasks = (1 << max(1, (number - 1).bit_length()) for number in (len(sizes), most_tasks))
        return cls(len(sizes), buckets, min(buckets, tasks), max(1, max(sizes, default=0).bit_length()), sum(sizes))

    def relays(self, tasks: int) -> int:
        """Return the number of tasks that relay the rows: `tasks`, or fewer if their blocks would be too small."""
        return min(tasks, 1 << (self.images // (FEWEST_ROWS * self.tasks)).bit_length())

    def files_of(self, task: int) -> range:
        """Return the numbers of the files that a task takes."""
        each = self.buckets // self.tasks
        return range(min(self.files, task * each), min(self.files, (task + 1) * each))

    def keys(self, rows: pa.RecordBatch) -> np.ndarray:
        """Return a sort key, uint64, of each row with a PLACE: the file in the highest bits, then the row."""
        free = 65 - self.buckets.bit_length()
        file, row = rows["file"].to_numpy().astype(np.uint64), rows["row"].to_numpy().astype(np.uint64)
        return file << np.uint64(free) | row << np.uint64(free - self.row_bits)

    def stream(self, blocks: Iterable[bytes], schema: pa.Schema) -> RowStream:
        """Return the rows in these blocks as a stream, sorted by file and row."""
        return RowStream(self._in_order(blocks, schema))

    def written(self, task: int, blocks: Iterable[bytes], schema: pa.Schema, write: Write) -> Tallies:
        """Call `write(number, stream)` for each file of a task, and return the sums of the tallies."""
        stream = self.stream(blocks, schema)
        return Tallies(row for number in self.files_of(task) for row in write(number, stream).rows())

    def _in_order(self, blocks: Iterable[bytes], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for bucket in by_bucket(blocks, self.buckets, schema, self.keys):
            rows = pa.concat_batches([*bucket])
            rows = rows.take(pa.array(np.lexsort((rows["row"].to_numpy(), rows["file"].to_numpy()))))
            for begin in range(0, rows.num_rows, _TAKEN):
                yield rows.slice(begin, _TAKEN)


@dataclass(frozen=True)
class Groups:
    """The rows of a bucket, grouped by key.

    `order` has the row indices, group by group; `starts` has the begin of each group in `order`.
    """

    order: np.ndarray
    starts: np.ndarray
    group: np.ndarray  # number of the group of each row in `order`

    @classmethod
    def of(cls, rows: pa.RecordBatch) -> Groups:
        """Return the groups of the rows of a bucket."""
        high, low = (rows[name].to_numpy() for name in KEY_NAMES)
        spread = spread_keys(rows)
        order = np.argsort(spread, kind="stable")
        is_new = differs(spread[order])
        if not np.array_equal(is_new, differs(high[order]) | differs(low[order])):  # happens with probability 2^-64
            order = np.lexsort((low, high))
            is_new = differs(high[order]) | differs(low[order])
        return cls(order, np.flatnonzero(is_new), np.cumsum(is_new) - 1)

    @property
    def numbers(self) -> np.ndarray:
        """The number of each row's group, for the rows in their original order."""
        found = np.empty_like(self.group)
        found[self.order] = self.group
        return found

    def reduced(self, function: np.ufunc, values: np.ndarray) -> np.ndarray:
        """Return the values of each group reduced by a ufunc; `values` must be in the order of `order`."""
        return function.reduceat(values, self.starts) if len(self.starts) else values


def spread_keys(rows: pa.RecordBatch) -> np.ndarray:
    """Return a number for each row's KEY, by which rows are dealt to buckets; consecutive uids are spread, too."""
    high, low = (rows[name].to_numpy().view(np.uint64) for name in KEY_NAMES)
    return (high + low * _ODD[0]) * _ODD[1]


def send_images(
    number: int,
    file: OwnFile,
    schema: pa.Schema,
    packer: Packer,
    columns: Callable[[pa.RecordBatch], dict[str, pa.Array]] = lambda batch: {},
) -> Iterator[Block]:
    """Yield KEY and PLACE of each image of a file, in blocks by key.

    `columns` returns more columns for a batch of uids; all other columns of `schema` are null.
    """
    row = 0
    for batch in batches(file, MATCHED_ROW_GROUP, ["uid"]):
        places = [np.full(batch.num_rows, number, np.int32), np.arange(row, row := row + batch.num_rows)]
        known = dict(zip(schema.names, [*key_columns(batch["uid"]), *map(pa.array, places)], strict=False))
        yield from deal(packer, known | columns(batch), schema, batch.num_rows)


def deal(packer: Packer, known: dict[str, pa.Array], schema: pa.Schema, number: int) -> Iterator[Block]:
    """Add rows to a packer by their keys, and yield full blocks; columns of `schema` that are not `known` are null."""
    columns = [known.get(field.name, pa.nulls(number, field.type)) for field in schema]
    rows = pa.RecordBatch.from_arrays(columns, schema=schema)
    yield from packer.deal(rows, spread_keys(rows))


def buckets_of(blocks: Iterable[bytes], number: int, schema: pa.Schema) -> Iterator[tuple[pa.RecordBatch, Groups]]:
    """Yield the rows of each bucket of keys, and their groups; in a large bucket, equal rows are merged."""
    for bucket in by_bucket(blocks, number, schema, spread_keys):
        rows = _together(bucket)
        yield rows, Groups.of(rows)


def _together(batches: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Return all rows as one batch; if there are many, without duplicates: one key may have millions of rows."""
    return pa.concat_batches(gather_reduced(batches, _distinct, BUCKET_BYTES))


def _distinct(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    rows = pa.Table.from_batches(held)
    return one_batch(rows.group_by(rows.schema.names, use_threads=False).aggregate([]).cast(rows.schema))
