"""Read embeddings from tables as vectors of length 1, and draw the images on whose vectors clusters are trained.

Rows without a usable embedding are skipped and counted. Training uses a random sample of the images of the manifest,
sorted by their draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.leaves.by_uid.tables import KEY, ImageTable, key_columns, opened
from curation.leaves.clustering import kernels
from curation.leaves.near_copies.vectors import require_vectors, scaled, usable_numbers
from runtime.draws import draws
from runtime.engine import Engine
from runtime.errors import AGAIN, InputError
from runtime.progress import advance
from runtime.shipping import Shipped
from runtime.storage.listing import Version
from runtime.storage.own_files import OwnFile, checksums_in, own_files, tally
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import Tallies

EXPECTED = "tables of embeddings: Parquet files with the columns uid (or url) and embedding"
DRAWN = pa.schema([*KEY, pa.field("draw", pa.float64())])
_ROW_GROUP = 8192


@dataclass(frozen=True)
class Vectors:
    """Vectors, float32[vector, dimension], the columns of KEY of their images, and the number of unusable rows."""

    keys: list[pa.Array]
    vectors: np.ndarray
    unusable: int


@dataclass(frozen=True, eq=False)
class Embeddings:
    """A table of images with embeddings of length `dimension` in the column `column`."""

    table: ImageTable
    column: str
    dimension: int

    @classmethod
    def find(cls, paths: Sequence[str], column: str) -> Embeddings:
        """Return the table in files, folders, globs or URLs; InputError if it has no embeddings."""
        table = ImageTable.find(paths, EXPECTED)
        return cls(table, column, dimension_of(table, column))

    def read(self, file: tuple[str, Version]) -> Iterator[Vectors]:
        """Yield the vectors, of length 1, in a file of the table; report its rows to the progress of the stage."""
        for batch in self.table.read(file, [self.column]):
            *keys, column = batch.columns
            numbers, rows = usable_numbers(column, self.dimension, file[0])
            yield Vectors([key.take(pa.array(rows)) for key in keys], units(numbers), batch.num_rows - len(rows))
            advance(rows=batch.num_rows)

    def numbers(self, file: tuple[str, Version]) -> Iterator[np.ndarray]:
        """Yield the embeddings of all usable rows of a file, in the order of `read`, as float32[vector, dimension].

        float16 and float32 are unchanged; float64 is `scaled`.
        """
        for batch in self.table.read(file, [self.column]):
            numbers, _ = usable_numbers(batch[self.column], self.dimension, file[0])
            yield scaled(numbers) if numbers.dtype == np.float64 else numbers

    @property
    def kind(self) -> pa.DataType:
        """The Arrow type, a fixed-size list of float16 or float32, that holds the results of `numbers` exactly."""
        is_half = self.table.columns.field(self.column).type.value_type == pa.float16()
        return pa.list_(pa.float16() if is_half else pa.float32(), self.dimension)


def dimension_of(table: ImageTable, column: str) -> int:
    """Return the length of the embeddings in a column of a table.

    InputError if the column is missing, has another type, or is null in every row.
    """
    if column not in table.columns.names:
        raise InputError(
            f"{table.name} has the columns {', '.join(table.columns.names)}; expected {EXPECTED}, "
            "or name the column (--embedding-column)"
        )
    kind = table.columns.field(column).type
    require_vectors(kind, f"column {column} of {table.name}")
    if pa.types.is_fixed_size_list(kind):
        return kind.list_size
    for path, version in table.files:
        with opened(path, version) as file:
            for batch in file.batches([column], 1):
                if batch[column].is_valid()[0].as_py():
                    return max(1, len(batch[column][0]))
    raise InputError(f"{table.name} holds no embedding: column {column} is null in every row")


def units(numbers: np.ndarray) -> np.ndarray:
    """Return vectors scaled to length 1, as float32[vector, dimension]."""
    out = np.empty(numbers.shape, np.float32)
    kernels.normalise(numbers, out)
    return out


def drawn_keys(engine: Engine, files: Sequence[OwnFile], share: float, seed: int, folder: Path) -> np.ndarray:
    """Return the keys, as `placed` returns them, of a random share of the images in `files`.

    `folder` is for temporary files of tasks, which all machines share.
    """
    written = engine.run([*enumerate(files)], partial(_write_drawn, share=share, seed=seed, folder=folder))
    rows = [batch for file in own_files(folder, checksums_in(written), AGAIN) for batch in batches(file)]
    return placed(*(column.to_numpy() for column in pa.Table.from_batches(rows, DRAWN).columns))


def placed(high: np.ndarray, low: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """Return int64[4, image], sorted by the first row: hash of the key, both halves of the key, rank of the draw.

    `high` and `low` are the halves of each image's key, `draw` its draw.
    """
    mixed, place = _mixed(high, low), np.empty(len(high), np.int64)
    place[np.lexsort((low, high, draw))] = np.arange(len(high))
    order = np.lexsort((low, high, mixed))
    return np.stack([each[order] for each in (mixed.view(np.int64), high, low, place)])


def write_vectors(
    numbered: tuple[int, tuple[str, Version]], embeddings: Embeddings, keys: Shipped, folder: Path
) -> Tallies:
    """Write the rank of the draw (`place`) and the vector of each drawn image in a file of embeddings.

    `numbered` is the number of the file, and its path and version; `keys` are those of `drawn_keys`. Return the tally
    of the checksum.
    """
    number, file = numbered
    path, drawn, tallies = folder / f"{number:05d}.parquet", keys.array(), Tallies()
    vector = pa.field("vector", pa.list_(pa.float32(), embeddings.dimension))
    schema = pa.schema([pa.field("place", pa.int64()), vector])
    with part_writer(path, schema, _ROW_GROUP) as writer:
        for rows in embeddings.read(file):
            places = places_of(drawn, *(key.to_numpy() for key in rows.keys))
            found = rows.vectors[places >= 0]
            columns = [pa.array(places[places >= 0]), pa.FixedSizeListArray.from_arrays(found.ravel(), found.shape[1])]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))
    tally(tallies, path, writer.checksum)
    return tallies


def places_of(drawn: np.ndarray, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return the rank of the draw of each key, -1 for a key that was not drawn; `drawn` is a result of `placed`."""
    mixed, *halves, place = drawn
    if not len(place):
        return np.full(len(high), -1)
    # Of two keys with the same hash (probability 2^-64) only the first is found; then training lacks one vector.
    row = np.minimum(np.searchsorted(mixed.view(np.uint64), _mixed(high, low)), len(place) - 1)
    return np.where((halves[0][row] == high) & (halves[1][row] == low), place[row], -1)


