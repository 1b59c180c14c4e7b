"""Draw the pairs of the manifest from matched images, and write the curated Parquet files.

Each pair has a draw for the purpose "order". It decides the pair's position in the manifest, and so its file and its
section of that file. Each section is a bucket in which `runtime.engine` gathers rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from sys import maxsize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balancing import sampling
from curation.balancing.counts import hold_any
from curation.config import DOUBTFUL_SCORE
from curation.schemas import CURATED
from runtime.arrow.batching import gather_rows
from runtime.buckets import Packer, Store
from runtime.draws import draws
from runtime.packed_rows import Block, unpack
from runtime.progress import advance
from runtime.storage.own_files import tally
from runtime.storage.parquet import part_writer
from runtime.tallies import Tallies

SECTIONS = 8  # of a file, sorted one by one; a power of two, so that the product with a draw has the same bits
RUN_BYTES = 64 << 20  # drawn rows that are sorted together before they are written
DRAWN = CURATED.append(pa.field("draw", pa.float64()))


def draw_pairs(
    batches: Iterable[pa.RecordBatch], rates: np.ndarray, seed: int, files: int, tallies: Tallies
) -> Iterator[Block]:
    """Yield the pairs that sampling keeps of SAMPLED batches, by section; tally expected and kept pairs."""
    packer = Packer(files * SECTIONS)
    kept = (sampled(batch, rates, seed, tallies) for batch in batches)
    for rows in gather_rows(kept, maxsize, RUN_BYTES):
        yield from by_section(rows, files, packer)
    yield from packer.finish()


def sampled(batch: pa.RecordBatch, rates: np.ndarray, seed: int, tallies: Tallies) -> pa.RecordBatch:
    """Return the pairs of a SAMPLED batch that are kept, each with the draw of its position, as DRAWN rows."""
    _tally_expected(batch, rates, tallies)
    kept = sampling.sample_batch(batch, rates, seed)
    tallies.add("kept", kept.num_rows)
    advance(rows=kept.num_rows)
    for row in sampling.kept_by_language(kept).to_pylist():
        tallies.add("language.kept", row["kept"], row["language"])
    return pa.RecordBatch.from_arrays([*kept.columns, pa.array(draws(seed, "order", kept["uid"]))], schema=DRAWN)


def by_section(rows: pa.RecordBatch, files: int, packer: Packer) -> Iterator[Block]:
    """Add DRAWN rows to a packer of files × SECTIONS buckets, and yield its blocks."""
    return packer.add(rows, (rows["draw"].to_numpy() * (files * SECTIONS)).astype(np.int64))


def write_curated(blocks: Iterable[bytes], file: int, path: Path, row_group_rows: int, lettered: np.ndarray) -> Tallies:
    """Write one curated file, in the order of draws, from blocks of drawn pairs; return what was written.

    `lettered` tells which entries have letters.
    """
    tallies = Tallies()
    with Store() as store, part_writer(path, CURATED, row_group_rows) as writer:
        for block in map(Block.of, blocks):
            store.add(block.bucket, block.data, block.unpacked)
        for section in range(file * SECTIONS, (file + 1) * SECTIONS):
            if rows := [unpack(data, DRAWN) for data in store.take(section)]:
                kept = in_order(pa.concat_batches(rows)).select(CURATED.names)
                writer.write(kept)
                tally_doubts(kept, lettered, tallies)
    tallies.add("written", writer.rows)
    tally(tallies, path, writer.checksum)
    return tallies


def tally_doubts(kept: pa.RecordBatch, lettered: np.ndarray, tallies: Tallies) -> None:
    """Tally, per language, CURATED rows of a low score, and those that rest on entries without letters alone."""
    low = pc.less(kept["lid_score"], DOUBTFUL_SCORE).fill_null(False)
    for name, doubtful in (("kept_doubtful", low), ("kept_without_letters", ~hold_any(kept["entries"], lettered))):
        for each in pc.value_counts(kept["language"].filter(doubtful)).to_pylist():
            tallies.add(f"language.{name}", each["counts"], each["values"])


def in_order(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows in the order of draws; if two draws are equal (chance 2^-53), the smaller uid is first."""
    draw = rows["draw"].to_numpy()
    order = np.argsort(draw)
    if (np.diff(draw[order]) == 0).any():
        order = pc.sort_indices(rows, sort_keys=[("draw", "ascending"), ("uid", "ascending")]).to_numpy()
    return rows.take(pa.array(order))


def _tally_expected(batch: pa.RecordBatch, rates: np.ndarray, tallies: Tallies) -> None:
    expected = sampling.expected_size(batch, rates)
    tallies.add("images", batch.num_rows)
    tallies.add("expected", expected.sum())
    tallies.add("variance", (expected * np.maximum(1 - expected, 0)).sum())  # a mean of ones may be above 1 by a bit
    for row in sampling.texts_by_language(batch, rates).to_pylist():
        for name in ("texts", "matches", "expected"):
            tallies.add(f"language.{name}", row[name], row["language"])
