"""Gather captions from tables by uid, for exports and for training: of one image the best, or the first.

A table has the columns `uid` (or `url`) and `caption`. If it has a column `score`, the caption with the highest score
is the best.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.gates.tables import KEY_NAMES, ImageTable
from curation.online.captions import CAPTIONS, Captions, sorted_rows
from curation.runs.finished import matched_files
from curation.runs.results import Results
from runtime.errors import InputError
from runtime.storage.parquet import batches

CAPTION, SCORE = "caption", "score"
EXPECTED = "tables of captions: Parquet files with the columns uid (or url) and caption"


@dataclass(frozen=True)
class Captioned:
    """Captions, and how many of the images that a run counted have one."""

    captions: Captions
    images: int
    with_caption: int

    @property
    def without(self) -> int:
        """The number of images without a caption."""
        return self.images - self.with_caption


def build(tables: Sequence[str], run: Results, path: str | PathLike[str]) -> Captioned:
    """Write the captions of `tables` to one file, and count the images of the run that have one.

    All captions are in memory while they are sorted. Tables of which no row is of the run are refused.
    """
    Captions.save(path, sorted_rows(_best_first(ImageTable.find(tables, EXPECTED))))
    captions = Captions.open(path)
    images = with_caption = 0
    for file in matched_files(run):
        for batch in batches(file, columns=["uid"]):
            images += batch.num_rows
            with_caption += int((captions.find(batch["uid"]) >= 0).sum())
    if not with_caption:
        raise InputError(f"none of the {len(captions):,} captions in {', '.join(tables)} is of an image of {run.path}")
    return Captioned(captions, images, with_caption)


def _best_first(table: ImageTable) -> Iterator[pa.RecordBatch]:
    """Yield all captions as CAPTIONS rows, those with a higher score first."""
    if CAPTION not in table.columns.names:
        raise InputError(f"{table.name} has the columns {', '.join(table.columns.names)}; expected {EXPECTED}")
    columns = [name for name in (CAPTION, SCORE) if name in table.columns.names]
    rows = pa.Table.from_batches(
        [batch for file in table.files for batch in table.read(file, columns)], table.row_schema(columns)
    )
    rows = rows.filter(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(rows[CAPTION])), 0))
    if SCORE in columns:
        score = rows[SCORE].cast(pa.float64()).fill_null(-np.inf).to_numpy()
        rows = rows.take(pa.array(np.argsort(-score, kind="stable")))
    yield from rows.select([*KEY_NAMES, CAPTION]).rename_columns(CAPTIONS.names).cast(CAPTIONS).to_batches()
