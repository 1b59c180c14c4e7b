"""Clusters of images: read from tables, sorted into one file by uid, joined to images, and chosen among.

A table has the columns `uid` (or `url`) and `coarse`, and optionally `fine` and `distance`, as clip-cluster writes
them. Rows about images that the run does not have are skipped.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import KEY, spelled_key
from curation.plugins.annotations.mapped_rows import (
    MappedRows,
    rows_at,
    rows_by_key,
    save_rows,
    sorted_schema,
    work_beside,
)
from curation.plugins.joins.image_tables import File, ImageTable, Paths
from curation.plugins.joins.uid_join import Table, first, keys
from curation.run.finished_run import FinishedRun, curated_files, pool_files
from runtime.argument_types import require_kind, require_seed, require_share, typed
from runtime.arrow import differs
from runtime.draws import draws
from runtime.errors import InputError, ParameterError
from runtime.redaction import hidden
from runtime.storage.arrays import mapped_batch
from runtime.storage.json_files import read_json
from runtime.storage.own_files import own_files
from runtime.storage.parquet import MOST_PARTS, in_parts
from runtime.storage.paths import as_path, reachable
from runtime.tallies import values_under

CLUSTER = (pa.field("coarse", pa.int32()), pa.field("fine", pa.int32()))  # These columns are joined to an image.
EXPECTED_CLUSTERS = "a folder of clip-cluster, or Parquet files with the columns uid (or url) and coarse"
REMEDY = "run the same command of clip-cluster again with --overwrite"
KEPT_BY_CLUSTER = b"kept"
OF_NONE = {"coarse": None, "fine": -1, "distance": np.nan}  # A column that a table does not have gets this value.
PART_ROWS = 1 << 20  # Memory holds so many rows at a time.


class Clusters(MappedRows):
    """The coarse and the fine cluster of many images, and each image's distance from its cluster's centre."""

    schema = sorted_schema(b"1", *CLUSTER, pa.field("distance", pa.float32()))
    what = "clusters"

    @cached_property
    def kept(self) -> dict[int, int]:
        """The number of images that the run kept in each coarse cluster; clusters without a kept image are left out."""
        by_cluster = json.loads(self.rows.schema.metadata[KEPT_BY_CLUSTER])
        return {int(cluster): images for cluster, images in by_cluster.items()}

    def coarse(self, uids: pa.Array) -> np.ndarray:
        """Return the coarse cluster of each image, or -1 for an image without a cluster."""
        rows = self.find(uids)
        return np.where(rows < 0, -1, self.rows["coarse"].to_numpy()[rows])


@dataclass(frozen=True)
class Clustered:
    """The clusters that `build` wrote, the number of images of the run, and how many of these have no cluster."""

    clusters: Clusters
    images: int
    without: int


@typed
def build(tables: Paths, run: FinishedRun, path: str | PathLike[str]) -> Clustered:
    """Write the clusters of the run's images to the file `path`, and count the images without a cluster.

    Memory holds about a million rows at a time, or a 256th of all if that is more. InputError if no row is for an
    image of the run, or if a table gives an image an invalid cluster or two different clusters.
    """
    names = paths_of(tables)
    counted = _Counted()
    table = find_clusters(tables)
    # The parts are worked on one after the other.
    number = min(MOST_PARTS, 1 + max(table.rows, run.counted[1]) // PART_ROWS)
    with work_beside(path) as folder:
        work = Path(folder)
        table_rows = chain.from_iterable(cluster_rows(table, file) for file in table.files)
        rows_in_parts = in_parts(table_rows, Clusters.schema, number, work / "rows")
        images_in_parts = (
            in_parts(chain.from_iterable(map(keys, files(run))), pa.schema(KEY), number, work / files.__name__)
            for files in (pool_files, curated_files)
        )
        parts = zip(rows_in_parts, *images_in_parts, strict=True)
        joined = (counted.joined(_sorted(rows, names), pool, kept) for rows, pool, kept in parts)
        rows = mapped_batch(joined, Clusters.schema, work)
        if not rows.num_rows:
            raise InputError(
                f"none of the rows of {names} belongs to an image of {run.path}; pass uids or URLs of this run"
            )
        kept = json.dumps(dict(sorted(counted.kept.items()))).encode()
        save_rows(path, rows.replace_schema_metadata(Clusters.schema.metadata | {KEPT_BY_CLUSTER: kept}))
    return Clustered(Clusters.open(path), counted.images, counted.without)


def find_clusters(tables: Paths) -> ImageTable:
    """Return the table of clusters in output folders of clip-cluster, or in files, folders, globs or URLs.

    InputError if there is no such table.
    """
    return ImageTable.find([table_in(str(path), "clusters") for path in tables], EXPECTED_CLUSTERS, "coarse")


def paths_of(tables: Paths) -> str:
    """Return the paths as the user gave them, without secrets, separated by commas."""
    return ", ".join(hidden(str(path)) for path in tables)


@dataclass
class _Counted:
    """Counts of a run's images, of its images without a cluster, and of its kept images by coarse cluster."""

    images: int = 0
    without: int = 0
    kept: Counter[int] = field(default_factory=Counter)

    def joined(self, rows: pa.RecordBatch, pool: pa.Table, kept: pa.Table) -> pa.RecordBatch:
        """Return the rows about images of the pool, sorted by KEY, and add the images to the counts.

        `rows` must be sorted by KEY. `pool` and `kept` have the KEY of all images and of kept images.
        """
        of_pool, of_kept = (rows_at(rows, np.stack([*map(np.asarray, part.columns)], axis=1)) for part in (pool, kept))
        self.images += len(of_pool)
        self.without += int((of_pool < 0).sum())
        self.kept.update(rows["coarse"].to_numpy()[of_kept[of_kept >= 0]].tolist())
        return rows.take(pa.array(np.sort(of_pool[of_pool >= 0])))


