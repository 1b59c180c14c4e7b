"""Make blocks of pairs from candidates, and matched images from these blocks: the tasks of two stages.

All pairs of an image are in the same bucket, which is a range of keys. Blocks (`runtime.buckets`) are saved per
input, so an interrupted run, or one with more inputs, repeats no work. Then `runtime.cogroup` gathers the blocks of a
bucket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import hashes, uid_hashes, uids
from curation.images.combine import combine, group, tally_duplicates
from curation.inputs.crawl.links import ALT, SIGNAL, SIGNALS
from curation.licences import TALLY, license_column
from curation.schemas import KEYED, LABELS, MATCHED, MATCHED_ROW_GROUP, PAIRS
from runtime.arrow import differs, gather_reduced, gather_rows, parts
from runtime.buckets import BUCKET_BYTES, Block, Packer, bucket_of, group_buckets
from runtime.cogroup import Grouping, Rows
from runtime.storage.parquet import part_writer
from runtime.tallies import Tallies, TaskResult

if TYPE_CHECKING:
    from curation.matching import Matching  # elsewhere opened, by those who match

RUN_ROWS = 131_072  # rows that are sorted and matched together; most languages have few of them
RUN_BYTES = 128 << 20
_OF_IMAGE = [name for name in MATCHED.names if name in PAIRS.names]


def pack_pairs(
    batches: Iterable[pa.RecordBatch], matching: Matching, max_texts: int, buckets: int, result: TaskResult
) -> Iterator[Block]:
    """Combine and match batches with the schema CANDIDATES; yield the pairs in blocks by bucket, of `buckets` buckets.

    `result` gets the tallies of combining, the numbers of signals and licences, and the number of pairs as `rows`.
    """
    packer = Packer(buckets)
    for run in _keyed_runs(batches, result):
        rows = matching.match(combine(run, max_texts, result))
        result.add("rows", rows.num_rows)
        yield from packer.add(rows, bucket_of(key_of(rows), buckets))
    yield from packer.finish()


def write_unique(batches: Iterable[pa.RecordBatch], matching: Matching, path: Path, result: TaskResult) -> None:
    """Match candidates that are each an image of their own, and write the images with a match.

    `batches` have the schema CANDIDATES.
    """
    images = (group(matching.match(run), result, unique=True) for run in _keyed_runs(batches, result))
    result.add("matched", write_image_rows(images, MATCHED, path, result))


@dataclass(frozen=True)
class ImageGrouping:
    """Groups pairs by image; the tasks write the images with a match to files of `folder`."""

    max_texts: int
    folder: Path

    def stage(self, pairs: float) -> Grouping:
        """Return the grouping of about so many pairs, with the schema PAIRS."""
        return Grouping(PAIRS, key_of, self.write, *group_buckets(pairs))

    def write(self, task: int, buckets: Iterator[Rows], result: TaskResult) -> None:
        """Write the images of a task."""
        images = images_of(buckets, self.max_texts, result)
        result.add("matched", write_image_rows(images, MATCHED, self.folder / f"{task:05d}.parquet", result))


def write_image_rows(rows: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path, result: TaskResult) -> int:
    """Write a Parquet file of rows about images; add its checksum to `result`, and return the number of its rows."""
    with part_writer(path, schema, MATCHED_ROW_GROUP) as writer:
        for batch in rows:
            writer.write(batch)
    result.files[path.name] = writer.checksum
    return writer.rows


def images_of(buckets: Iterable[Rows], max_texts: int, result: TaskResult) -> Rows:
    """Yield the matched images of pairs, bucket by bucket."""
    for pairs in buckets:
        yield group(_combined(pairs, max_texts, result), result)


def tally_copies(buckets: Iterable[Rows], max_texts: int, result: TaskResult) -> None:
    """Tally the duplicate and surplus texts that `images_of` would drop; the unmatched rows have the schema KEYED."""
    for rows in buckets:
        tally_duplicates(_combined(rows, max_texts, result), result)


def key_of(pairs: pa.RecordBatch) -> np.ndarray:
    """Return the key of each pair as uint64, by which pairs are grouped."""
    return pairs["key"].to_numpy()


def keyed(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with the schema CANDIDATES in the schema KEYED, with the columns LABELS if `rows` has them."""
    ids = uids(rows["url"], rows["uid"])
    columns = {name: rows[name] for name in ("url", "page_url", "stated_width", "stated_height", "text", "kind")} | {
        "signals": pc.fill_null(rows["signals"], 0),
        "given": rows["language"],
        "page_language": rows["page_language"],
        "pool_language": rows["pool_language"],
        "record": rows["record"],
    }
    columns |= _keys(ids, rows["text"])
    columns["shown"] = pc.equal(rows["kind"], ALT).fill_null(False).cast(pa.int32())
    keyed = pa.RecordBatch.from_arrays([columns[name] for name in KEYED.names], schema=KEYED)
    labels = [name for name in LABELS if name in rows.schema.names]
    return pa.RecordBatch.from_arrays([*keyed.columns, *map(rows.column, labels)], [*KEYED.names, *labels])


