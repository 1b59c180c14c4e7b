"""Gather captions from tables by uid, for exports and for training: of one image the best, or the first.

Memory holds the captions of one part of the keys, which is a 256th of a large table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.caption_rows import NO_SCORE, ROWS, SCORE, SOURCE, CaptionTable
from curation.by_uid.captions import CAPTIONS, Captions
from curation.by_uid.tables import Paths
from curation.run.finished import pool_files
from curation.run.results import Results
from runtime.arrow.mapped import mapped
from runtime.errors import InputError
from runtime.storage.key_parts import MOST_PARTS, in_parts
from runtime.storage.parquet import batches

PART_BYTES = 64 << 20  # of a table, compressed


@dataclass(frozen=True)
class Captioned:
    """Captions, and how many images of a run have one: of those that it counted, or of its manifest alone."""

    captions: Captions
    images: int
    with_caption: int

    @property
    def without(self) -> int:
        """The number of images without a caption."""
        return self.images - self.with_caption


def build(tables: Paths, run: Results, path: str | PathLike[str], part_bytes: int = PART_BYTES) -> Captioned:
    """Write the captions of `tables` to one file, and count the images of the run that have one.

    Tables of which no row is of the run are refused. About `part_bytes` of a table are sorted at a time.
    """
    table = CaptionTable.find(tables)
    parts = min(MOST_PARTS, max(1, -(-table.bytes // part_bytes)))
    rows = (batch for file in table.files for batch in table.read(file))
    with TemporaryDirectory(dir=Path(path).parent, prefix=f".{Path(path).name}.") as work:
        best = map(_best, in_parts(rows, ROWS, parts, Path(work, "parts")))
        Captions.save(path, mapped(chain.from_iterable(best), CAPTIONS, Path(work)))
    captions = Captions.open(path)
    images = with_caption = 0
    for file in pool_files(run):
        for batch in batches(file, columns=["uid"]):
            images += batch.num_rows
            with_caption += int(captions.has(batch["uid"]).sum())
    if not with_caption:
        raise InputError(f"none of the {len(captions):,} captions in {table.name} is of an image of {run.path}")
    return Captioned(captions, images, with_caption)


def _best(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    """Yield the best of ROWS for each key, the first of equally good ones, in one batch; nothing without a row."""
    if not rows.num_rows:
        return
    rows = rows.rename_columns(CAPTIONS.names).cast(CAPTIONS)  # large strings, before any are brought together
    order = np.lexsort(
        (-rows[SCORE].to_numpy(), rows["low"].to_numpy(), rows["high"].to_numpy())
    )  # equals stay in order
    rows = rows.take(pa.array(order))
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (np.diff(rows["high"].to_numpy()) != 0) | (np.diff(rows["low"].to_numpy()) != 0)
    best = rows.filter(pa.array(is_first)).combine_chunks()
    known = {
        SCORE: pc.if_else(pc.equal(best[SCORE], NO_SCORE), np.nan, best[SCORE]),
        SOURCE: pc.fill_null(best[SOURCE], ""),
    }
    columns = [known.get(name, best[name]) for name in CAPTIONS.names]
    yield from pa.Table.from_arrays(columns, schema=CAPTIONS).combine_chunks().to_batches()
