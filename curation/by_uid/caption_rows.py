"""Tables of captions of images: found, checked, and read by the key of the image.

A table has the columns `uid` (or `url`) and `caption`. If it has a column `score`, the caption with the highest score
is the best of its image, else the first; `source` says which model wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.tables import KEY, ImageTable, Paths
from curation.inputs.cleaning import clean_array
from runtime.errors import InputError
from runtime.storage.versions import Version

CAPTION, SCORE, SOURCE = "caption", "score", "source"
EXPECTED = "tables of captions: Parquet files with the columns uid (or url) and caption"
NO_SCORE = -np.inf  # of a caption without one: any other caption of the image is better
# One row a caption that has a letter or other sign, cleaned as an alt text is.
ROWS = pa.schema([*KEY, pa.field(CAPTION, pa.string()), pa.field(SCORE, pa.float64()), pa.field(SOURCE, pa.string())])


@dataclass(frozen=True, eq=False)
class CaptionTable:
    """The Parquet files of a table of captions."""

    table: ImageTable

    @classmethod
    def find(cls, paths: Paths) -> CaptionTable:
        """Return the table in files, folders, globs or URLs; InputError for one without captions."""
        table = ImageTable.find(paths, EXPECTED)
        if CAPTION not in table.columns.names:
            raise InputError(f"{table.name} has the columns {', '.join(table.columns.names)}; expected {EXPECTED}")
        for name, is_such, kind in _TYPES:
            if name in table.columns.names and not is_such(found := table.columns.field(name).type):
                raise InputError(f"column {name} of {table.name} is {found}; give {kind}")
        return cls(table)

    @property
    def name(self) -> str:
        """The paths as they were given."""
        return self.table.name

    @property
    def identity(self) -> str:
        """The column that names the image."""
        return self.table.identity

    @property
    def files(self) -> tuple[tuple[str, Version], ...]:
        """The files of the table; of captions that are equally good, the first one of the first file is taken."""
        return self.table.files

    @property
    def bytes(self) -> int:
        """The size of all files, as far as it is known."""
        return sum(version.size or 0 for _, version in self.files)

    def read(self, file: tuple[str, Version]) -> Iterator[pa.RecordBatch]:
        """Yield the captions in a file as ROWS, in its order."""
        columns = [name for name in (CAPTION, SCORE, SOURCE) if name in self.table.columns.names]
        for batch in self.table.read(file, columns):
            given = {name: batch[name] for name in batch.schema.names}
            given[CAPTION] = clean_array(given[CAPTION])
            given[SCORE] = _scores(given.get(SCORE), batch.num_rows)
            given.setdefault(SOURCE, pa.nulls(batch.num_rows, pa.string()))
            rows = pa.RecordBatch.from_arrays([given[name] for name in ROWS.names], schema=ROWS)
            yield rows.filter(pc.greater(pc.binary_length(rows[CAPTION]), 0))


def _scores(scores: pa.Array | None, rows: int) -> pa.Array:
    if scores is None:
        return pa.repeat(pa.scalar(NO_SCORE), rows)
    scores = scores.cast(pa.float64())
    return pc.if_else(pc.fill_null(pc.is_nan(scores), True), NO_SCORE, scores)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


_TYPES = (
    (CAPTION, pa.types.is_string, "strings"),
    (SCORE, _is_number, "numbers"),
    (SOURCE, pa.types.is_string, "strings"),
)
