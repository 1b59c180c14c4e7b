"""Keep at most so many images of a registered domain: those with the smallest draws, whatever the order of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.functions import expr

from curation.by_uid.rows import RowStream, by_file, images_of
from curation.by_uid.tables import KEY, KEY_NAMES, key_columns
from curation.exclusion.sets import hosts, registered_domain
from curation.gate.passing import tally_texts
from curation.images.tasks import MATCHED_ROW_GROUP
from curation.schemas import MATCHED
from runtime.draws import draws
from runtime.spark import collected, map_batches, settings
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import SCHEMA, Tallies

PURPOSE = "domain"  # of the draw
_LIMIT = "spark.sql.optimizer.windowGroupLimitThreshold"  # up to it Spark cuts a window before it shuffles
_FIELDS = (pa.field("domain", pa.string()), pa.field("draw", pa.float64()), *KEY)


def cap_domains(spark: SparkSession, most: int, seed: int, files: Sequence[OwnFile], folder: Path) -> Tallies:
    """Write at most so many images of each domain to files of the same names in `folder`; return what was counted."""
    drawn = images_of(spark, files, ["uid", "url"], partial(_drawn, seed=seed), _FIELDS)
    order = ", ".join(["draw", *KEY_NAMES])
    ranked = drawn.selectExpr("file", "row", f"row_number() over (partition by domain order by {order}) as rank")
    # A row before the first of each file, so that a file comes of which nothing is kept.
    begins = spark.range(len(files)).selectExpr("cast(id as int) as file", "-1L as row")
    kept = ranked.where(f"rank <= {most}").select("file", "row").union(begins)
    # Tasks drop what is over the limit before images of a domain come together: none gets a whole domain.
    with settings(spark, {_LIMIT: str(most)}):
        counted = map_batches(by_file(kept, len(files)), partial(_write, files=list(files), folder=folder), SCHEMA)
        return collected(counted.groupBy("name", "language").agg(expr("sum(value) as value")))


def _drawn(batch: pa.RecordBatch, seed: int) -> list[pa.Array]:
    return [
        hosts(batch["url"], registered_domain),
        pa.array(draws(seed, PURPOSE, batch["uid"])),
        *key_columns(batch["uid"]),
    ]


def _write(kept: Iterable[pa.RecordBatch], files: Sequence[OwnFile], folder: Path) -> Iterator[pa.RecordBatch]:
    rows = RowStream(kept)
    for number in rows.files():
        yield _write_kept(files[number], number, rows, folder / files[number].path.name).batch()


def _write_kept(file: OwnFile, number: int, kept: RowStream, path: Path) -> Tallies:
    """Write the images of a file whose rows come."""
    tallies, begin = Tallies(), 0
    with part_writer(path, MATCHED, MATCHED_ROW_GROUP) as writer:
        for batch in batches(file, MATCHED_ROW_GROUP):
            end, stays = begin + batch.num_rows, np.zeros(batch.num_rows, bool)
            taken = kept.take(number, begin, end)
            rows = np.empty(0, np.int64) if taken is None else taken["row"].to_numpy()
            stays[rows[rows >= 0] - begin] = True
            tallies.add("removed", int((~stays).sum()))
            tally_texts(batch, ~stays, "texts", tallies)
            writer.write(batch.filter(pa.array(stays)))
            begin = end
    tallies.add("passed", writer.rows)
    tally(tallies, path, writer.checksum)
    return tallies
