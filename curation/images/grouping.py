"""Make blocks of pairs from candidates, and matched images from these blocks: the tasks of two stages.

All pairs of an image are in the same bucket, which is a range of keys. Blocks (`runtime.buckets`) are saved per
input, so an interrupted run, or one with more inputs, repeats no work. Then `runtime.cogroup` gathers the blocks of a
bucket.

Uids of images and the hashes of their texts equal Spark's `md5` and `xxhash64`, but are computed in the process that
reads the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import DOUBTFUL_SCORE, WITNESSES
from curation.image_ids import hashes, uid_hashes, uids
from curation.images.combining import OF_IMAGE, SEVERAL_URLS, combine, new_images, reduced, smallest_rows, with_numbers
from curation.inputs.limits import SHARED_UIDS
from curation.language.text_kinds import is_foreign
from curation.licences import READ_LICENSES, license_column
from curation.schemas import ALT, CANDIDATE, KEYED, LABELS, MATCHED, MATCHED_ROW_GROUP, PAIRS, SIGNALS
from runtime.arrow import differs, gather_reduced, gather_rows, parts, taken
from runtime.buckets import BUCKET_BYTES, Block, Packer, group_buckets
from runtime.cogroup import Grouping, Rows
from runtime.storage.parquet import add_file
from runtime.tallies import Tallies, TaskResult

if TYPE_CHECKING:
    from curation.matching.matching import Matching

RUN_ROWS = 131_072  # This many rows are sorted and matched together; most languages have few of them.
RUN_BYTES = 128 << 20
DUPLICATE = "duplicate_text"
_OF_IMAGE = [name for name in MATCHED.names if name in PAIRS.names]


def pack_pairs(
    batches: Iterable[pa.RecordBatch], matching: Matching | None, max_texts: int, buckets: int, result: TaskResult
) -> Iterator[Block]:
    """Combine and match batches with the schema CANDIDATES; yield the pairs in blocks by bucket, of `buckets` buckets.

    Without `matching`, the pairs are not matched, and have the schema KEYED. `result` gets the tallies of combining,
    the numbers of signals and licences, and the number of pairs as `rows`.
    """
    packer = Packer(buckets)
    for run in _keyed_runs(batches, result):
        rows = combine(run, max_texts, result)
        if matching is not None:
            rows = matching.match(rows)
        result.add("rows", rows.num_rows)
        yield from packer.deal(rows, key_of(rows))
    yield from packer.finish()


def write_unique(batches: Iterable[pa.RecordBatch], matching: Matching, path: Path, result: TaskResult) -> None:
    """Match candidates that are each a separate image, and write the images with a match.

    `batches` have the schema CANDIDATES.
    """
    images = unique_images(batches, matching, result)
    result.add("matched_images", add_file(result, path, MATCHED, MATCHED_ROW_GROUP, images))


def unique_images(batches: Iterable[pa.RecordBatch], matching: Matching, result: TaskResult) -> Rows:
    """Yield the images with a match, as MATCHED batches; each candidate in `batches` is a separate image."""
    for run in _keyed_runs(batches, result):
        yield group_images(matching.match(run), result, unique=True)


@dataclass(frozen=True)
class ImageGrouping:
    """Groups pairs by image; the tasks write the images with a match to files of `folder`."""

    max_texts: int
    folder: Path

    def stage(self, pairs: float) -> Grouping:
        """Return the grouping of about `pairs` pairs, which have the schema PAIRS."""
        return Grouping(PAIRS, key_of, self.write, *group_buckets(pairs))

    def write(self, task: int, buckets: Iterator[Rows], result: TaskResult) -> None:
        """Write the images with a match from the buckets of the task with the number `task` to one file."""
        images = images_of(buckets, self.max_texts, result)
        path = self.folder / f"{task:05d}.parquet"
        result.add("matched_images", add_file(result, path, MATCHED, MATCHED_ROW_GROUP, images))


def images_of(buckets: Iterable[Rows], max_texts: int, result: TaskResult) -> Rows:
    """Yield the images with a match, one MATCHED batch for each bucket of pairs (PAIRS)."""
    for pairs in buckets:
        yield group_images(_combined(pairs, max_texts, result), result)


def tally_copies(buckets: Iterable[Rows], max_texts: int, result: TaskResult) -> None:
    """Tally the duplicate and surplus texts that `images_of` would drop; the unmatched rows have the schema KEYED."""
    for rows in buckets:
        tally_duplicates(_combined(rows, max_texts, result), result)


def key_of(pairs: pa.RecordBatch) -> np.ndarray:
    """Return the column `key`, by which pairs are grouped, as uint64[pair]."""
    return pairs["key"].to_numpy()


def keyed(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with the schema CANDIDATES in the schema KEYED, with the columns LABELS if `rows` has them."""
    ids = uids(rows["url"], rows["uid"])
    unchanged = ("url", "page_url", "stated_width", "stated_height", "surroundings", "text", "kind")
    columns = {name: rows[name] for name in unchanged} | {
        "signals": pc.fill_null(rows["signals"], 0),
        "given": rows["language"],
        "page_language": rows["page_language"],
        "pool_language": rows["pool_language"],
        "record": rows["record"],
    }
    columns |= _keys(ids, rows["text"])
    columns["shown"] = pc.equal(rows["kind"], ALT).fill_null(False).cast(pa.int32())
    keyed = pa.RecordBatch.from_pydict(columns, schema=KEYED)
    labels = [name for name in LABELS if name in rows.schema.names]
    return pa.RecordBatch.from_arrays([*keyed.columns, *map(rows.column, labels)], [*KEYED.names, *labels])