def _mixed(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return a hash (uint64) of both halves of each key: the uids of an input may all share one half."""
    return high.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + low.view(np.uint64)


def read_vectors(files: Sequence[OwnFile], number: int, dimension: int) -> np.ndarray:
    """Return the vectors of `number` drawn images, sorted by their draws, as float32[vector, dimension].

    Images that the files lack, or have more than once, are left out.
    """
    vectors, times = np.zeros((number, dimension), np.float32), np.zeros(number, np.int64)
    for file in files:
        for batch in batches(file):
            places = batch["place"].to_numpy()
            vectors[places] = batch["vector"].flatten().to_numpy().reshape(-1, dimension)
            np.add.at(times, places, 1)
    kept = np.flatnonzero(times == 1)
    for begin in range(0, len(kept), _ROW_GROUP):  # in place: memory may lack room for a second copy
        rows = kept[begin : begin + _ROW_GROUP]
        vectors[begin : begin + len(rows)] = vectors[rows]
    return vectors[: len(kept)]


def _write_drawn(numbered: tuple[int, OwnFile], share: float, seed: int, folder: Path) -> Tallies:
    number, file = numbered
    path, tallies = folder / f"{number:05d}.parquet", Tallies()
    with part_writer(path, DRAWN, _ROW_GROUP) as writer:
        for batch in batches(file, columns=["uid"]):
            draw = draws(seed, "sample for clusters", batch["uid"])
            is_drawn = pa.array(draw < share)
            columns = [*key_columns(batch["uid"].filter(is_drawn)), pa.array(draw).filter(is_drawn)]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=DRAWN))
    tally(tallies, path, writer.checksum)
    return tallies
