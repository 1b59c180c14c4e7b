"""Gather captions from tables by uid, for exports and for training: of one image the best, or the first.

Memory holds the captions of one part of the keys, which is a 256th of a large table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.gates.captions import NO_SCORE, ROWS, SCORE, SOURCE, CaptionTable
from curation.gates.tables import KEY_NAMES
from curation.online.captions import CAPTIONS, Captions
from curation.runs.finished import curated_files, matched_files
from curation.runs.results import Results
from runtime.arrow.mapped import mapped
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches

PART_BYTES = 64 << 20  # of a table, compressed
MOST_PARTS = 256  # files that are open at a time


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


def build(tables: Sequence[str], run: Results, path: str | PathLike[str], part_bytes: int = PART_BYTES) -> Captioned:
    """Write the captions of `tables` to one file, and count the images of the run that have one.

    Tables of which no row is of the run are refused. About `part_bytes` of a table are sorted at a time.
    """
    table = CaptionTable.find(tables)
    parts = min(MOST_PARTS, max(1, -(-table.bytes // part_bytes)))
    rows = (batch for file in table.files for batch in table.read(file))
    with TemporaryDirectory(dir=Path(path).parent, prefix=f".{Path(path).name}.") as work:
        Captions.save(path, mapped(sorted_parts(rows, parts, Path(work)), CAPTIONS, Path(work)))
    captions = Captions.open(path)
    images = with_caption = 0
    for file in _images(run):
        for batch in batches(file, columns=["uid"]):
            images += batch.num_rows
            with_caption += int(captions.has(batch["uid"]).sum())
    if not with_caption:
        raise InputError(f"none of the {len(captions):,} captions in {table.name} is of an image of {run.path}")
    return Captioned(captions, images, with_caption)


def _images(run: Results) -> list[OwnFile]:
    """Return the files of the images that a run counted; of a manifest that something was removed from, its own."""
    return matched_files(run) if run.counted[0].exists() else curated_files(run)


def sorted_parts(rows: Iterable[pa.RecordBatch], parts: int, work: Path) -> Iterator[pa.RecordBatch]:
    """Yield the best caption of each image in the order of keys, as CAPTIONS; so many parts are sorted one by one."""
    paths = [work / f"{part}.arrow" for part in range(parts)]
    with ExitStack() as stack:
        files = [stack.enter_context(pa.ipc.new_stream(str(path), ROWS)) for path in paths]
        for batch in rows:
            part = part_of(batch[KEY_NAMES[0]].to_numpy(), parts)
            order = np.argsort(part, kind="stable")
            ends = np.searchsorted(part[order], np.arange(parts + 1))
            batch = batch.take(pa.array(order))
            for number in np.flatnonzero(np.diff(ends)):
                files[number].write_batch(batch.slice(ends[number], ends[number + 1] - ends[number]))
    for path in paths:
        with pa.memory_map(str(path)) as file:
            yield from _best(pa.ipc.open_stream(file).read_all())
        path.unlink()


def part_of(high: np.ndarray, parts: int) -> np.ndarray:
    """Return the part of each first half of a key: parts are equal ranges, in order.

    >>> part_of(np.array([-(2**63), -1, 0, 2**63 - 1]), 3).tolist()
    [0, 1, 1, 2]
    """
    leading = (high >> 32) + (1 << 31)  # its first 32 bits, from 0
    return (leading * parts) >> 32


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
