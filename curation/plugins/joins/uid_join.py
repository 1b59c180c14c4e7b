"""Group packed rows about images by KEY (a uid as two integers), and send results to the tasks of the images' files.

All rows of a join, of images and of tables, have the columns JOINED_ROWS: KEY, and PLACE, an image's file and its row
there. In rows of tables, PLACE is null. A RowStream reads the results of a file, sorted by row, in step with its
images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from curation.image_ids import KEY, KEY_NAMES, key_columns
from curation.schemas import MATCHED_ROW_GROUP
from runtime.arrow import differs, gather_reduced, one_batch
from runtime.buckets import BUCKET_BYTES, MIN_TASKS_PER_CORE, MOST_BUCKETS, group_buckets
from runtime.cogroup import PLACE, SIDE, Grouping, Places, Rows, RowStream, Side, Write, cogroup, place_columns
from runtime.engine import Engine
from runtime.folders.folder import Folder, Task, WorkItem
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, row_counts
from runtime.tallies import Tallies, TaskResult
from runtime.wording import counted

JOINED_ROWS = (*KEY, *PLACE)
_ODD = np.array([0x9E3779B97F4A7C15, 0xD1342543DE82EF95], np.uint64)  # These odd factors spread keys of any kind.


@dataclass(frozen=True)
class Groups:
    """The rows of a bucket, grouped by KEY, so that a group has the rows of one uid.

    `order` has the row indices, group by group; `starts` has the index in `order` at which each group begins.
    """

    order: np.ndarray
    starts: np.ndarray
    group: np.ndarray  # the number of the group of each row, in the order of `order`

    @classmethod
    def of(cls, rows: pa.RecordBatch) -> Groups:
        """Return the rows of a bucket grouped by their KEY."""
        high, low = (rows[name].to_numpy() for name in KEY_NAMES)
        spread = spread_keys(rows)
        order = np.argsort(spread, kind="stable")
        is_new = differs(spread[order])
        # This happens with probability 2^-64.
        if not np.array_equal(is_new, differs(high[order]) | differs(low[order])):
            order = np.lexsort((low, high))
            is_new = differs(high[order]) | differs(low[order])
        return cls(order, np.flatnonzero(is_new), np.cumsum(is_new) - 1)

    @property
    def numbers(self) -> np.ndarray:
        """The number of each row's group, for the rows in their original order."""
        numbers = np.empty_like(self.group)
        numbers[self.order] = self.group
        return numbers

    def reduced(self, function: np.ufunc, values: np.ndarray) -> np.ndarray:
        """Return `function` (a ufunc) reduced over the values of each group; `values` must be sorted as `order` is."""
        return function.reduceat(values, self.starts) if len(self.starts) else values


def spread_keys(rows: pa.RecordBatch) -> np.ndarray:
    """Return a hash (uint64) of each row's KEY; its high bits choose a bucket, and differ for consecutive uids."""
    high, low = (rows[name].to_numpy().view(np.uint64) for name in KEY_NAMES)
    return (high + low * _ODD[0]) * _ODD[1]


def read_images(number: int, file: OwnFile, tallies: Tallies, *more: str) -> Rows:
    """Yield KEY and PLACE of the images in a file of a run, and the columns `more`."""
    row = 0
    for batch in batches(file, MATCHED_ROW_GROUP, [*dict.fromkeys(["uid", *more])]):
        places = place_columns(number, row, row + batch.num_rows)
        row += batch.num_rows
        columns = [*key_columns(batch["uid"]), *places, *(batch[name] for name in more)]
        yield pa.RecordBatch.from_arrays(columns, [*(field.name for field in JOINED_ROWS), *more])


def grouped(buckets: Iterable[Rows]) -> Iterator[tuple[pa.RecordBatch, Groups]]:
    """Yield the rows of each bucket, and their groups; in a large bucket, equal rows are merged."""
    for bucket in buckets:
        rows = pa.concat_batches(gather_reduced(bucket, _distinct, BUCKET_BYTES))  # One key may have millions of rows.
        yield rows, Groups.of(rows)


