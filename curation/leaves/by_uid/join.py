"""Join tables by uid to the images of files, and send the joined rows to the tasks that rewrite these files.

Rows are sent as packed blocks: first by key, so that the rows of an image meet, then by file. A task holds a bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from curation.leaves.by_uid.by_key import PLACE, ROWS, Groups, Places, RowStream, Write, deal, spread_keys
from curation.leaves.by_uid.tables import KEY, KEY_NAMES, key_columns
from curation.report.languages import counted
from curation.run.ledger import MOST_BUCKETS, group_buckets, senders, sending
from curation.run.making import Derived, Item, Task, items_of
from runtime.buckets import Block, Packer, by_bucket
from runtime.engine import Engine, Relay
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, row_counts
from runtime.tallies import Tallies

SIDE = pa.field("side", pa.int8())  # origin of a row: 0 for an image, else the number of its table, from 1
FOUND_ROWS = 8192  # images in a batch of joined rows: an image may be in many places
FILE_ROWS = 1 << 18  # images per task that sorts and writes joined rows
READ_ROWS = 1 << 16
TURNS = 3  # tasks per core if there are few files

Once = Callable[[pa.RecordBatch, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Images:
    """Files with one row per image: `read(file)` yields `row` and KEY of the images that have a uid, sorted by row."""

    files: Sequence[Any]
    sizes: Sequence[int]  # rows of each file
    read: Callable[[Any], Iterator[pa.RecordBatch]]

    @property
    def rows(self) -> int:
        """The number of rows in all files."""
        return sum(self.sizes)


@dataclass(frozen=True)
class Table:
    """Rows about images: `read(file)` yields KEY, `fields` and `order`.

    `once(rows, images)` returns the indices of the rows that count, at most one per image; `images` has the number of
    the image of each row.
    """

    files: Sequence[Any]
    rows: float  # estimated number
    read: Callable[[Any], Iterator[pa.RecordBatch]]
    once: Once
    fields: Sequence[pa.Field]  # the joined columns; null for an image without a row
    order: Sequence[pa.Field] = ()  # more columns that `once` needs
    others: str = ""  # name of a joined column with the number of an image's rows that do not count; "": none

    @property
    def joined(self) -> list[pa.Field]:
        """The fields that are joined to an image."""
        return [*self.fields, *([pa.field(self.others, pa.int64())] if self.others else [])]


@dataclass(frozen=True)
class Join:
    """Images in files, and tables that are joined to these images."""

    images: Images
    tables: Sequence[Table]

    @property
    def fields(self) -> list[pa.Field]:
        """The fields that all tables join to an image."""
        return [field for table in self.tables for field in table.joined]

    @property
    def schema(self) -> pa.Schema:
        """The columns of the rows that are sent by key."""
        return pa.schema([*ROWS, SIDE, *(field for table in self.tables for field in (*table.fields, *table.order))])

    def write(self, engine: Engine, write: Write) -> Tallies:
        """Call `write(number, stream)` for each file of images; return the sums of the tallies.

        The stream has PLACE and the fields of all tables, for the images that at least one table has.
        """
        wanted = max(self.images.rows // FILE_ROWS, TURNS * engine.cores)
        places = Places.of(self.images.sizes, min(wanted, MOST_BUCKETS))
        buckets, tasks = self._cut
        relay = Relay(partial(self.joined, buckets=buckets, places=places), places.relays(tasks))
        receive = partial(places.written, schema=pa.schema([*PLACE, *self.fields]), write=write)
        send = partial(self.sent, buckets=buckets)
        return engine.exchange(self._items(buckets), send, receive, places.tasks, [relay])

    def count(self, engine: Engine, count: Callable[[pa.RecordBatch], Tallies]) -> Tallies:
        """Return the sums of what `count` tallies of batches of joined rows, which are not sorted."""
        buckets, tasks = self._cut
        receive = partial(self.counted, buckets=buckets, count=count)
        return engine.exchange(self._items(buckets), partial(self.sent, buckets=buckets), receive, tasks)

    def _items(self, buckets: int) -> list[list[tuple[int, int]]]:
        """Return the files of all sides as lists for tasks of (number of the side, number of the file)."""
        sizes = [(len(self.images.files), self.images.rows), *((len(own.files), own.rows) for own in self.tables)]
        return [
            items
            for side, (files, rows) in enumerate(sizes)
            for items in senders([(side, number) for number in range(files)], rows, buckets)
        ]

    @property
    def _cut(self) -> tuple[int, int]:
        return group_buckets(self.images.rows + sum(table.rows for table in self.tables))

    def sent(self, items: list[tuple[int, int]], tallies: Tallies, buckets: int) -> Iterator[Block]:
        """Yield blocks by key of the rows in files of images or tables."""
        packer = sending(buckets)
        for side, number in items:
            of_side = self.tables[side - 1] if side else self.images
            for batch in of_side.read(of_side.files[number]):
                known = {name: batch[name] for name in batch.schema.names}
                known[SIDE.name] = pa.repeat(pa.scalar(side, SIDE.type), len(batch))
                if not side:
                    known["file"] = pa.repeat(pa.scalar(number, pa.int32()), len(batch))
                yield from deal(packer, known, self.schema, len(batch))
        yield from packer.finish()

    def joined(
        self, partition: int, blocks: Iterator[bytes], _: Tallies, buckets: int, places: Places
    ) -> Iterator[Block]:
        """Yield blocks by file of the joined rows of each image in some buckets."""
        packer = Packer(places.tasks)
        for rows in by_bucket(blocks, buckets, self.schema, spread_keys):
            for found in self._found(pa.concat_batches([*rows])):
                yield from packer.deal(found, places.keys(found))
        yield from packer.finish()

    def counted(
        self, partition: int, blocks: Iterator[bytes], buckets: int, count: Callable[[pa.RecordBatch], Tallies]
    ) -> Tallies:
        """Return the tallies of the joined rows in some buckets."""
        met = map(pa.concat_batches, map(list, by_bucket(blocks, buckets, self.schema, spread_keys)))
        return Tallies(row for rows in met for found in self._found(rows) for row in count(found).rows())

    def _found(self, rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Yield the joined rows for the images in one bucket's rows; an image that no table has is left out."""
        side, image = rows["side"].to_numpy(), Groups.of(rows).numbers
        places = np.flatnonzero(side == 0)
        found, others = (np.zeros((len(self.tables), len(places)), np.int64) for _ in range(2))
        for number, table in enumerate(self.tables):
            own = np.flatnonzero(side == number + 1)
            if table.others:
                others[number] = np.bincount(image[own], minlength=len(side))[image[places]] - 1
            names = [field.name for field in (*table.fields, *table.order)]
            own = own[table.once(rows.select([*KEY_NAMES, *names]).take(pa.array(own)), image[own])]
            row_of = np.full(len(side), -1)
            row_of[image[own]] = own
            found[number] = row_of[image[places]]
        is_found = (found >= 0).any(axis=0)
        places, found, others = places[is_found], found[:, is_found], others[:, is_found]
        for begin in range(0, len(places), FOUND_ROWS):
            some = slice(begin, begin + FOUND_ROWS)
            columns = [rows[field.name].take(pa.array(places[some])) for field in PLACE]
            for table, of_table, more in zip(self.tables, found[:, some], others[:, some], strict=True):
                at = pa.array(of_table, mask=of_table < 0)
                columns += [rows[field.name].take(at) for field in table.fields]
                columns += [pa.array(more, mask=of_table < 0)] if table.others else []
            yield pa.RecordBatch.from_arrays(columns, schema=pa.schema([*PLACE, *self.fields]))