def pairs_of(images: pa.RecordBatch, copy_of: pa.Array) -> pa.RecordBatch:
    """Return the texts of images as pairs, in which the uid of each image is replaced by that in `copy_of`.

    It is the uid of the one copy of the picture that stays, so the texts of all copies can be grouped as if they were
    of one image. The image that stays has its own uid there. `images` have the schema MATCHED, the result PAIRS.
    """
    texts, offsets = parts(images["candidates"])
    image = pa.array(np.repeat(np.arange(images.num_rows), np.diff(offsets)))
    leaders, stays = copy_of.take(image), pc.equal(images["uid"], copy_of)
    columns = {name: images[name].take(image) for name in _OF_IMAGE}
    columns |= {field.name: texts.field(field.name) for field in texts.type}
    columns |= _keys(leaders, texts.field("text"))
    columns |= {
        "url": pc.if_else(stays, images["url"], None).take(image),  # of the image that stays: null is never smallest
        "page_url": pc.coalesce(texts.field("page_url"), images["page_url"].take(image)),
        "given": _origins(texts),
        **dict.fromkeys(("page_language", "pool_language", "judged"), pa.nulls(len(texts), pa.string())),
        # The first text of an image has the number of the image.
        "shown": pc.if_else(pa.array(differs(image.to_numpy())), columns["shown"].fill_null(0), 0),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in PAIRS.names], schema=PAIRS)


def _keys(uids: pa.Array, texts: pa.Array) -> dict[str, pa.Array]:
    """Return the columns by which rows are grouped by image: key, hash and uid, and copies, which is 1 in each row."""
    key, copies = uid_hashes(uids).view(np.uint64), np.ones(len(uids), np.int32)
    return {"key": pa.array(key), "hash": pa.array(hashes(uids, texts)), "uid": uids, "copies": pa.array(copies)}


def _origins(texts: pa.StructArray) -> pa.Array:
    """Return the language of each text, with "!" behind it if the input stated the language (lid_score is null).

    Of equal texts of one kind, `combine` keeps the one with the smallest of these strings.
    """
    stated = pc.binary_join_element_wise(texts.field("language"), "", "!")
    return pc.if_else(texts.field("lid_score").is_null(), stated, texts.field("language"))


def tally_signals(rows: pa.RecordBatch, tallies: Tallies) -> None:
    """Add to `tallies` the number of rows, with the schema KEYED, that have each signal and each licence."""
    signals = rows["signals"].to_numpy()
    for name, bit in SIGNALS.items():
        if pairs := int(np.count_nonzero(signals & bit)):
            tallies.add(f"{SIGNAL}{name}", pairs)
    for row in pc.value_counts(license_column(rows["signals"])).to_pylist():
        tallies.add(f"{TALLY}{row['values']}", row["counts"])


def _combined(batches: Iterable[pa.RecordBatch], max_texts: int, result: TaskResult) -> pa.RecordBatch:
    """Return the rows of all batches in one batch, to which `combine` is applied."""

    def reduce(held: list[pa.RecordBatch]) -> pa.RecordBatch:
        return combine(_one(held), max_texts, result)

    return reduce(gather_reduced(batches, reduce, BUCKET_BYTES))


def _keyed_runs(batches: Iterable[pa.RecordBatch], tallies: Tallies) -> Iterator[pa.RecordBatch]:
    """Yield the rows of CANDIDATES batches in larger KEYED batches; tally their signals."""
    for run in runs(map(keyed, batches)):
        tally_signals(run, tallies)
        yield run


def runs(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all batches in batches of at least RUN_ROWS rows or RUN_BYTES bytes, except the last."""
    return gather_rows(batches, RUN_ROWS, RUN_BYTES)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.concat_batches(batches) if batches else pa.RecordBatch.from_pylist([], schema=PAIRS)
