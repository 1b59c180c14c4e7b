"""Find the pictures of evaluation sets among matched images: by hashes in tables with Spark, by URL in tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, reduce

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr

from curation.by_uid.tables import KEY, KEY_NAMES, ImageTable
from curation.gate.evaluation import EvaluationSets
from curation.gate.plan import EVALUATION_COLUMNS, GatePlan
from runtime.shipping import Shipped
from runtime.spark import over
from runtime.storage.versions import Version

_SETS = pa.schema([*KEY, pa.field("sets", pa.int64())])
_FINDERS: dict[str, Callable[[EvaluationSets, pa.Array], np.ndarray]] = {
    "sha256": EvaluationSets.by_sha256,
    "phash": EvaluationSets.by_phash,
}


def sets_by_hash(spark: SparkSession, plan: GatePlan, sets: Shipped) -> DataFrame | None:
    """Return KEY and `sets`, as bits, of the images whose hashes evaluation sets have; None without hashes."""
    frames = [_found(spark, table, column, sets) for column in EVALUATION_COLUMNS for table in plan.tables_with(column)]
    if not frames:
        return None
    return reduce(DataFrame.union, frames).groupBy(*KEY_NAMES).agg(expr("bit_or(sets) as sets"))


def known_sets(batch: pa.RecordBatch, sets: Shipped) -> np.ndarray:
    """Return the sets that have the URL of each image of a MATCHED batch."""
    return sets.opened(EvaluationSets.open).known(batch)


def _found(spark: SparkSession, table: ImageTable, column: str, sets: Shipped) -> DataFrame:
    return over(spark, list(table.files), partial(_read, table=table, column=column, sets=sets), _SETS)


def _read(file: tuple[str, Version], table: ImageTable, column: str, sets: Shipped) -> Iterator[pa.RecordBatch]:
    """Yield the images of a file that a set has."""
    for batch in table.read(file, [column]):
        *keys, hashes = batch.columns
        found = _FINDERS[column](sets.opened(EvaluationSets.open), hashes)
        rows = pa.RecordBatch.from_arrays([*keys, pa.array(found.astype(np.int64))], schema=_SETS)
        yield rows.filter(pa.array(found != 0))
