"""Gather the clusters of a run's images from tables by uid, for exports and for training.

A table has the columns `uid` (or `url`) and `coarse`, and perhaps `fine` and `distance`, as clip-cluster writes them.
Rows of other images are passed over.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.gates.tables import KEY_NAMES, ImageTable
from curation.online.clusters import CLUSTERED, KEPT, Clusters
from curation.runs.finished import curated_files, matched_files
from curation.runs.results import Results
from runtime.arrow.uid_keys import BUCKETS, KEY, exact_numbers, spread
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile, intact, own_files
from runtime.storage.parquet import batches
from runtime.storage.paths import as_path, reachable
from runtime.storage.whole import read_json, whole

COARSE, FINE, DISTANCE = "coarse", "fine", "distance"
EXPECTED = "a folder of clip-cluster, or Parquet files with the columns uid (or url) and coarse"
REMEDY = "run the same command of clip-cluster again, with --overwrite"
RECORD = np.dtype([("key", KEY), (COARSE, np.int32), (FINE, np.int32), (DISTANCE, np.float32)])
OF_NONE = {COARSE: -1, FINE: -1, DISTANCE: np.nan}  # where a table has no such column
HALVES = ("high", "low")  # of a key
KINDS = (RECORD, KEY, KEY)  # of rows, images of the pool, and kept ones
BATCH_ROWS = PART_ROWS = 1 << 20  # in memory at a time
ROW_BYTES = 16  # of a table at least: those of the uid
FLIPPED = np.array(
    [-(2**63), 0]
)  # the bits in which a key differs from a uid's numbers: so its bytes are in their order


@dataclass(frozen=True)
class Clustered:
    """Clusters, and how many of the images that a run counted have none."""

    clusters: Clusters
    images: int
    without: int


def build(tables: Sequence[str], run: Results, path: str | PathLike[str]) -> Clustered:
    """Write the clusters of the run's images to one file, and count the images that have none.

    Memory holds about a million rows at a time, or a 256th of them. Tables of which no row is of the run are refused,
    and those that give an image no cluster, or two different ones.
    """
    path, names = Path(path), ", ".join(tables)
    table = ImageTable.find([*map(_table_in, tables)], EXPECTED)
    sources = {"rows": _records(table), "pool": _keys(_pool_files(run)), "kept": _keys(curated_files(run))}
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder, ExitStack() as stack:
        work = Path(folder)
        parts = {name: [work / f"{name}.{number}" for number in range(_number(table, run))] for name in sources}
        for name, arrays in sources.items():
            spread(arrays, parts[name])
        joined = _Joined(work, stack)
        for paths in zip(*parts.values(), strict=True):
            rows, pool, kept = map(np.fromfile, paths, KINDS)
            joined.add(_sorted(rows, names), pool, kept)
        if joined.images == joined.without:
            raise InputError(f"none of the rows of {names} is of an image of {run.path}")
        joined.save(path)
    return Clustered(Clusters.open(path), joined.images, joined.without)


class _Joined:
    """The rows of a run's images, each column in a file of its own, and how many images have none."""

    def __init__(self, work: Path, stack: ExitStack) -> None:
        self.images = self.without = 0
        self._kept: Counter[int] = Counter()
        self._columns = {name: stack.enter_context((work / name).open("w+b")) for name in CLUSTERED.names}

    def add(self, rows: np.ndarray, pool: np.ndarray, kept: np.ndarray) -> None:
        """Add those of the sorted RECORDs that are of the pool; all keys are greater than those before."""
        found = np.sort(_rows_of(pool, rows["key"]))
        self.images += len(pool)
        self.without += len(pool) - len(found)
        self._kept.update(rows[COARSE][_rows_of(kept, rows["key"])].tolist())
        numbers = _numbers_of(rows["key"][found])
        for name, file in self._columns.items():
            column = numbers[:, HALVES.index(name)] if name in HALVES else rows[name][found]
            column.tofile(file)

    def save(self, path: Path) -> None:
        """Write CLUSTERED rows as one batch: the columns of one batch can be mapped."""
        kept = json.dumps(dict(sorted(self._kept.items())))
        schema = CLUSTERED.with_metadata(CLUSTERED.metadata | {KEPT: kept.encode()})
        arrays = []
        for column, file in zip(schema, self._columns.values(), strict=True):
            file.flush()
            arrays.append(pa.array(np.memmap(file, column.type.to_pandas_dtype(), "r")))
        options = pa.ipc.IpcWriteOptions(allow_64bit=True)  # of rows
        with whole(path) as partial, pa.ipc.new_file(str(partial), schema, options=options) as out:
            out.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _rows_of(keys: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """Return the first places of those keys that are among the ascending ones."""
    places = np.searchsorted(ascending, keys)
    is_inside = places < len(ascending)
    places, keys = places[is_inside], keys[is_inside]
    return places[ascending[places] == keys]


def _table_in(path: str) -> str:
    """Return where a folder of clip-cluster has its table, which must be whole; any other path is a table itself."""
    folder = as_path(path)
    with reachable(path):
        facts = read_json(folder / "clusters.json")
    if facts is None:
        return path
    known, prefix = facts.get("checksums", {}), "clusters/"
    checksums = {name.removeprefix(prefix): each for name, each in known.items() if name.startswith(prefix)}
    for file in own_files(folder / "clusters", checksums, REMEDY):
        with intact(file):
            pass
    return str(folder / "clusters")


def _number(table: ImageTable, run: Results) -> int:
    """Return the number of parts that are joined one after the other."""
    rows = sum(version.size or 0 for _, version in table.files) // ROW_BYTES
    return min(BUCKETS, 1 + max(rows, run.counted[1]) // PART_ROWS)


def _pool_files(run: Results) -> list[OwnFile]:
    """Return the files of the images that were counted; of a run without some images, which has none, the manifest."""
    return curated_files(run) if run.facts.get("removals") else matched_files(run)


def _keys(files: list[OwnFile]) -> Iterator[np.ndarray]:
    """Yield the KEYs of the images in files."""
    for file in files:
        for batch in batches(file, BATCH_ROWS, ["uid"]):
            yield _as_keys(exact_numbers(batch["uid"]))


def _as_keys(numbers: np.ndarray) -> np.ndarray:
    """Return KEYs of `exact_numbers` that ascend as these do."""
    return (numbers ^ FLIPPED).astype(">i8").view(KEY).ravel()


def _numbers_of(keys: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(keys).view(">i8").reshape(-1, len(HALVES)).astype(np.int64) ^ FLIPPED


def _records(table: ImageTable) -> Iterator[np.ndarray]:
    """Yield all rows of a table as RECORDs."""
    if COARSE not in table.columns.names:
        raise InputError(f"{table.name} has the columns {', '.join(table.columns.names)}; expected {EXPECTED}")
    columns = [name for name in (COARSE, FINE, DISTANCE) if name in table.columns.names]
    for file in table.files:
        for batch in table.read(file, columns):
            records = np.empty(batch.num_rows, RECORD)
            records["key"] = _as_keys(np.stack([batch[name].to_numpy() for name in KEY_NAMES], axis=1))
            for name, of_none in OF_NONE.items():
                records[name] = _numbers(batch, name, file[0]) if name in columns else of_none
            yield records


def _numbers(batch: pa.RecordBatch, name: str, path: str) -> np.ndarray:
    """Return a column as in RECORD; refuse what is no cluster or no distance."""
    kind = CLUSTERED.field(name).type
    try:
        column = batch[name].cast(kind)
    except pa.ArrowException as error:
        raise InputError(f"{path}: the column {name} holds what is no {kind} ({error})") from None
    if pa.types.is_floating(kind):
        return column.fill_null(np.nan).to_numpy()
    if column.null_count or (pc.min(column).as_py() or 0) < 0:
        wrong = "null" if column.null_count else pc.min(column)
        raise InputError(f"{path}: a row has {wrong} as {name}; clusters are numbers from 0, leave out images without")
    return column.to_numpy()


def _sorted(rows: np.ndarray, names: str) -> np.ndarray:
    """Return RECORDs in the order of keys, equal ones as they came; refuse two with one key and different clusters."""
    rows = rows[np.argsort(rows["key"], kind="stable")]
    again = 1 + np.flatnonzero(rows["key"][1:] == rows["key"][:-1])
    differs = (rows[COARSE][again] != rows[COARSE][again - 1]) | (rows[FINE][again] != rows[FINE][again - 1])
    if differs.any():
        one, other = two = rows[again[differs][0] - 1 : again[differs][0] + 1]
        key = _numbers_of(two["key"])[0].astype(">i8").tobytes().hex()
        raise InputError(
            f"{names} put the image {key} into two clusters, "
            f"{one[COARSE]} and {other[COARSE]} (fine {one[FINE]} and {other[FINE]}); give tables of one clustering"
        )
    return rows
