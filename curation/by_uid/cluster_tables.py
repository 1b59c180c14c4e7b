"""Gather the clusters of a run's images from tables by uid, for exports and for training.

A table has the columns `uid` (or `url`) and `coarse`, and perhaps `fine` and `distance`, as clip-cluster writes them.
Rows of other images are passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.clusters import CLUSTERED, Clusters
from curation.by_uid.mapped_rows import KEY, rows_of
from curation.by_uid.tables import KEY_NAMES, ImageTable, Paths
from curation.run.finished import curated_files, pool_files
from curation.run.results import Results
from runtime.arrow.mapped import mapped
from runtime.arrow.uid_keys import exact_numbers
from runtime.errors import InputError
from runtime.storage.key_parts import MOST_PARTS, in_parts
from runtime.storage.own_files import OwnFile, own_files
from runtime.storage.parquet import batches
from runtime.storage.paths import as_path, reachable
from runtime.storage.whole import read_json

EXPECTED = "a folder of clip-cluster, or Parquet files with the columns uid (or url) and coarse"
REMEDY = "run the same command of clip-cluster again, with --overwrite"
KEYS = pa.schema(KEY)
OF_NONE = {"coarse": None, "fine": -1, "distance": np.nan}  # where a table has no such column
PART_ROWS = 1 << 20  # in memory at a time
ROW_BYTES = 16  # of a table at least: those of the uid


@dataclass(frozen=True)
class Clustered:
    """Clusters, and how many of the images that a run counted have none."""

    clusters: Clusters
    images: int
    without: int


def build(tables: Paths, run: Results, path: str | PathLike[str]) -> Clustered:
    """Write the clusters of the run's images to one file, and count the images that have none.

    Memory holds about a million rows at a time, or a 256th of them. Tables of which no row is of the run are refused,
    and those that give an image no cluster, or two different ones.
    """
    path, given, counted = Path(path), [*map(str, tables)], _Counted()
    names, table = ", ".join(given), ImageTable.find([*map(_table_in, given)], EXPECTED)
    sources = (_rows(table), _keys(pool_files(run)), _keys(curated_files(run)))
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        work, number = Path(folder), _number(table, run)
        spread = [
            in_parts(batches, schema, number, work / f"{source}")
            for source, (batches, schema) in enumerate(zip(sources, (CLUSTERED, KEYS, KEYS), strict=True))
        ]
        joined = (counted.joined(_sorted(rows, names), pool, kept) for rows, pool, kept in zip(*spread, strict=True))
        rows = mapped(joined, CLUSTERED, work)
        if not rows.num_rows:
            raise InputError(f"none of the rows of {names} is of an image of {run.path}")
        Clusters.save(path, rows, counted.kept)
    return Clustered(Clusters.open(path), counted.images, counted.without)


@dataclass
class _Counted:
    """What the parts of a run are found to have."""

    images: int = 0
    without: int = 0
    kept: Counter[int] = field(default_factory=Counter)

    def joined(self, rows: pa.RecordBatch, pool: pa.Table, kept: pa.Table) -> pa.RecordBatch:
        """Return the rows of the images of the pool, and count these and the kept ones; `rows` are sorted."""
        found = rows_of(rows, _numbers(pool))
        self.images += len(found)
        self.without += int((found < 0).sum())
        of_kept = rows_of(rows, _numbers(kept))
        self.kept.update(rows["coarse"].to_numpy()[of_kept[of_kept >= 0]].tolist())
        return rows.take(pa.array(np.sort(found[found >= 0])))


def _table_in(path: str) -> str:
    """Return where a folder of clip-cluster has its table, which must be whole; any other path is a table itself."""
    folder = as_path(path)
    with reachable(path):
        facts = read_json(folder / "clusters.json")
    if facts is None:
        return path
    known, prefix = facts.get("checksums", {}), "clusters/"
    checksums = {name.removeprefix(prefix): each for name, each in known.items() if name.startswith(prefix)}
    own_files(folder / "clusters", checksums, REMEDY)  # none is missing; each is compared when it is read
    return str(folder / "clusters")


def _number(table: ImageTable, run: Results) -> int:
    """Return the number of parts that are joined one after the other."""
    rows = sum(version.size or 0 for _, version in table.files) // ROW_BYTES
    return min(MOST_PARTS, 1 + max(rows, run.counted[1]) // PART_ROWS)


def _keys(files: list[OwnFile]) -> Iterator[pa.RecordBatch]:
    """Yield the KEYS of the images in files."""
    for file in files:
        for batch in batches(file, PART_ROWS, ["uid"]):
            yield pa.RecordBatch.from_arrays([*map(pa.array, exact_numbers(batch["uid"]).T.copy())], schema=KEYS)


def _numbers(keys: pa.Table) -> np.ndarray:
    return np.stack([column.to_numpy() for column in keys.columns], axis=1)


def _rows(table: ImageTable) -> Iterator[pa.RecordBatch]:
    """Yield all rows of a table as CLUSTERED."""
    if "coarse" not in table.columns.names:
        raise InputError(f"{table.name} has the columns {', '.join(table.columns.names)}; expected {EXPECTED}")
    columns = [name for name in OF_NONE if name in table.columns.names]
    for file in table.files:
        for batch in table.read(file, columns):
            known = {name: _column(batch, name, file[0]) for name in columns}
            values = [
                known[name] if name in known else pa.repeat(pa.scalar(of_none, CLUSTERED.field(name).type), len(batch))
                for name, of_none in OF_NONE.items()
            ]
            keys = [batch[name] for name in KEY_NAMES]
            yield pa.RecordBatch.from_arrays([*keys, *values], schema=CLUSTERED)


def _column(batch: pa.RecordBatch, name: str, path: str) -> pa.Array:
    """Return a column as in CLUSTERED; refuse what is no cluster or no distance."""
    kind = CLUSTERED.field(name).type
    try:
        column = batch[name].cast(kind)
    except pa.ArrowException as error:
        raise InputError(f"{path}: the column {name} holds what is no {kind} ({error})") from None
    if pa.types.is_floating(kind):
        return column.fill_null(np.nan)
    if column.null_count or (pc.min(column).as_py() or 0) < 0:
        wrong = "null" if column.null_count else pc.min(column)
        raise InputError(f"{path}: a row has {wrong} as {name}; clusters are numbers from 0, leave out images without")
    return column


def _sorted(rows: pa.Table, names: str) -> pa.RecordBatch:
    """Return CLUSTERED rows in the order of keys, equal ones as they came; refuse one key with different clusters."""
    rows = rows.take(pa.array(np.lexsort((rows["low"].to_numpy(), rows["high"].to_numpy())))).combine_chunks()
    high, low, coarse, fine = (rows[name].to_numpy() for name in ("high", "low", "coarse", "fine"))
    is_same = [each[1:] == each[:-1] for each in (high, low, coarse, fine)]
    wrong = np.flatnonzero(is_same[0] & is_same[1] & ~(is_same[2] & is_same[3]))
    if len(wrong):
        one, other = wrong[0], wrong[0] + 1
        key = "".join(f"{int(half[one]) % 2**64:016x}" for half in (high, low))  # the uid, where that is an MD5
        raise InputError(
            f"{names} put the image {key} into two clusters, {coarse[one]} and {coarse[other]} (fine {fine[one]} and "
            f"{fine[other]}); give tables of one clustering"
        )
    return pa.RecordBatch.from_arrays([column.combine_chunks() for column in rows.columns], schema=CLUSTERED)
