"""Read weights of images from tables, and sort them into one file by uid: how often an epoch of training shows each.

A table has the columns `uid` (or `url`) and `weight`, as exports that draw by scores write it. A row with a weight of
null or 0 is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from curation.leaves.by_uid.mapped_rows import MappedRows, in_order, save_rows_of, sorted_schema
from curation.leaves.by_uid.tables import KEY, ImageTable, Paths, spelled
from curation.run.results import Results
from runtime.errors import InputError, typed
from runtime.storage.arrays import mapped
from runtime.storage.listing import Version
from runtime.storage.parquet import MOST_PARTS, in_parts

WEIGHT = "weight"
EXPECTED = "tables of weights: Parquet files with the columns uid (or url) and weight"
MOST = 1e6  # largest weight: times that an epoch shows an image
PART_ROWS = 1 << 20  # rows in memory at a time
ROW_BYTES = 16  # least bytes of a row in a table: those of the uid


class Weights(MappedRows):
    """The weights of many images, all above 0."""

    schema = sorted_schema(b"1", pa.field(WEIGHT, pa.float64()))
    what = "weights"

    def weight(self, uids: pa.Array) -> np.ndarray:
        """Return the weight of each image, or 0 for an image without a weight."""
        found = self.find(uids)
        return np.where(found < 0, 0.0, self.rows[WEIGHT].to_numpy()[found] if len(self) else 0.0)


@dataclass(frozen=True)
class Weighted:
    """Weights, the number of images of a run, and the number of images without a weight."""

    weights: Weights
    images: int
    without: int


@typed
def build(tables: Paths, run: Results, path: str | PathLike[str]) -> Weighted:
    """Write the weights in `tables` to the file `path`, and count the images of the run without a weight.

    Memory holds about a million rows at a time, or a 256th of all. InputError if no row is of an image of the run, or
    if an image has two different weights.
    """
    table = ImageTable.find(tables, EXPECTED, WEIGHT)
    parts = min(MOST_PARTS, 1 + table.bytes // ROW_BYTES // PART_ROWS)
    rows = (batch for file in table.files for batch in _rows(table, file))
    with TemporaryDirectory(dir=Path(path).parent, prefix=f".{Path(path).name}.") as work:
        parted = in_parts(rows, Weights.schema, parts, Path(work, "parts"))
        once = mapped((_once(part, table.name) for part in parted), Weights.schema, Path(work))
        images, without = save_rows_of(path, once, run, f"weights in {table.name}")
    return Weighted(Weights.open(path), images, without)


def _rows(table: ImageTable, file: tuple[str, Version]) -> Iterator[pa.RecordBatch]:
    """Yield the keys and weights of a file, without weights of 0; InputError for an invalid weight."""
    for batch in table.read(file, [WEIGHT]):
        try:
            weights = batch[WEIGHT].cast(pa.float64()).fill_null(0)
        except pa.ArrowException as error:
            raise InputError(f"{file[0]}: the column {WEIGHT} holds what is no number ({error})") from None
        values = weights.to_numpy()
        wrong = np.flatnonzero(~((values >= 0) & (values <= MOST)))
        if len(wrong):
            raise InputError(f"{file[0]}: a weight is {values[wrong[0]]}; weights are numbers from 0 to {MOST:,.0f}")
        columns = [*batch.columns[: len(KEY)], weights]
        yield pa.RecordBatch.from_arrays(columns, schema=Weights.schema).filter(pa.array(values > 0))


def _once(rows: pa.Table, name: str) -> pa.RecordBatch:
    """Return rows sorted by key, one per key; InputError for a key with two different weights."""
    ordered, is_repeated = in_order(rows)
    weights = ordered[WEIGHT].to_numpy()
    wrong = np.flatnonzero(is_repeated[1:] & (weights[1:] != weights[:-1]))
    if len(wrong):
        one = int(wrong[0])
        raise InputError(
            f"{name} gives the image {spelled(ordered, one)} two weights, {weights[one]} and {weights[one + 1]}; give "
            "tables of one draw"
        )
    return ordered.filter(pa.array(~is_repeated))
