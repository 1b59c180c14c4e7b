"""Read embeddings from tables as vectors of length 1, and draw the images whose vectors clusters are trained on.

Rows without a usable embedding are counted and skipped. Training gets drawn images of the manifest, in the order of
their draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.leaves.by_uid.tables import KEY, ImageTable, key_columns, opened
from curation.leaves.clustering import kernels
from runtime.draws import draws
from runtime.engine.interface import Engine
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
    """Vectors, float32[vector, dimension], the KEY of the image of each, and how many more rows held none."""

    keys: list[pa.Array]
    vectors: np.ndarray
    unusable: int


@dataclass(frozen=True, eq=False)
class Embeddings:
    """A table of images with their embeddings."""

    table: ImageTable
    column: str
    dimension: int

    @classmethod
    def find(cls, paths: Sequence[str], column: str) -> Embeddings:
        """Return the table in files, folders, globs or URLs; InputError where it holds no embeddings."""
        table = ImageTable.find(paths, EXPECTED)
        return cls(table, column, dimension_of(table, column))

    def read(self, file: tuple[str, Version]) -> Iterator[Vectors]:
        """Yield the vectors of a file of the table, and count its rows."""
        for batch in self.table.read(file, [self.column]):
            *keys, column = batch.columns
            vectors, rows = unit_vectors(column, self.dimension, file[0])
            yield Vectors([key.take(pa.array(rows)) for key in keys], vectors, batch.num_rows - len(rows))
            advance(rows=batch.num_rows)

    def numbers(self, file: tuple[str, Version]) -> Iterator[np.ndarray]:
        """Yield the numbers of all usable rows of a file, in the order of `read`, as they came, but float32 at least.

        Of float64 those are `scaled`.
        """
        for batch in self.table.read(file, [self.column]):
            numbers, _ = usable_numbers(batch[self.column], self.dimension, file[0])
            yield scaled(numbers) if numbers.dtype == np.float64 else numbers

    @property
    def kind(self) -> pa.DataType:
        """A list of the narrowest numbers that hold those of `numbers`."""
        is_half = self.table.columns.field(self.column).type.value_type == pa.float16()
        return pa.list_(pa.float16() if is_half else pa.float32(), self.dimension)


def dimension_of(table: ImageTable, column: str) -> int:
    """Return the length of the embeddings of a table; InputError where a column holds none."""
    if column not in table.columns.names:
        raise InputError(
            f"{table.name} has the columns {', '.join(table.columns.names)}; expected {EXPECTED}, "
            "or name the column (--embedding-column)"
        )
    kind = table.columns.field(column).type
    if not (_is_list(kind) and pa.types.is_floating(kind.value_type)):
        raise InputError(f"column {column} of {table.name} is {kind}; embeddings are lists of floating-point numbers")
    if pa.types.is_fixed_size_list(kind):
        return kind.list_size
    for path, version in table.files:
        with opened(path, version) as file:
            for batch in file.batches([column], 1):
                if batch[column].is_valid()[0].as_py():
                    return max(1, len(batch[column][0]))
    raise InputError(f"{table.name} holds no embedding: column {column} is null in every row")


def unit_vectors(column: pa.Array, dimension: int, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return float32[vector, dimension] of length 1, and the rows that they come from."""
    numbers, rows = usable_numbers(column, dimension, path)
    out = np.empty(numbers.shape, np.float32)
    kernels.normalise(numbers, out)
    return out, rows


def usable_numbers(column: pa.Array, dimension: int, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return float32[vector, dimension], or float64 where these came, and the rows that they come from.

    A row is left out that is null, or holds a null, something infinite or no number, or zeros only. An embedding of
    another length is refused.
    """
    lengths = pc.list_value_length(column)
    other = pc.not_equal(lengths, dimension).fill_null(False)
    if pc.any(other).as_py():
        wrong = lengths.filter(other)[0].as_py()
        raise InputError(f"{path}: an embedding has {wrong:,} numbers, the first one {dimension:,}; give one model's")
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    numbers = column.drop_null().flatten()
    if numbers.type == pa.float16():
        numbers = numbers.cast(pa.float32())
    vectors = numbers.fill_null(float("nan")).to_numpy(zero_copy_only=False).reshape(len(rows), dimension)
    usable = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    return vectors[usable], rows[usable]


def scaled(numbers: np.ndarray) -> np.ndarray:
    """Return float32[vector, dimension], each multiplied by the power of two that makes its largest number 0.5 to 1.

    So no square is too large or too small. Of float16 and float32 no number is rounded that could change a cosine.
    """
    _, exponents = np.frexp(np.abs(numbers).max(axis=1, initial=0.0))
    return np.ldexp(numbers, -exponents[:, np.newaxis].astype(np.int32)).astype(np.float32) + np.float32(0)  # no -0.0


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def drawn_keys(engine: Engine, files: Sequence[OwnFile], share: float, seed: int, folder: Path) -> np.ndarray:
    """Return the `placed` keys of a share of the images in files; `folder` is for what tasks write on the way."""
    written = engine.run([*enumerate(files)], partial(_write_drawn, share=share, seed=seed, folder=folder))
    rows = [batch for file in own_files(folder, checksums_in(written), AGAIN) for batch in batches(file)]
    return placed(*(column.to_numpy() for column in pa.Table.from_batches(rows, DRAWN).columns))


def placed(high: np.ndarray, low: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """Return int64[4, image]: both halves of a key mixed, by which images are sorted, these, the place among draws."""
    mixed, place = _mixed(high, low), np.empty(len(high), np.int64)
    place[np.lexsort((low, high, draw))] = np.arange(len(high))
    order = np.lexsort((low, high, mixed))
    return np.stack([each[order] for each in (mixed.view(np.int64), high, low, place)])


def write_vectors(
    numbered: tuple[int, tuple[str, Version]], embeddings: Embeddings, keys: Shipped, folder: Path
) -> Tallies:
    """Write place and vector of the drawn images in a file of embeddings."""
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
    """Return the place of each key among `placed` ones, -1 where it is none of them."""
    mixed, *halves, place = drawn
    if not len(place):
        return np.full(len(high), -1)
    # Of two keys that give one number, a matter of 2^-64, only the first is found: training then lacks a vector.
    row = np.minimum(np.searchsorted(mixed.view(np.uint64), _mixed(high, low)), len(place) - 1)
    return np.where((halves[0][row] == high) & (halves[1][row] == low), place[row], -1)


def _mixed(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return one number of both halves: an input's own uids may all begin, or end, alike."""
    return high.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + low.view(np.uint64)


def read_vectors(files: Sequence[OwnFile], number: int, dimension: int) -> np.ndarray:
    """Return the vectors of `number` drawn images in order; those that a table lacks, or has twice, are left out."""
    vectors, times = np.zeros((number, dimension), np.float32), np.zeros(number, np.int64)
    for file in files:
        for batch in batches(file):
            places = batch["place"].to_numpy()
            vectors[places] = batch["vector"].flatten().to_numpy().reshape(-1, dimension)
            np.add.at(times, places, 1)
    kept = np.flatnonzero(times == 1)
    for begin in range(0, len(kept), _ROW_GROUP):  # in place: there may be no room for a second copy
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
