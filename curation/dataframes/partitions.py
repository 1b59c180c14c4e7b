"""The functions that the DataFrame steps run in Spark workers, from batches of a partition to batches."""

import gc
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path

import pyarrow as pa

from curation.balancing.sampling import sample_batch
from curation.images.grouping import images_of, key_of, pack_pairs, tally_copies, unique_images
from curation.inputs.limits import CUT_TEXT
from curation.inputs.tables.parquet_tables import from_batch
from curation.run import warm
from curation.run.tasks import MatchPlan
from curation.schemas import COUNTS, KEYED, PAIRS, SAMPLED
from metadata.entries import entries_file
from runtime.arrow import require
from runtime.buckets import Block, by_bucket
from runtime.shipping import Shipped
from runtime.storage.own_files import intact
from runtime.storage.parquet import open_parquet
from runtime.tallies import Tallies, Tally, TaskResult
from runtime.warming import compile_kernels

Batches = Iterable[pa.RecordBatch]
PARTITION_BUCKETS = 1 << 10  # Keys have this many ranges: enough for many tasks, and few enough to fill blocks.
BLOCKS = pa.schema([pa.field("bucket", pa.int32()), pa.field("block", pa.binary())])
IMAGES_PER_BATCH = 1 << 14  # Spark gets this many images in a batch.
TALLIES = pa.schema([pa.field("name", pa.string()), pa.field("item", pa.string()), pa.field("count", pa.int64())])
COUNTED = pa.schema([*BLOCKS, *TALLIES])  # Each row is a block or a tally.
SHOWN_TALLIES = ("records", "pairs", CUT_TEXT, "dropped")
ENTRY_ROWS = pa.schema([COUNTS.field(name) for name in ("id", "language", "entry")])


def match_pairs(batches: Batches, plan: MatchPlan) -> Iterator[pa.RecordBatch]:
    """Match the pairs of a partition; yield them with their entries, packed in rows with the schema BLOCKS.

    Equal texts of an image are merged.
    """
    matching = plan.open()
    gc.freeze()
    result = TaskResult()
    for block in pack_pairs(
        _candidates(batches, plan, result), matching, plan.config.max_texts, PARTITION_BUCKETS, result
    ):
        yield pa.RecordBatch.from_pylist([{"bucket": block.bucket, "block": block.read()}], BLOCKS)


def match_unique(batches: Batches, plan: MatchPlan) -> Iterator[pa.RecordBatch]:
    """Yield the images with a match from a partition in which each row is a separate image."""
    matching = plan.open()
    gc.freeze()
    result = TaskResult()
    yield from unique_images(_candidates(batches, plan, result), matching, result)


def grouped_images(batches: Batches, max_texts: int) -> Iterator[pa.RecordBatch]:
    """Group pairs, packed as rows with the schema BLOCKS, by image; yield the images with a match.

    The partition must have all blocks of its buckets.
    """
    _prepare()
    packed = chain.from_iterable(batch["block"] for batch in batches)
    blocks = (Block.of(block.as_buffer()) for block in packed)
    for images in images_of(by_bucket(blocks, PARTITION_BUCKETS, PAIRS, key_of), max_texts, TaskResult()):
        for at in range(0, images.num_rows, IMAGES_PER_BATCH):
            yield images.slice(at, IMAGES_PER_BATCH)


def tallies(batches: Batches, plan: MatchPlan, unique: bool) -> Iterator[pa.RecordBatch]:
    """Read the pairs of a partition; yield them, packed in blocks, and the tallies, as rows with the schema COUNTED.

    With `unique`, each row is a separate image, and no blocks are yielded.
    """
    _prepare()
    tallied = TaskResult()
    candidates = _candidates(batches, plan, tallied)
    if unique:
        for _ in candidates:
            pass
    else:
        for block in pack_pairs(candidates, None, plan.config.max_texts, PARTITION_BUCKETS, tallied):
            yield _counted(block)
    yield pa.RecordBatch.from_pylist(_rows(tallied), COUNTED)


def all_tallies(batches: Batches, max_texts: int) -> Iterator[pa.RecordBatch]:
    """Yield the sums of the tallies in rows with the schema COUNTED, including the texts that grouping by image drops.

    The result has the schema TALLIES. The partition must have all rows of its buckets.
    """
    _prepare()
    tallied = TaskResult()

    def blocks() -> Iterator[Block]:
        for batch in batches:
            for row in batch.select(TALLIES.names).filter(batch["name"].is_valid()).to_pylist():
                tallied.add(row["name"], row["count"], item=row["item"])
            yield from (Block.of(block.as_buffer()) for block in batch["block"].drop_null())

    tally_copies(by_bucket(blocks(), PARTITION_BUCKETS, KEYED, key_of), max_texts, tallied)
    yield pa.RecordBatch.from_pylist(_rows(tallied), TALLIES)


def entries(batches: Batches, saved: Shipped) -> Iterator[pa.RecordBatch]:
    """Yield id, language and entry of saved entries, from the row groups whose numbers are in `batches` as `id`."""
    with intact(entries_file(saved.path())) as path, open_parquet(path) as file:
        for batch in batches:
            for number in batch["id"].to_pylist():
                yield from (
                    file.read_row_group(number, columns=ENTRY_ROWS.names)
                    .select(ENTRY_ROWS.names)
                    .cast(ENTRY_ROWS)
                    .to_batches()
                )


def row_groups(saved: Path) -> int:
    """Return the number of row groups of the entries saved in a folder."""
    with open_parquet(entries_file(saved).path) as file:
        return file.num_row_groups


def sampled_pairs(batches: Batches, rates: Shipped, seed: int) -> Iterator[pa.RecordBatch]:
    """Yield the kept pairs, with the schema CURATED, of batches with the schema SAMPLED."""
    _prepare()
    opened = rates.array()
    for batch in batches:
        yield sample_batch(require(batch, SAMPLED), opened, seed)


def _counted(block: Block) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"bucket": block.bucket, "block": block.read()}], COUNTED)


def _rows(tallied: Tallies) -> list[dict]:
    """Return the tallies in SHOWN_TALLIES above 0 as rows with name, item and count, the tally columns of COUNTED."""
    rows = []
    for row in tallied.rows():
        if row["name"] in SHOWN_TALLIES and row["value"]:
            rows.append({"name": row["name"], "item": row["item"], "count": int(row["value"])})
    return rows


def _candidates(batches: Batches, plan: MatchPlan, tallies: Tallies) -> Iterator[pa.RecordBatch]:
    """Yield the pairs that no list excludes, as CANDIDATES; tally rows. `batches` have the same column names."""
    return plan.candidates(_read(batches, tallies), tallies)


def _read(batches: Batches, tallies: Tallies) -> Iterator[pa.RecordBatch]:
    counted = Tally()
    for batch in batches:
        yield from from_batch(batch, {name: name for name in batch.schema.names}, counted)
    tallies.count(+counted)


@lru_cache(maxsize=1)
def _prepare() -> None:
    """Compile the kernels that this machine does not have yet; once per process."""
    compile_kernels(warm.CALLS)
    gc.freeze()