def each_joined(
    folder: Derived,
    title: str,
    files: Sequence[OwnFile],
    tables: Sequence[Table],
    make: Callable[..., object],
    part: str,
) -> Tallies:
    """Let `make(file, made, number, stream)` write a file of `part` for each file, whose images are joined to tables.

    Return the sums of all tallies.
    """

    def begin(missing: list[Item[OwnFile]], task: Task[OwnFile]) -> None:
        with folder.progress.stage(f"{title} of {len(missing)} of {counted(len(files), 'file')}"):
            join = Join(images_in([item.content for item in missing]), tables)
            join.write(folder.engine, partial(_made, items=missing, task=task))

    return folder.fill(items_of(files), make, begin, part)


def _made(number: int, stream: RowStream, items: Sequence[Item[OwnFile]], task: Task[OwnFile]) -> Tallies:
    return task(items[number], number, stream)


def images_in(files: Sequence[OwnFile]) -> Images:
    """Return the images in files of a run."""
    return Images(files, row_counts(files), _rows)


def first(rows: pa.RecordBatch, images: np.ndarray) -> np.ndarray:
    """Return the index of the first row of each image, for tables in which all rows of an image say the same."""
    return np.unique(images, return_index=True)[1]


def first_by(rows: pa.RecordBatch, images: np.ndarray, name: str) -> np.ndarray:
    """Return the index of the row of each image with the smallest value in a column of numbers."""
    order = np.lexsort((rows[name].to_numpy(), images))
    return order[first(rows, images[order])]


def keys(file: OwnFile) -> Iterator[pa.RecordBatch]:
    """Yield batches with the KEY of each image in a file of a run."""
    for batch in batches(file, READ_ROWS, ["uid"]):
        yield pa.RecordBatch.from_arrays(key_columns(batch["uid"]), schema=pa.schema(KEY))


def _rows(file: OwnFile) -> Iterator[pa.RecordBatch]:
    row = 0
    for batch in keys(file):
        yield batch.append_column(PLACE[1], pa.array(np.arange(row, row := row + len(batch))))
