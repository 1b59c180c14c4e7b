"""Compute rows about images in Spark tasks, and bring them to the tasks that rewrite the files of these images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr

from curation.by_uid.tables import KEY, key_columns
from curation.images.tasks import MATCHED_ROW_GROUP
from runtime.spark import collected, over
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.tallies import Tallies

MOST_PARTITIONS = 1 << 13
FREE_PARTITIONS = 2  # for each file: the hash of Spark then seldom brings two files together
PLACE = (pa.field("file", pa.int32()), pa.field("row", pa.int64()))  # of an image: a file's number, a row's in it
Columns = Callable[[pa.RecordBatch], list[pa.Array]]


def images_of(
    spark: SparkSession, files: Sequence[OwnFile], read: Sequence[str], made: Columns, fields: Sequence[pa.Field]
) -> DataFrame:
    """Return the PLACE of each image, and the `fields` that `made` makes of some columns of a batch."""
    rows = partial(_rows_of, read=list(read), made=made, fields=list(fields))
    return over(spark, list(enumerate(files)), rows, pa.schema([*PLACE, *fields]))


def keys_of(spark: SparkSession, files: Sequence[OwnFile]) -> DataFrame:
    """Return the PLACE of each image, and its KEY."""
    return images_of(spark, files, ["uid"], _keys, KEY)


def by_file(rows: DataFrame, files: int) -> DataFrame:
    """Return the rows partitioned so that all rows of a file are in one partition, in the file's order."""
    partitions = min(FREE_PARTITIONS * files, MOST_PARTITIONS)
    return rows.repartition(partitions, "file").sortWithinPartitions("file", "row")


def summed(counted: DataFrame) -> Tallies:
    """Return the sums of whole numbers that tasks tallied of each file: the driver gets no more rows than names."""
    return collected(counted.groupBy("name", "language").agg(expr("sum(value) as value")))


class RowStream:
    """Rows with the columns `file` and `row`, as `by_file` brings them, read along with the images of a file."""

    def __init__(self, batches: Iterable[pa.RecordBatch]):
        self._batches = iter(batches)
        self._held: pa.RecordBatch | None = None
        self._begin = 0

    def files(self) -> Iterator[int]:
        """Yield the number of each file that has rows; take all rows of one file before asking for the next."""
        while (held := self._peek()) is not None:
            yield held["file"][0].as_py()

    def take(self, file: int, begin: int, end: int) -> pa.RecordBatch | None:
        """Return the rows about the images from `begin` to `end` of a file; None where there are none.

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
        """Return columns of the images from `begin` to `end` of a file, null for an image without a row.

        All rows about earlier images must have been taken.
        """
        found, at = self.take(file, begin, end), np.full(end - begin, -1)
        if found is None:
            return [pa.nulls(end - begin, field.type) for field in fields]
        at[found["row"].to_numpy() - begin] = np.arange(found.num_rows)
        rows = pa.array(at, mask=at < 0)
        return [found[field.name].take(rows) for field in fields]

    def rest_of(self, file: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows about a file that have not been taken."""
        while (held := self._peek()) is not None and held["file"][0].as_py() == file:
            rows = int(np.argmin(np.append(held["file"].to_numpy() == file, False)))
            self._begin += rows
            yield held.slice(0, rows)

    def _peek(self) -> pa.RecordBatch | None:
        """Return the rows that come next, at least one; None at the end."""
        while self._held is None or self._begin == self._held.num_rows:
            self._held, self._begin = next(self._batches, None), 0
            if self._held is None:
                return None
        return self._held.slice(self._begin)


def _keys(batch: pa.RecordBatch) -> list[pa.Array]:
    return key_columns(batch["uid"])


def _rows_of(
    numbered: tuple[int, OwnFile], read: list[str], made: Columns, fields: list[pa.Field]
) -> Iterator[pa.RecordBatch]:
    number, file = numbered
    row = 0
    for batch in batches(file, MATCHED_ROW_GROUP, read):
        places = [np.full(batch.num_rows, number, np.int32), np.arange(row, row := row + batch.num_rows)]
        yield pa.RecordBatch.from_arrays([*map(pa.array, places), *made(batch)], schema=pa.schema([*PLACE, *fields]))
