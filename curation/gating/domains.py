"""Keep at most so many images of a domain: those with the smallest draws, whatever the order of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.functions import expr

from curation.exclusion.sets import hosts
from curation.gates.passing import tally_texts
from curation.gates.row_stream import RowStream
from curation.gates.tables import KEY, KEY_NAMES
from curation.gating.rows import by_file, images_of, key_columns
from curation.images.tasks import MATCHED_ROW_GROUP
from curation.schemas import MATCHED
from runtime.draws import draws
from runtime.spark import collected, map_batches
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import PartWriter, batches
from runtime.tallies import SCHEMA, Tallies

PURPOSE = "domain"  # of the draw
_LIMIT = "spark.sql.optimizer.windowGroupLimitThreshold"  # up to it Spark cuts a window before it shuffles
_FIELDS = (pa.field("domain", pa.string()), pa.field("draw", pa.float64()), *KEY)


def cap_domains(spark: SparkSession, most: int, seed: int, files: Sequence[OwnFile], folder: Path) -> Tallies:
    """Write at most so many images of each host to files of the same names in `folder`; return what was counted."""
    drawn = images_of(spark, files, ["uid", "url"], partial(_drawn, seed=seed), _FIELDS)
    order = ", ".join(["draw", *KEY_NAMES])
    with _cut_early(spark, most):
        ranked = drawn.selectExpr("file", "row", f"row_number() over (partition by domain order by {order}) as rank")
        kept = by_file(ranked.where(f"rank <= {most}").select("file", "row"), len(files))
        counted = map_batches(kept, partial(_write, files=list(files), folder=folder), SCHEMA)
        return collected(counted.groupBy("name", "language").agg(expr("sum(value) as value")))


def _drawn(batch: pa.RecordBatch, seed: int) -> list[pa.Array]:
    return [hosts(batch["url"]), pa.array(draws(seed, PURPOSE, batch["uid"])), *key_columns(batch["uid"])]


def _write(kept: Iterable[pa.RecordBatch], files: Sequence[OwnFile], folder: Path) -> Iterator[pa.RecordBatch]:
    rows = RowStream(kept)
    for number in rows.files():
        yield _write_kept(files[number], number, rows, folder / files[number].path.name).batch()


def _write_kept(file: OwnFile, number: int, kept: RowStream, path: Path) -> Tallies:
    """Write the images of a file whose rows come."""
    tallies, begin = Tallies(), 0
    with PartWriter(path, MATCHED, MATCHED_ROW_GROUP) as writer:
        for batch in batches(file, MATCHED_ROW_GROUP):
            end, stays = begin + batch.num_rows, np.zeros(batch.num_rows, bool)
            rows = kept.take(number, begin, end)
            if rows is not None:
                stays[rows["row"].to_numpy() - begin] = True
            tallies.add("removed", int((~stays).sum()))
            tally_texts(batch, ~stays, "texts", tallies)
            writer.write(batch.filter(pa.array(stays)))
            begin = end
    tallies.add("passed", writer.rows)
    tally(tallies, path, writer.checksum)
    return tallies


@contextmanager
def _cut_early(spark: SparkSession, most: int) -> Iterator[None]:
    """Let tasks drop what is over the limit before images of a domain come together: no task gets a whole domain."""
    before = str(spark.conf.get(_LIMIT))
    spark.conf.set(_LIMIT, str(max(most, int(before))))
    try:
        yield
    finally:
        spark.conf.set(_LIMIT, before)
