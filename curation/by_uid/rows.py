"""Rows about images of files: made by tasks that read the files, and brought to tasks that write them anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr

from curation.by_uid.tables import KEY
from curation.images.tasks import MATCHED_ROW_GROUP
from runtime.arrow.uid_keys import exact_numbers
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


def keys_of(spark: SparkSession, files: Sequence[OwnFile], with_uids: bool = False) -> DataFrame:
    """Return the PLACE of each image, its KEY, and its uid where that is asked for."""
    uid = [pa.field("uid", pa.string())] if with_uids else []
    return images_of(spark, files, ["uid"], partial(_keys, with_uids=with_uids), [*KEY, *uid])


def by_file(rows: DataFrame, files: int) -> DataFrame:
    """Return rows with those of a file in one partition, in the file's order."""
    partitions = min(FREE_PARTITIONS * files, MOST_PARTITIONS)
    return rows.repartition(partitions, "file").sortWithinPartitions("file", "row")


def summed(counted: DataFrame) -> Tallies:
    """Return the sums of whole numbers that tasks tallied of each file: the driver gets no more rows than names."""
    return collected(counted.groupBy("name", "language").agg(expr("sum(value) as value")))


def key_columns(uids: pa.Array) -> list[pa.Array]:
    """Return the columns of KEY of these uids."""
    return [pa.array(numbers) for numbers in exact_numbers(uids).T.copy()]


def _keys(batch: pa.RecordBatch, with_uids: bool) -> list[pa.Array]:
    return key_columns(batch["uid"]) + ([batch["uid"]] if with_uids else [])


def _rows_of(
    numbered: tuple[int, OwnFile], read: list[str], made: Columns, fields: list[pa.Field]
) -> Iterator[pa.RecordBatch]:
    number, file = numbered
    row = 0
    for batch in batches(file, MATCHED_ROW_GROUP, read):
        places = [np.full(batch.num_rows, number, np.int32), np.arange(row, row := row + batch.num_rows)]
        yield pa.RecordBatch.from_arrays([*map(pa.array, places), *made(batch)], schema=pa.schema([*PLACE, *fields]))