def pairs_of(images: pa.RecordBatch, copy_of: pa.Array) -> pa.RecordBatch:
    """Return the texts of images as pairs that have, instead of the image's own uid, its uid in `copy_of`.

    `copy_of` has, for each image, the uid of the copy of its picture that stays: for the image that stays, its own uid.
    So the texts of all copies can be grouped as if they belonged to one image. `images` have the schema MATCHED, the
    result PAIRS.
    """
    texts, offsets = parts(images["candidates"])
    image = pa.array(np.repeat(np.arange(images.num_rows), np.diff(offsets)))
    leaders = copy_of.take(image)
    stays = pc.equal(images["uid"], copy_of)
    columns = {name: images[name].take(image) for name in _OF_IMAGE}
    columns |= {field.name: texts.field(field.name) for field in texts.type}
    columns |= _keys(leaders, texts.field("text"))
    columns |= {
        "url": pc.if_else(stays, images["url"], None).take(image),  # Copies have null, which is never the smallest.
        "page_url": pc.coalesce(texts.field("page_url"), images["page_url"].take(image)),
        "given": _origins(texts),
        **dict.fromkeys(("page_language", "pool_language", "judged"), pa.nulls(len(texts), pa.string())),
        # The first text of an image has the number of the image, and the other texts have 0.
        "shown": pc.if_else(pa.array(differs(image.to_numpy())), columns["shown"].fill_null(0), 0),
    }
    return pa.RecordBatch.from_pydict(columns, schema=PAIRS)


def _keys(uids: pa.Array, texts: pa.Array) -> dict[str, pa.Array]:
    """Return the columns by which rows are grouped by image: key, hash and uid, and copies, which is 1 in each row."""
    key = uid_hashes(uids).view(np.uint64)
    copies = np.ones(len(uids), np.int32)
    return {"key": pa.array(key), "hash": pa.array(hashes(uids, texts)), "uid": uids, "copies": pa.array(copies)}


def _origins(texts: pa.StructArray) -> pa.Array:
    """Return the language of each text, with "!" behind it if the input stated the language (lid_score is null).

    If equal texts are of one kind, `combine` keeps the text with the smallest of these strings.
    """
    stated = pc.binary_join_element_wise(texts.field("language"), "", "!")
    return pc.if_else(texts.field("lid_score").is_null(), stated, texts.field("language"))


def tally_signals(rows: pa.RecordBatch, tallies: Tallies) -> None:
    """Add to `tallies` the number of rows, with the schema KEYED, that have each signal and each licence."""
    signals = rows["signals"].to_numpy()
    for name, bit in SIGNALS.items():
        if pairs := int(np.count_nonzero(signals & bit)):
            tallies.add("signal", pairs, item=name)
    for row in pc.value_counts(license_column(rows["signals"])).to_pylist():
        tallies.add(READ_LICENSES, row["counts"], item=row["values"])


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