def table_in(path: str, name: str) -> str:
    """Return the path of the table `name` in an output folder of clip-cluster; any other path is returned unchanged.

    InputError if files of the table are missing, or if a table of copies is asked for and the folder has none.
    """
    folder = as_path(path)
    with reachable(path):
        facts = read_json(folder / "clusters.json")
    if facts is None:
        return path
    checksums = values_under(facts.get("checksums", {}), f"{name}/")
    if name == "copies" and not checksums:
        raise InputError(f"{hidden(path)} has clusters but no copies; find copies with clip-cluster --same-meaning")
    own_files(folder / name, checksums, REMEDY)  # This finds missing files; each file is compared when it is read.
    return str(folder / name)


def cluster_rows(table: ImageTable, file: File) -> Iterator[pa.RecordBatch]:
    """Yield the rows in a file of a table in the schema of Clusters."""
    columns = [name for name in OF_NONE if name in table.columns.names]
    for batch in table.read(file, columns):
        values = [_column(batch, name, file[0]) for name in OF_NONE]
        yield pa.RecordBatch.from_arrays([*batch.columns[: len(KEY)], *values], schema=Clusters.schema)


def _column(batch: pa.RecordBatch, name: str, path: str) -> pa.Array:
    """Return the column `name` in the type that Clusters has; InputError for an invalid cluster or distance.

    If the batch lacks the column, all values are the column's value in OF_NONE. `path` names the table in the error.
    """
    kind = Clusters.schema.field(name).type
    if name not in batch.schema.names:
        return pa.repeat(pa.scalar(OF_NONE[name], kind), len(batch))
    try:
        column = batch[name].cast(kind)
    except pa.ArrowException as error:
        raise InputError(f"{path}: the column {name} has a value that is not of the type {kind} ({error})") from None
    if pa.types.is_floating(kind):
        return column.fill_null(np.nan)
    if column.null_count or (pc.min(column).as_py() or 0) < 0:
        wrong = "null" if column.null_count else pc.min(column)
        raise InputError(
            f"{path}: a row has {wrong} as {name}; clusters are numbers from 0. Leave out images without a cluster"
        )
    return column


def _sorted(rows: pa.Table, names: str) -> pa.RecordBatch:
    """Return rows sorted by KEY; InputError, which names the tables, if rows of one image state different clusters."""
    ordered, is_repeated = rows_by_key(rows)
    _require_one_cluster(ordered, is_repeated, names)
    return ordered


