"""Read captions of images from tables, and sort the best caption of each image into one file, ordered by uid.

A table has the columns `uid` (or `url`) and `caption`. If it has a column `score`, an image gets the caption with the
highest score, else the first one. The optional column `source` names the model that wrote the caption.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.inputs.candidates import clean_array
from curation.leaves.by_uid.mapped_rows import MappedRows, in_order, save_rows_of, sorted_schema
from curation.leaves.by_uid.tables import KEY, ImageTable, Paths
from curation.run.results import Results
from runtime.errors import InputError, typed
from runtime.storage.arrays import mapped
from runtime.storage.listing import Version
from runtime.storage.parquet import MOST_PARTS, in_parts

CAPTION, SCORE, SOURCE = "caption", "score", "source"
EXPECTED = "tables of captions: Parquet files with the columns uid (or url) and caption"
NO_SCORE = -np.inf  # score of a caption without one: any caption with a score is better
PART_BYTES = 64 << 20  # compressed bytes of a table in memory at a time
# One row per caption; captions are cleaned as alt texts are, and empty ones left out.
ROWS = pa.schema([*KEY, pa.field(CAPTION, pa.string()), pa.field(SCORE, pa.float64()), pa.field(SOURCE, pa.string())])


class Captions(MappedRows):
    """One caption per image for many images, with its score and its source."""

    # All rows are in one record batch, which may have more bytes than short strings can.
    schema = sorted_schema(
        b"2",
        pa.field(CAPTION, pa.large_string()),
        pa.field(SCORE, pa.float64()),
        pa.field(SOURCE, pa.large_string()),
    )
    what = "captions"


@dataclass(frozen=True)
class Captioned:
    """Captions, the number of images of a run, and the number of images without a caption.

    After a removal, the images are those of the manifest, otherwise all that the run counted.
    """

    captions: Captions
    images: int
    without: int


def find_captions(paths: Paths, source: str | None = None) -> ImageTable:
    """Return the table of captions in files, folders, globs or URLs; with a source, it must have a column of sources.

    InputError if a column is missing or has another type.
    """
    table = ImageTable.find(paths, EXPECTED, CAPTION)
    for name, is_such, kind in _TYPES:
        if name in table.columns.names and not is_such(found := table.columns.field(name).type):
            raise InputError(f"column {name} of {table.name} is {found}; give {kind}")
    if source is not None and SOURCE not in table.columns.names:
        raise InputError(f"{table.name} has no column {SOURCE}; give tables that say which captions are of {source}")
    return table


def caption_rows(table: ImageTable, file: tuple[str, Version], source: str | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the captions in a file of a table as ROWS, in the file's order; with a source, only its captions."""
    columns = [name for name in (CAPTION, SCORE, SOURCE) if name in table.columns.names]
    for batch in table.read(file, columns):
        given = {name: batch[name] for name in batch.schema.names}
        given[CAPTION] = clean_array(given[CAPTION])
        given[SCORE] = _scores(given.get(SCORE), batch.num_rows)
        given.setdefault(SOURCE, pa.nulls(batch.num_rows, pa.string()))
        rows = pa.RecordBatch.from_arrays([given[name] for name in ROWS.names], schema=ROWS)
        rows = rows.filter(pc.greater(pc.binary_length(rows[CAPTION]), 0))
        yield rows if source is None else rows.filter(pc.equal(rows[SOURCE], source))


@typed
def build(
    tables: Paths, run: Results, path: str | PathLike[str], part_bytes: int = PART_BYTES, source: str | None = None
) -> Captioned:
    """Write the best caption of each image to the file `path`; count the images of the run without a caption.

    With a source, only its captions are used. InputError if no caption in `tables` is of an image of the run. About
    `part_bytes` of a table are sorted at a time.
    """
    table = find_captions(tables, source)
    parts = min(MOST_PARTS, max(1, -(-table.bytes // part_bytes)))
    rows = (batch for file in table.files for batch in caption_rows(table, file, source))
    with TemporaryDirectory(dir=Path(path).parent, prefix=f".{Path(path).name}.") as work:
        best = mapped(map(_best, in_parts(rows, ROWS, parts, Path(work, "parts"))), Captions.schema, Path(work))
        which = f"captions of the source {source}" if source else "captions"
        images, without = save_rows_of(path, best, run, f"{which} in {table.name}")
    return Captioned(Captions.open(path), images, without)


def _best(rows: pa.Table) -> pa.RecordBatch:
    """Return the best of ROWS for each key, sorted by key; of equally good captions, the first one."""
    rows = rows.rename_columns(Captions.schema.names)
    rows = rows.cast(Captions.schema)  # large strings, as the columns will be concatenated
    best, is_repeated = in_order(rows, -rows[SCORE].to_numpy())
    best = best.filter(pa.array(~is_repeated))
    score = pc.if_else(pc.equal(best[SCORE], NO_SCORE), np.nan, best[SCORE])
    columns = [*best.columns[:-2], score, pc.fill_null(best[SOURCE], "")]
    return pa.RecordBatch.from_arrays(columns, schema=Captions.schema)


def _scores(scores: pa.Array | None, rows: int) -> pa.Array:
    if scores is None:
        return pa.repeat(pa.scalar(NO_SCORE), rows)
    scores = scores.cast(pa.float64(), safe=False)  # large integers are rounded to the nearest float
    return pc.if_else(pc.fill_null(pc.is_nan(scores), True), NO_SCORE, scores)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


_TYPES = (
    (CAPTION, pa.types.is_string, "strings"),
    (SCORE, _is_number, "numbers"),
    (SOURCE, pa.types.is_string, "strings"),
)
