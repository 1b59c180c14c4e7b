"""Rules over all images of a run: at most N images of a text, and at most N images of a registered domain.

The step `domains` keeps the images of each domain with the smallest draws. A draw depends only on the seed and the uid,
so the choice does not depend on the order of rows. Tasks drop images over the limit before the images of a domain are
grouped, so no task holds all images of a large domain.

A filter of texts removes texts that too many images have. For each file of images, this filter reads a file with the
hashes of its repeated texts. Texts and domains are compared by a hash of 64 bits: among ten billion texts, probably
none has the hash of one of a million repeated texts, and among a billion domains, hardly two have the same hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from curation.image_ids import KEY_NAMES, uid_hashes
from curation.plugins.gate.filters import IMAGE, TEXT, Filter, ImageBatch, has_no_row
from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.policies.policies import OF_DOMAINS, RULES
from curation.plugins.gate.step import Step, StepFolder, StepTask
from curation.plugins.joins.uid_join import JOINED_ROWS, read_images
from curation.plugins.near_duplicates.copies import each_bucket
from curation.schemas import MATCHED_ROW_GROUP
from curation.url_hosts import hosts, registered_domain
from runtime.arrow import differs, gather_reduced, parts
from runtime.buckets import BUCKET_BYTES, group_buckets
from runtime.cogroup import PLACE, Grouping, Places, Rows, RowStream, Side, cogroup
from runtime.draws import draws
from runtime.errors import AGAIN
from runtime.storage.own_files import OwnFile, own_files
from runtime.storage.parquet import add_file, batches, read_table, row_counts
from runtime.tallies import Tallies, TaskResult

if TYPE_CHECKING:
    from curation.run.request import Context

OF_TEXTS = "max_images_per_text"  # the rule about repeated texts
DRAW_OF_DOMAINS = "domain"  # the purpose of the draw of each image
_DRAWN = pa.schema([pa.field("domain", pa.uint64()), pa.field("draw", pa.float64()), *JOINED_ROWS])
TEXTS_OF_IMAGE = 2  # an estimate of the number of texts per image
_COUNTS = pa.schema([pa.field("hash", pa.uint64()), pa.field("images", pa.int64()), PLACE[0]])
_FOUND = pa.schema([*PLACE, _COUNTS.field("hash")])
_OF_FILE = pa.schema([_COUNTS.field("hash")])


def _hash_of(rows: pa.RecordBatch) -> np.ndarray:
    return rows.column(0).to_numpy()


@dataclass(frozen=True)
class Domains(Step):
    """The step: at most a given number of images of each domain stay."""

    most: int

    def asks(self) -> dict[str, list[str]]:
        """Return the rule with its number, for users."""
        return {"policy": [f"{OF_DOMAINS}:{self.most}"]}

    def filters(self) -> list[Filter]:
        """Return the filter of images about which there is no row: the rows are about the images that are drawn."""
        return [Filter(f"at most {self.most:,} images of a registered domain", IMAGE, has_no_row, joined=["row"])]

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> TaskResult:
        """Write the images of each domain with the smallest draws."""
        draws = DomainDraws(self.most, context.config.seed)
        places = Places.of(row_counts(images))
        buckets, tasks = group_buckets(places.rows)
        drawn = Grouping(_DRAWN, _hash_of, draws.placed, buckets, places.tasks_before(tasks))
        task = StepTask([*images], folder, self.filters())
        side = Side(images, draws.read, places.rows, draws.smallest)
        return cogroup(context.engine, [side], drawn, places.stage(pa.schema(PLACE), task.write))


def find(options: GateOptions) -> Domains | None:
    """Return the step, or None without a limit per domain."""
    most = options.rules.number_of(OF_DOMAINS)
    return Domains(most) if most else None


@dataclass(frozen=True)
class DomainDraws:
    """Draws a number for each image, and keeps the `most` images of each domain that have the smallest numbers."""

    most: int
    seed: int

    def read(self, number: int, file: OwnFile, tallies: Tallies) -> Rows:
        """Yield the images of a file as rows of _DRAWN."""
        for rows in read_images(number, file, tallies, "uid", "url"):
            domains = uid_hashes(hosts(rows["url"], registered_domain)).view(np.uint64)
            drawn = pa.array(draws(self.seed, DRAW_OF_DOMAINS, rows["uid"]))
            columns = [pa.array(domains), drawn, *rows.columns[: len(JOINED_ROWS)]]
            yield pa.RecordBatch.from_arrays(columns, schema=_DRAWN)

    def placed(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> Rows:
        """Yield the PLACE of each image that stays."""
        for rows in chain.from_iterable(map(self.smallest, buckets)):
            yield rows.select([field.name for field in PLACE])

    def smallest(self, drawn: Iterable[pa.RecordBatch]) -> Rows:
        """Yield, as one batch, the images of each domain that may stay; nothing without images."""
        if held := gather_reduced(drawn, self._reduced, BUCKET_BYTES):
            yield self._reduced(held)

    def _reduced(self, held: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
        rows = pa.concat_batches(held)
        keys = [rows[name].to_numpy() for name in (*reversed(KEY_NAMES), "draw", "domain")]
        order = np.lexsort(keys)
        is_new = differs(keys[-1][order])
        rank = np.arange(len(order)) - np.flatnonzero(is_new)[np.cumsum(is_new) - 1]
        return rows.take(pa.array(order[rank < self.most]))


def write_repeated(context: Context, images: Sequence[OwnFile], most: int) -> dict[str, OwnFile]:
    """Write the hashes of the texts that more than `most` images have: a file for each file of images, by its name."""
    folder = context.output.parts.begin("repeated")
    places = Places.of(row_counts(images))
    buckets, tasks = group_buckets(TEXTS_OF_IMAGE * places.rows)
    more = repeated_in, most
    counting = Grouping(_COUNTS, _hash_of, each_bucket, buckets, places.tasks_before(tasks), more)
    writing = places.stage(_FOUND, _write_texts, folder, [file.path.name for file in images])
    counted = cogroup(context.engine, [Side(images, _read_texts, places.rows)], counting, writing)
    return {file.path.name: file for file in own_files(folder, counted.files, AGAIN)}


def repeated_filter(most: int, files: Mapping[str, OwnFile]) -> Filter:
    """Return the filter of texts that more than `most` images have, given what `write_repeated` returned."""
    rule = RULES[OF_TEXTS]
    return Filter(
        title=rule.title(most),
        scope=TEXT,
        function=is_repeated,
        arguments={"files": files},
        columns=rule.columns,
        removes=rule.removed(most),
    )


def is_repeated(batch: ImageBatch, files: Mapping[str, OwnFile]) -> np.ndarray:
    """Return bool[text]: which texts are repeated; they are compared as their file states them, before rules fix them.

    `files` has the hashes of repeated texts of each file of images, by its name.
    """
    hashes = _hashes(batch.texts_as_stated)
    repeated = _opened(files[batch.file]) if batch.file in files else hashes[:0]
    places = np.searchsorted(repeated, hashes)
    out = places < len(repeated)
    out[out] = repeated[places[out]] == hashes[out]
    return out


@lru_cache(maxsize=1)
def _opened(file: OwnFile) -> np.ndarray:
    return read_table(file)["hash"].to_numpy()


def _hashes(texts: pa.StructArray) -> np.ndarray:
    return uid_hashes(texts.field("text")).view(np.uint64)


def repeated_in(bucket: Iterable[pa.RecordBatch], most: int) -> Iterator[pa.RecordBatch]:
    """Yield a row of _FOUND for each file and each of its texts that more than `most` images of all files have.

    `bucket` has, for each of its texts, all rows of _COUNTS about it.
    """
    counts = pa.concat_batches([*bucket])
    hashes = _hash_of(counts)
    order = np.argsort(hashes)
    starts = np.flatnonzero(differs(hashes[order]))
    images = np.add.reduceat(counts["images"].to_numpy()[order], starts) if len(starts) else starts
    is_repeated = np.repeat(images > most, np.diff(np.append(starts, len(order))))
    repeated = counts.take(pa.array(order[is_repeated]))
    row = pa.array(np.zeros(len(repeated), np.int64))  # A file's hashes are not listed by image, so any row fits.
    yield pa.RecordBatch.from_arrays([repeated["file"], row, repeated["hash"]], schema=_FOUND)


def _read_texts(number: int, file: OwnFile, tallies: Tallies) -> Rows:
    """Yield, for each batch of images, how many have each text, as rows of _COUNTS; an image has no text twice."""
    for batch in batches(file, MATCHED_ROW_GROUP, ["candidates.list.element.text"]):
        hashes, counts = np.unique(_hashes(parts(batch["candidates"])[0]), return_counts=True)
        columns = [pa.array(values) for values in (hashes, counts, np.full(len(hashes), number, np.int32))]
        yield pa.RecordBatch.from_arrays(columns, schema=_COUNTS)


def _write_texts(number: int, rows: RowStream, folder: Path, names: Sequence[str]) -> TaskResult:
    """Write the distinct hashes of the repeated texts of a file, ascending, unless it has none."""
    result = TaskResult()
    if held := [batch["hash"].to_numpy() for batch in rows.rest_of(number)]:
        hashes = pa.RecordBatch.from_arrays([pa.array(np.unique(np.concatenate(held)))], schema=_OF_FILE)
        add_file(result, folder / names[number], _OF_FILE, MATCHED_ROW_GROUP, [hashes])
    return result