def _require_one_cluster(rows: pa.RecordBatch, is_repeated: np.ndarray, names: str) -> None:
    """Raise InputError if rows about one image state different clusters; `names` are the tables, for the message.

    `is_repeated` is a mask of rows about the same image as the row before; KEY must be the first columns of `rows`.
    """
    coarse, fine = (rows[name].to_numpy() for name in ("coarse", "fine"))
    wrong = np.flatnonzero(is_repeated[1:] & ((coarse[1:] != coarse[:-1]) | (fine[1:] != fine[:-1])))
    if len(wrong):
        one = wrong[0]
        other = wrong[0] + 1
        raise InputError(
            f"{names} put the image {spelled_key(rows, one)} into two clusters, {coarse[one]} and {coarse[other]} "
            f"(fine {fine[one]} and {fine[other]}); pass tables of one clustering"
        )


@dataclass(frozen=True)
class Choice:
    """The images of the coarse clusters `coarse`, and images of other clusters (outsiders), each drawn with `chance`.

    `kept` has the number of images that the run kept, by coarse cluster; `outsiders` is the expected share of outsiders
    among the kept images that are taken. Images without a cluster are left out.
    """

    kept: Mapping[int, int]
    coarse: tuple[int, ...]
    outsiders: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_share("outsiders", self.outsiders)
        require_seed(self.seed)
        require_kind("coarse", self.coarse, Collection, "the numbers of coarse clusters, such as (2,)")
        if not self.coarse:
            raise InputError("an expert has no cluster; pass the number of at least one coarse cluster")
        empty = [cluster for cluster in self.coarse if not self.kept.get(cluster)]
        if empty:
            filled = ", ".join(str(cluster) for cluster, images in sorted(self.kept.items()) if images)
            raise InputError(
                f"the run kept no image of cluster {empty[0]}; it kept images of clusters {filled or '(none)'}"
            )
        chosen, others = self._sizes
        if self.outsiders * (chosen + others) > others:
            most = f"{others / (chosen + others):.4g}"
            raise ParameterError(
                f"is {self.outsiders}; it must be at most {most}, the share of other clusters in the images that the "
                "run kept",
                "outsiders",
            )

    @property
    def chance(self) -> float:
        """The probability with which an image of another cluster is taken: s·I / ((1 - s)·O).

        I and O are the numbers of images that the run kept of the chosen clusters and of others, s is `outsiders`.
        """
        chosen, others = self._sizes
        return self.outsiders * chosen / ((1 - self.outsiders) * others) if self.outsiders else 0.0

    def takes(self, uids: pa.Array, coarse: np.ndarray) -> np.ndarray:
        """Return whether each image is chosen, bool[image]; `coarse` has its coarse cluster, below 0 if it has none."""
        is_own = np.isin(coarse, self.coarse)
        if not self.outsiders:
            return is_own
        return is_own | (coarse >= 0) & (draws(self.seed, "outsider", uids) < self.chance)

    @property
    def _sizes(self) -> tuple[int, int]:
        chosen = sum(self.kept[cluster] for cluster in {*self.coarse})
        return chosen, sum(self.kept.values()) - chosen


def cluster_table(paths: Paths) -> Table:
    """Return a table of clusters for a join, which raises InputError for an image in two clusters."""
    table = find_clusters(paths)
    once = partial(_one_cluster, names=paths_of(paths))
    return Table(table.files, table.rows, partial(_joined, table=table), once, CLUSTER)


def _joined(file: File, table: ImageTable) -> Iterator[pa.RecordBatch]:
    for batch in cluster_rows(table, file):
        *others, fine, _ = batch.columns
        columns = [*others, pc.if_else(pc.less(fine, 0), None, fine)]
        yield pa.RecordBatch.from_arrays(columns, schema=pa.schema([*KEY, *CLUSTER]))


def _one_cluster(rows: pa.RecordBatch, images: np.ndarray, names: str) -> np.ndarray:
    rows = rows.set_column(rows.schema.names.index("fine"), "fine", pc.fill_null(rows["fine"], -1))
    order = np.lexsort((rows["fine"].to_numpy(), rows["coarse"].to_numpy(), images))
    _require_one_cluster(rows.take(pa.array(order)), ~differs(images[order]), names)
    return order[first(rows, images[order])]