def _distinct(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    rows = pa.Table.from_batches(held)
    return one_batch(rows.group_by(rows.schema.names, use_threads=False).aggregate([]).cast(rows.schema))


FOUND_ROWS = 8192  # the most joined rows in a batch, because many images may have the uid of one row of a table
FILE_ROWS = 1 << 18  # the number of images per task that sorts and writes joined rows
READ_ROWS = 1 << 16
REPEATED = "repeated"  # the name of the tally of rows that are not joined: another row is about the same image

Once = Callable[[pa.RecordBatch, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Images:
    """Files with one row per image; `read`, called as by a Side, yields KEY and PLACE of the images that have a uid."""

    files: Sequence[Any]
    sizes: Sequence[int]  # the number of rows of each file
    read: Callable[..., Rows] = read_images

    @property
    def rows(self) -> int:
        """The number of rows in all files."""
        return sum(self.sizes)


@dataclass(frozen=True)
class Table:
    """Rows about images, to be joined: `read(file)` yields batches with KEY, `fields` and `order`.

    `once(rows, images)` returns the indices of the rows that are joined, at most one per image; `images` has, for each
    row, the number of its image.
    """

    files: Sequence[Any]
    rows: float  # an estimate of the number of rows
    read: Callable[[Any], Rows]
    once: Once
    fields: Sequence[pa.Field]  # the joined columns; null for an image without a row
    order: Sequence[pa.Field] = ()  # more columns, which only `once` needs


@dataclass(frozen=True)
class Join:
    """Images in files, and tables that are joined to these images."""

    images: Images
    tables: Sequence[Table]

    @property
    def fields(self) -> list[pa.Field]:
        """The fields of all tables, in the order of the tables."""
        return [*chain.from_iterable(table.fields for table in self.tables)]

    @property
    def schema(self) -> pa.Schema:
        """The schema of the rows of images and tables that are sent by KEY."""
        of_tables = chain.from_iterable((*table.fields, *table.order) for table in self.tables)
        return pa.schema([*JOINED_ROWS, SIDE, *of_tables])

    def write(self, engine: Engine, write: Write, *more: Any) -> TaskResult:
        """Call `write(number, stream, *more)` for each file of images; return the sum of the results.

        The stream has PLACE and the fields of all tables, for the images that at least one table has. The tally
        REPEATED is the number of rows that are not joined, as another row of their table is about the same image.
        """
        wanted = max(self.images.rows // FILE_ROWS, MIN_TASKS_PER_CORE * engine.cores)
        places = Places.of(self.images.sizes, min(wanted, MOST_BUCKETS))
        buckets, tasks = self._cut
        joining = Grouping(self.schema, spread_keys, self._alone.joined, buckets, places.tasks_before(tasks))
        return cogroup(engine, self._sides, joining, places.stage(pa.schema([*PLACE, *self.fields]), write, *more))

    def count(self, engine: Engine, count: Callable[[pa.RecordBatch], Tallies]) -> TaskResult:
        """Return the sums of the tallies that `count` returns for batches of joined rows, which come in any order."""
        counting = Grouping(self.schema, spread_keys, _count_joined, *self._cut, more=(self._alone, count))
        return cogroup(engine, self._sides, counting)

    @property
    def _sides(self) -> list[Side]:
        tables = [Side(table.files, _read_table, table.rows, more=(table.read,)) for table in self.tables]
        return [Side(self.images.files, self.images.read, self.images.rows), *tables]

    @property
    def _cut(self) -> tuple[int, int]:
        """The number of buckets of keys, and the number of tasks that take them."""
        return group_buckets(self.images.rows + sum(table.rows for table in self.tables))

    @property
    def _alone(self) -> Join:
        """The join without the lists of files, which tasks do not need."""
        return Join(replace(self.images, files=(), sizes=()), [replace(table, files=()) for table in self.tables])

    def joined(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> Rows:
        """Yield the joined row of each image in some buckets; leave out images in no table."""
        for rows in buckets:
            yield from self._joined(pa.concat_batches([*rows]), tallies)

    def _joined(self, rows: pa.RecordBatch, tallies: Tallies) -> Iterator[pa.RecordBatch]:
        """Yield the joined row of each image in one bucket's rows; images without a row in any table are left out."""
        side = rows["side"].to_numpy()
        image = Groups.of(rows).numbers
        places = np.flatnonzero(side == 0)
        joined = np.zeros((len(self.tables), len(places)), np.int64)
        for number, table in enumerate(self.tables):
            indices = np.flatnonzero(side == number + 1)
            about = np.bincount(image[indices], minlength=len(side))[image[places]]
            tallies.add(REPEATED, int(about.sum() - np.count_nonzero(about)))
            names = [field.name for field in (*table.fields, *table.order)]
            indices = indices[table.once(rows.select([*KEY_NAMES, *names]).take(pa.array(indices)), image[indices])]
            row_of = np.full(len(side), -1)
            row_of[image[indices]] = indices
            joined[number] = row_of[image[places]]
        is_joined = (joined >= 0).any(axis=0)
        places = places[is_joined]
        joined = joined[:, is_joined]
        for begin in range(0, len(places), FOUND_ROWS):
            some = slice(begin, begin + FOUND_ROWS)
            columns = [rows[field.name].take(pa.array(places[some])) for field in PLACE]
            for table, of_table in zip(self.tables, joined[:, some], strict=True):
                at = pa.array(of_table, mask=of_table < 0)
                columns += [rows[field.name].take(at) for field in table.fields]
            yield pa.RecordBatch.from_arrays(columns, schema=pa.schema([*PLACE, *self.fields]))


def _read_table(_: int, file: Any, tallies: Tallies, read: Callable[[Any], Rows]) -> Rows:
    return read(file)


def _count_joined(
    task: int, buckets: Iterator[Rows], tallies: Tallies, join: Join, count: Callable[[pa.RecordBatch], Tallies]
) -> None:
    """Add the tallies of `count` over the joined rows in some buckets."""
    for rows in join.joined(task, buckets, Tallies()):
        tallies.update(count(rows).rows())


def each_joined(
    folder: Folder,
    title: str,
    items: Sequence[WorkItem[Any]],
    tables: Sequence[Table],
    make: Callable[..., object],
    *parts: str,
    images: Callable[[list[Any]], Images] | None = None,
) -> TaskResult:
    """Call `make(file, made, number, stream)` for the file of each item; `stream` has the rows joined to its images.

    The files that `make` writes are in the subfolders `parts`. Finished files are not made again. `images` returns the
    images in a list of such files; the default is for files of a run. Return the sum of all results.
    """
    of_folder = folder.part(items, *parts)
    missing = of_folder.missing
    if missing:
        with folder.progress.stage(f"{title} of {len(missing)} of {counted(len(items), 'file')}"):
            join = Join((images or images_in)([item.content for item in missing]), tables)
            join.write(folder.engine, _make, missing, of_folder.task(make))
    return of_folder.commit()


def _make(number: int, stream: RowStream, items: Sequence[WorkItem[Any]], task: Task[Any]) -> TaskResult:
    """Run `task` on the item of the file `number`; `stream` has the rows joined to the images of this file."""
    return task(items[number], number, stream)


def images_in(files: Sequence[OwnFile]) -> Images:
    """Return the images in files of a run as one side of a join."""
    return Images(files, row_counts(files))


def first(rows: pa.RecordBatch, images: np.ndarray) -> np.ndarray:
    """Return the index of the first row of each image; a `once` for tables whose rows of an image are equal.

    `images` has, for each row, the number of its image.
    """
    return np.unique(images, return_index=True)[1]


def first_by(rows: pa.RecordBatch, images: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the index of each image's smallest row, compared by the columns `names` of numbers, in their order."""
    order = np.lexsort([*(rows[name].to_numpy() for name in reversed(names)), images])
    return order[first(rows, images[order])]


def keys(file: OwnFile) -> Iterator[pa.RecordBatch]:
    """Yield batches with the KEY of each image in a file of a run."""
    for batch in batches(file, READ_ROWS, ["uid"]):
        yield pa.RecordBatch.from_arrays(key_columns(batch["uid"]), schema=pa.schema(KEY))
