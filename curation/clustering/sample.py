"""The vectors that training sees: those of drawn images of the manifest, in the order of their draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from curation.clustering.vectors import Embeddings
from curation.gates.tables import KEY
from curation.gating.rows import key_columns
from runtime.draws import draws
from runtime.spark import Shipped, over
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import PartWriter, batches
from runtime.storage.versions import Version
from runtime.tallies import Tallies

DRAWN = pa.schema([*KEY, pa.field("draw", pa.float64())])
PLACED = np.dtype([("high", np.int64), ("low", np.int64), ("place", np.int64)])
_ROW_GROUP = 8192


def drawn_keys(spark: SparkSession, files: Sequence[OwnFile], share: float, seed: int) -> np.ndarray:
    """Return the PLACED keys of a share of the images in files, sorted; `place` is that in the order of draws."""
    rows = over(spark, list(files), partial(_drawn, share=share, seed=seed), DRAWN).toArrow()
    high, low, draw = (column.to_numpy() for column in rows.columns)
    keys = np.empty(len(rows), PLACED)
    keys["high"], keys["low"] = high, low
    keys["place"][np.lexsort((low, high, draw))] = np.arange(len(rows))
    return keys[np.lexsort((low, high))]


def write_vectors(
    numbered: tuple[int, tuple[str, Version]], embeddings: Embeddings, keys: Shipped, folder: Path
) -> Tallies:
    """Write place and vector of the drawn images in a file of embeddings."""
    number, file = numbered
    path, drawn, tallies = folder / f"{number:05d}.parquet", _opened(keys.path()), Tallies()
    schema = _schema(embeddings.dimension)
    with PartWriter(path, schema, _ROW_GROUP) as writer:
        for rows in embeddings.read(file):
            places = places_of(drawn, *(key.to_numpy() for key in rows.keys))
            found = rows.vectors[places >= 0]
            columns = [pa.array(places[places >= 0]), pa.FixedSizeListArray.from_arrays(found.ravel(), found.shape[1])]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))
    tally(tallies, path, writer.checksum)
    return tallies


def places_of(drawn: np.ndarray, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return the place of each key among PLACED ones, -1 where it is none of them."""
    row = np.minimum(np.searchsorted(drawn["high"], high), len(drawn) - 1)
    if not len(drawn):
        return np.full(len(high), -1)
    # Of two drawn images whose keys begin with the same 64 bits, only the first is found: training lacks one vector.
    is_drawn = (drawn["high"][row] == high) & (drawn["low"][row] == low)
    return np.where(is_drawn, drawn["place"][row], -1)


def read_vectors(files: Sequence[OwnFile], number: int, dimension: int) -> np.ndarray:
    """Return the vectors of `number` drawn images in order; those that a table lacks, or has twice, are left out."""
    vectors, times = np.zeros((number, dimension), np.float32), np.zeros(number, np.int64)
    for file in files:
        for batch in batches(file):
            places = batch["place"].to_numpy()
            vectors[places] = batch["vector"].flatten().to_numpy().reshape(-1, dimension)
            np.add.at(times, places, 1)
    return vectors if (times == 1).all() else vectors[times == 1]


def _drawn(file: OwnFile, share: float, seed: int) -> Iterator[pa.RecordBatch]:
    for batch in batches(file, columns=["uid"]):
        draw = draws(seed, "sample for clusters", batch["uid"])
        is_drawn = pa.array(draw < share)
        columns = [*key_columns(batch["uid"].filter(is_drawn)), pa.array(draw).filter(is_drawn)]
        yield pa.RecordBatch.from_arrays(columns, schema=DRAWN)


def _schema(dimension: int) -> pa.Schema:
    return pa.schema([pa.field("place", pa.int64()), pa.field("vector", pa.list_(pa.float32(), dimension))])


@lru_cache(maxsize=1)
def _opened(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)