def group_images(rows: pa.RecordBatch, tallies: Tallies, unique: bool = False) -> pa.RecordBatch:
    """Return the images of combined pairs that have a text with a match, with only the texts that match.

    `rows` have the schema PAIRS, the result MATCHED. If `unique`, each row is a separate image.

    `tallies` gets the number of images, texts and duplicates, of undetermined texts by reason, and of texts decided by
    each witness. Per language it gets the number of all texts, of texts identified by the model, with the sum of their
    scores and the number of low scores, of texts in other scripts, and of matched texts.
    """
    new_image = np.ones(rows.num_rows, bool) if unique else new_images(rows, np.arange(rows.num_rows))
    has_match = pc.greater(pc.list_value_length(rows["entries"]), 0)
    tallies.add("images", int(new_image.sum()))
    signals = rows["signals"].to_numpy()
    if shared := int(np.count_nonzero(signals[new_image] & SEVERAL_URLS)):
        tallies.add(SHARED_UIDS, shared)
        rows = with_numbers(rows, "signals", signals & ~SEVERAL_URLS)
    tally_duplicates(rows, tallies)
    rows = _with_shown(rows, new_image)
    for row in pc.value_counts(rows["judged"].drop_null()).to_pylist():
        name = row["values"]
        kind = "witness" if name in WITNESSES else "undetermined"
        tallies.add(kind, row["counts"], item=name)
    _tally_languages(rows, has_match, tallies)
    texts = np.flatnonzero(has_match.to_numpy(zero_copy_only=False))
    return _images(rows, texts, np.cumsum(new_image)[texts])


def _with_shown(rows: pa.RecordBatch, new_image: np.ndarray) -> pa.RecordBatch:
    """Return rows, sorted by image, with `shown` replaced by its sum over all rows of the image."""
    bounds = np.append(np.flatnonzero(new_image), rows.num_rows)
    shown = reduced(np.add, rows["shown"].to_numpy().astype(np.int64), bounds)
    return with_numbers(rows, "shown", np.repeat(shown, np.diff(bounds)))


def tally_duplicates(rows: pa.RecordBatch, tallies: Tallies) -> None:
    """Tally the duplicates: the number of input rows that were combined into `rows`, less the number of `rows`."""
    tallies.add("dropped", int(rows["copies"].to_numpy().sum()) - rows.num_rows, item=DUPLICATE)


def _tally_languages(rows: pa.RecordBatch, has_match: pa.Array, tallies: Tallies) -> None:
    columns = {
        "score": rows["lid_score"],
        "matched": has_match.cast(pa.int64()),
        "doubtful": pc.less(rows["lid_score"], DOUBTFUL_SCORE).cast(pa.int64()),
        "other_script": is_foreign(rows["text"], rows["language"].dictionary_encode()).astype(np.int64),
    }
    groups = pa.table({"language": rows["language"], **columns}).group_by("language", use_threads=False)
    sums = groups.aggregate([("matched", "count"), ("score", "count"), *((name, "sum") for name in columns)])
    for row in sums.to_pylist():
        tallies.add("texts", row["matched_count"], language=row["language"])
        tallies.add("identified", row["score_count"], language=row["language"])
        for name in columns:
            tallies.add(name, row[f"{name}_sum"] or 0, language=row["language"])


def _images(rows: pa.RecordBatch, texts: np.ndarray, image: np.ndarray) -> pa.RecordBatch:
    """Return one row per image, with the schema MATCHED, from the pairs whose indices are `texts`.

    The indices are sorted by `image`, which has the number of the image of each.
    """
    starts = np.flatnonzero(differs(image))
    of_images = pa.array(texts[starts])
    of_texts = pa.array(texts)
    columns = {name: taken(rows[name], of_images) for name in ("uid", *OF_IMAGE, "shown")}
    columns["page_url"], pages = _pages(taken(rows["page_url"], of_texts), starts)
    members = [pages if field.name == "page_url" else taken(rows[field.name], of_texts) for field in CANDIDATE]
    candidates = pa.StructArray.from_arrays(members, fields=list(CANDIDATE))
    columns["candidates"] = pa.ListArray.from_arrays(pa.array(np.append(starts, len(image)), pa.int32()), candidates)
    return pa.RecordBatch.from_pydict(columns, schema=MATCHED)


def _pages(pages: pa.Array, starts: np.ndarray) -> tuple[pa.Array, pa.Array]:
    """Return the page of each image, and the page of each text; the latter is null if it equals the image's page.

    `pages` has the page of each text, sorted by image; `starts` has the index of each image's first text. The page of
    an image is the smallest of its texts' pages; it is null if one of these texts has no page.
    """
    bounds = np.append(starts, len(pages))
    rows = np.arange(len(pages))
    is_known = pages.is_valid().to_numpy(zero_copy_only=False)
    first = smallest_rows(pages, rows, bounds)
    first[~reduced(np.logical_and, is_known, bounds)] = -1
    of_image = np.repeat(first, np.diff(bounds))
    is_same = of_image == rows
    others = np.flatnonzero(is_known & ~is_same & (of_image >= 0))
    same = pc.equal(pages.take(pa.array(others)), pages.take(pa.array(of_image[others])))
    is_same[others] = same.to_numpy(zero_copy_only=False)
    return pages.take(pa.array(first, mask=first < 0)), pages.take(pa.array(rows, mask=is_same))
