"""Read weights of images from tables, and sort them into one file by uid.

The weight of an image is how often an epoch shows it, on average. A table has the columns `uid` (or `url`) and
`weight`. A row with a weight of null or 0 is ignored. `lift` computes weights that show rare entries or small
clusters more often.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from os import PathLike

import numpy as np
import pyarrow as pa

from curation.balancing.thresholds import entry_ids
from curation.image_ids import KEY, key_columns, spelled_key
from curation.plugins.annotations.clusters import Clusters
from curation.plugins.annotations.mapped_rows import (
    MappedRows,
    rows_by_key,
    save_rows_of,
    sorted_rows,
    sorted_schema,
    work_beside,
)
from curation.plugins.joins.image_tables import File, ImageTable, Paths
from curation.run.finished_run import matched_files, pool_files
from curation.run.results import Results
from runtime.argument_types import require_integer, require_number, typed
from runtime.arrow import parts as lists_of
from runtime.errors import InputError
from runtime.storage.parquet import batches

WEIGHT = "weight"
EXPECTED_WEIGHTS = "tables of weights: Parquet files with the columns uid (or url) and weight"
LARGEST_WEIGHT = 1e6  # An epoch shows an image at most so many times.
PART_ROWS = 1 << 20  # Memory holds so many rows at a time.


class Weights(MappedRows):
    """The weights of many images, all above 0."""

    schema = sorted_schema(b"1", pa.field(WEIGHT, pa.float64()))
    what = "weights"

    def weight(self, uids: pa.Array) -> np.ndarray:
        """Return the weight of each image, or 0 for an image without a weight."""
        rows = self.find(uids)
        return np.where(rows < 0, 0.0, self.rows[WEIGHT].to_numpy()[rows] if len(self) else 0.0)


@dataclass(frozen=True)
class Weighted:
    """The weights that `build` wrote, the number of images of the run, and how many of these have no weight."""

    weights: Weights
    images: int
    without: int


@typed
def build(tables: Paths, run: Results, path: str | PathLike[str]) -> Weighted:
    """Write the weights in `tables` to the file `path`, and count the images of the run without a weight.

    Memory holds about a million rows at a time, or a 256th of all if that is more. InputError if no row is of an
    image of the run, or if an image has two different weights.
    """
    table = ImageTable.find(tables, EXPECTED_WEIGHTS, WEIGHT)
    rows = chain.from_iterable(_rows(table, file) for file in table.files)
    with work_beside(path) as work:
        once = partial(_once, name=table.name)
        parts = 1 + table.rows // PART_ROWS
        rows_by_key = sorted_rows(rows, Weights.schema, parts, once, work, Weights.schema)
        counts = save_rows_of(path, rows_by_key, pool_files(run), f"weights in {table.name}")
    return Weighted(Weights.open(path), *counts)


def _rows(table: ImageTable, file: File) -> Iterator[pa.RecordBatch]:
    """Yield KEY and weight of each row of a file, without weights of 0 or null; InputError for an invalid weight."""
    for batch in table.read(file, [WEIGHT]):
        try:
            weights = batch[WEIGHT].cast(pa.float64()).fill_null(0)
        except pa.ArrowException as error:
            raise InputError(f"{file[0]}: the column {WEIGHT} has a value that is not a number ({error})") from None
        values = weights.to_numpy()
        wrong = np.flatnonzero(~((values >= 0) & (values <= LARGEST_WEIGHT)))
        if len(wrong):
            raise InputError(
                f"{file[0]}: a weight is {values[wrong[0]]}; weights are numbers from 0 to {LARGEST_WEIGHT:,.0f}"
            )
        columns = [*batch.columns[: len(KEY)], weights]
        yield pa.RecordBatch.from_arrays(columns, schema=Weights.schema).filter(pa.array(values > 0))


def _once(rows: pa.Table, name: str) -> pa.RecordBatch:
    """Return rows sorted by KEY, one per KEY; InputError, which names the tables, if an image has two weights."""
    ordered, is_repeated = rows_by_key(rows)
    weights = ordered[WEIGHT].to_numpy()
    wrong = np.flatnonzero(is_repeated[1:] & (weights[1:] != weights[:-1]))
    if len(wrong):
        one = int(wrong[0])
        raise InputError(
            f"{name} gives the image {spelled_key(ordered, one)} two weights, {weights[one]} and {weights[one + 1]}; "
            "give tables of one draw"
        )
    return ordered.filter(pa.array(~is_repeated))


@dataclass(frozen=True)
class Lift:
    """Parameters of `lift`: an epoch shows the n images of a cluster, or of an entry, in proportion to n^power.

    samples: the samples of an epoch, before `most` limits the weights.
    power: 1 shows all images equally often, 0 all clusters equally often. DynamiCS uses 0.2 in its published code.
    most: the largest weight, which is how often an epoch shows an image on average. 1, as in DynamiCS, never repeats.
    """

    samples: int
    power: float = 0.2
    most: float = 2.0

    def __post_init__(self) -> None:
        require_integer("samples", self.samples, 1)
        require_number("power", self.power, 0, 1)
        require_number("most", self.most, 0.001, LARGEST_WEIGHT)


@dataclass(frozen=True)
class Lifted:
    """The weights that `lift` wrote, the mean number of samples per epoch, and `again`.

    again: the mean number of samples per epoch that repeat an image of this epoch.
    """

    weights: Weights
    samples: float
    again: float
    without: int  # the number of images of the run without a weight


@typed
def lift(how: Lift, run: Results, path: str | PathLike[str], clusters: Clusters | None = None) -> Lifted:
    """Write weights of a run's images to the file `path`, by clusters or, if `clusters` is None, by entries.

    Fine clusters count if all images of `clusters` have one, otherwise coarse clusters. By entries, our own
    variant, a text has the weight of its rarest entry, and an image the mean of its texts' weights.
    """
    with work_beside(path) as work:
        rows = _by_entries(run, how.power, work) if clusters is None else _by_clusters(clusters.rows, how.power)
        shares = rows[WEIGHT].to_numpy()
        wanted = shares * (how.samples / (shares.sum() or 1))
        weights = np.minimum(wanted, how.most)
        rows = rows.set_column(len(KEY), Weights.schema.field(WEIGHT), pa.array(weights)).filter(pa.array(weights > 0))
        _, without = save_rows_of(path, rows, pool_files(run), "weights")
    again = np.maximum(weights - 1, 0).sum()
    return Lifted(Weights.open(path), float(weights.sum()), float(again), without)


def _by_clusters(rows: pa.RecordBatch, power: float) -> pa.RecordBatch:
    """Return KEY of each image and n^(power - 1), where n is the number of images in its cluster."""
    clusters = rows["fine"].to_numpy()
    clusters = clusters if (clusters >= 0).all() else rows["coarse"].to_numpy()
    _, cluster, images = np.unique(clusters, return_inverse=True, return_counts=True)
    weights = pa.array((images ** (power - 1.0))[cluster])
    return pa.RecordBatch.from_arrays([*rows.columns[: len(KEY)], weights], schema=Weights.schema)


def _by_entries(run: Results, power: float, work: str) -> pa.RecordBatch:
    """Return each image's KEY, and the mean of n^(power - 1) over its texts.

    Here n is the number of texts that have the rarest entry of the text.
    """
    of_entries = np.maximum(run.counts, 1) ** (power - 1.0)

    def rows() -> Iterator[pa.RecordBatch]:
        for file in matched_files(run):
            for batch in batches(file, PART_ROWS, ["uid", "candidates"]):
                columns = [*key_columns(batch["uid"]), pa.array(_means(batch, of_entries))]
                yield pa.RecordBatch.from_arrays(columns, schema=Weights.schema)

    parts = 1 + run.counted[1] // PART_ROWS
    return sorted_rows(rows(), Weights.schema, parts, lambda part: rows_by_key(part)[0], work, Weights.schema)


def _means(batch: pa.RecordBatch, of_entries: np.ndarray) -> np.ndarray:
    texts, of_images = lists_of(batch["candidates"])
    ids, of_texts = entry_ids(texts.field("entries"), len(of_entries))
    largest = _reduced(np.maximum, of_entries[ids], of_texts)
    return _reduced(np.add, largest, of_images) / np.maximum(np.diff(of_images), 1)


def _reduced(by: np.ufunc, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return an array: `by` over values[offsets[i]:offsets[i + 1]] for each i, or 0 where this range is empty."""
    out = np.zeros(len(offsets) - 1)
    is_any = np.diff(offsets) > 0
    if is_any.any():
        out[is_any] = by.reduceat(values, offsets[:-1][is_any])
    return out
