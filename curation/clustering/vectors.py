"""Read embeddings by uid from tables: lists of numbers become vectors of length 1, rows without one are counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.tables import ImageTable, opened
from curation.kernels import clusters as kernels
from runtime.errors import InputError
from runtime.progress import advance
from runtime.storage.versions import Version

EXPECTED = "tables of embeddings: Parquet files with the columns uid (or url) and embedding"


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
        """Yield what a file of the table holds, and count its rows."""
        for batch in self.table.read(file, [self.column]):
            *keys, column = batch.columns
            vectors, rows = unit_vectors(column, self.dimension, file[0])
            yield Vectors([key.take(pa.array(rows)) for key in keys], vectors, batch.num_rows - len(rows))
            advance(rows=batch.num_rows)


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
    """Return float32[vector, dimension] of length 1, and the rows that they come from.

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
    vectors, rows = vectors[usable], rows[usable]
    out = np.empty(vectors.shape, np.float32)
    kernels.normalise(vectors, out)
    return out, rows


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
