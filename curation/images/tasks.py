"""Write files of pairs from candidates, and matched images from files of pairs: the tasks of two stages.

The pairs of an image come together through `runtime.exchange`, where a bucket is a range of keys. Last, a task stamps
the files that it made from its inputs: a run that is interrupted, and one that adds inputs, do nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.images.combine import combine, group
from curation.images.uids import hashes, uid_hashes, uids
from curation.matching.by_language import Matching
from curation.schemas import KEYED, MATCHED, PAIRS
from runtime.arrow.batching import gather_rows
from runtime.exchange import BucketWriter, read_buckets
from runtime.storage.parquet import PartWriter
from runtime.tallies import Tallies

RUN_ROWS = 131_072  # rows that are sorted and matched together: of most languages there are few
RUN_BYTES = 128 << 20
MATCHED_ROW_GROUP = 50_000  # images; a worker holds so many at a time when it reads them again


@dataclass(frozen=True)
class KeyRange:
    """The ranges first to stop - 1 where all keys are cut into `ranges`, a power of two."""

    first: int
    stop: int
    ranges: int

    def buckets(self, number: int) -> tuple[int, int]:
        """Return the first bucket with such keys, where there are `number`, and the one after the last."""
        return self.first * number // self.ranges, -(-self.stop * number // self.ranges)

    def select(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows whose key is in the range."""
        bucket = bucket_of(rows["key"].to_numpy(), self.ranges)
        inside = (bucket >= self.first) & (bucket < self.stop)
        return rows if inside.all() else rows.filter(pa.array(inside))


def bucket_of(keys: np.ndarray, buckets: int) -> np.ndarray:
    """Return the bucket of each key: its leading bits; `buckets` is a power of two."""
    return ((keys >> np.uint64(1)) >> np.uint64(64 - buckets.bit_length())).astype(np.int64)


def write_pairs(
    batches: Iterable[pa.RecordBatch], matching: Matching, max_texts: int, writer: BucketWriter, buckets: int
) -> Tallies:
    """Write the pairs of CANDIDATES batches by key; return the tallies that came with them, and the `rows` written."""
    tallies = Tallies()
    for run in runs(keyed(rows) for rows in without_tallies(batches, tallies)):
        rows = matching.match(combine(run, max_texts, tallies))
        tallies.add("rows", rows.num_rows)
        writer.add(rows, bucket_of(rows["key"].to_numpy(), buckets))
    return tallies


def write_unique(batches: Iterable[pa.RecordBatch], matching: Matching, path: Path) -> Tallies:
    """Write the matched images of CANDIDATES batches that state each image once; return all tallies."""
    tallies = Tallies()
    with PartWriter(path, MATCHED, MATCHED_ROW_GROUP) as writer:
        for run in runs(keyed(rows) for rows in without_tallies(batches, tallies)):
            writer.write(group(matching.match(run), tallies, unique=True))
    tallies.add("matched", writer.rows)
    return tallies


def write_images(files: list[tuple[Path, int]], ranges: Iterable[KeyRange], max_texts: int, path: Path) -> Tallies:
    """Write the matched images of these ranges of keys, given the files of pairs and their numbers of buckets."""
    tallies = Tallies()
    with PartWriter(path, MATCHED, MATCHED_ROW_GROUP) as writer:
        for keys in ranges:
            writer.write(group(_combined(_in_range(files, keys), max_texts, tallies), tallies))
    tallies.add("matched", writer.rows)
    return tallies


def keyed(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return CANDIDATES as KEYED rows."""
    ids = uids(rows["url"], rows["uid"])
    columns = {name: rows[name] for name in ("url", "page_url", "text", "kind")} | {
        "key": pa.array(uid_hashes(ids).view(np.uint64)),
        "hash": pa.array(hashes(ids, rows["text"])),
        "uid": ids,
        "given": rows["language"],
        "copies": pa.array(np.ones(len(rows), np.int32)),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in KEYED.names], schema=KEYED)


def without_tallies(batches: Iterable[pa.RecordBatch], tallies: Tallies) -> Iterator[pa.RecordBatch]:
    """Yield CANDIDATES batches without the tally rows among them, which are added to `tallies`."""
    for batch in batches:
        is_tally = pc.is_null(batch["url"])
        if is_tally.true_count:
            for row in batch.filter(is_tally).select(["text", "tally"]).to_pylist():
                tallies.add(row["text"], row["tally"])
            batch = batch.filter(pc.invert(is_tally))
        if batch.num_rows:
            yield batch


def _in_range(files: list[tuple[Path, int]], keys: KeyRange) -> Iterator[pa.RecordBatch]:
    for file, buckets in files:
        for rows in read_buckets(file, PAIRS, *keys.buckets(buckets)):
            yield keys.select(rows)


def _combined(batches: Iterable[pa.RecordBatch], max_texts: int, tallies: Tallies) -> pa.RecordBatch:
    """Return all batches combined; those so far are combined as soon as their rows have doubled."""
    held: list[pa.RecordBatch] = []
    rows, limit = 0, 4 * RUN_ROWS
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows > limit:
            held = [combine(_one(held), max_texts, tallies)]
            rows = held[0].num_rows
            limit = max(limit, 2 * rows)
    return combine(_one(held), max_texts, tallies)


def runs(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all batches in larger ones."""
    return gather_rows(batches, RUN_ROWS, RUN_BYTES)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.concat_batches(batches) if batches else pa.RecordBatch.from_pylist([], schema=PAIRS)
