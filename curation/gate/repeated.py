"""Find the texts that very many images have: templates of shops and of services, which say nothing of an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.functions import expr

from curation.images.tasks import MATCHED_ROW_GROUP
from curation.images.uids import uid_hashes
from runtime.arrow.buffers import parts
from runtime.shipping import Shipped
from runtime.spark import over
from runtime.storage.arrays import open_array
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches

_COUNTS = pa.schema([pa.field("hash", pa.int64()), pa.field("images", pa.int64())])


def repeated_texts(spark: SparkSession, files: Sequence[OwnFile], most: int) -> np.ndarray:
    """Return the hashes of the texts that more than `most` images have, ascending.

    A hash has 64 bits: of ten billion texts none is likely to share that of one of a million repeated ones.
    """
    counts = over(spark, list(files), _count, _COUNTS).groupBy("hash").agg(expr("sum(images) as images"))
    repeated = counts.where(f"images > {most}").select("hash").toArrow()
    return np.sort(repeated["hash"].to_numpy())


def is_repeated(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch, repeated: Shipped) -> np.ndarray:
    """Return which texts are among the repeated ones, whose hashes were saved and shipped."""
    hashes, known = uid_hashes(texts.field("text")), repeated.opened(open_array)
    places = np.searchsorted(known, hashes)
    out = places < len(known)
    out[out] = known[places[out]] == hashes[out]
    return out


def _count(file: OwnFile) -> Iterator[pa.RecordBatch]:
    """Yield the number of images with each text, of some images at a time: an image has a text once."""
    for batch in batches(file, MATCHED_ROW_GROUP, ["candidates.list.element.text"]):
        hashes, counts = np.unique(uid_hashes(parts(batch["candidates"])[0].field("text")), return_counts=True)
        yield pa.RecordBatch.from_arrays([pa.array(hashes), pa.array(counts)], schema=_COUNTS)
