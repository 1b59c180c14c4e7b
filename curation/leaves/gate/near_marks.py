"""Mark the images whose hashes are near each other, with Spark's joins (`near_copies.copies`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_schema

from curation.leaves.by_uid.by_key import Places
from curation.leaves.gate.pictures import MARKS, VALUE, VALUES, VALUES_FOLDER, Pictures
from curation.leaves.near_copies.copies import copies_of
from runtime.buckets import Packer
from runtime.engine.interface import Engine, Receive
from runtime.engine.spark import BLOCKS, SHUFFLED_JOINS, as_row, map_batches, rows_in, settings
from runtime.tallies import Tallies


def near_marks(engine: Engine, pictures: Pictures, places: Places, work: Path, write: Receive) -> Tallies:
    """Find near copies among the VALUES stored in `work`, and send their MARKS, by file, to `write`.

    Return the sums of the tallies that `write` returns.
    """
    spark = engine.sql("near copies are joined by Spark")
    with settings(spark.session, SHUFFLED_JOINS):
        stored = rows_in(spark.session, work / VALUES_FOLDER, from_arrow_schema(VALUES))
        keyed = stored.withColumnRenamed(VALUE.name, "key")
        copies = copies_of(keyed, pictures.same.distance or 0, work, pictures.bits or 0).select(*MARKS.names)
        blocks = map_batches(copies, partial(_packed, places=places), BLOCKS)
        return spark.exchange([], partial(iter, ()), write, places.tasks, rows=blocks)


def _packed(marks: Iterable[pa.RecordBatch], places: Places) -> Iterator[pa.RecordBatch]:
    """Yield BLOCKS of MARKS by file."""
    packer = Packer(places.tasks)
    for batch in marks:
        yield from map(as_row, packer.deal(batch, places.keys(batch)))
    yield from map(as_row, packer.finish())
