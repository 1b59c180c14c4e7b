"""The step `copies`: keep one of the images that show the same picture, with the texts of all of them.

Copies are found by hashes alone (`near_copies.copies`). Then each file is rewritten without its copies, whose texts are
sent to the image that stays. The texts are combined like the texts of one URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from curation.by_uid.comparable import comparable, comparable_type
from curation.by_uid.rows import PLACE, RowStream, by_file, keys_of
from curation.by_uid.tables import KEY, KEY_NAMES, ImageTable
from curation.gate.rewriting import tally_texts
from curation.gate.steps import Step, removed
from curation.images.tasks import MATCHED_ROW_GROUP, key_of, pairs_of, write_images
from curation.near_copies.copies import copies_of, equal_copies
from curation.near_copies.words import HASH_BITS, MOST_SHARE, hash_binaries, hash_bits, require_distance
from curation.run.hooks import Context
from curation.run.sizes import group_buckets
from curation.schemas import MATCHED
from runtime.buckets import Packer
from runtime.errors import AGAIN, InputError
from runtime.packed_rows import Block
from runtime.shuffle import exchange
from runtime.spark import collected, map_batches, over
from runtime.storage.own_files import OwnFile, checksums_in, own_files, tally
from runtime.storage.parquet import batches, part_writer, read_table
from runtime.storage.paths import make_folder
from runtime.storage.versions import Version
from runtime.tallies import SCHEMA, Tallies

if TYPE_CHECKING:
    from curation.gate.plan import GatePlan

MARKS = pa.schema([*PLACE, pa.field("copy_of", pa.string())])
TEXTS_OF_COPY = 2  # about so many travel with a copy


@dataclass(frozen=True)
class SameImage:
    """The hash column that identifies copies of a picture, and how many bits may differ; None: no bit."""

    column: str
    distance: int | None = None

    @classmethod
    def parse(cls, text: str) -> SameImage:
        """Return what `--same-image` asks for.

        >>> SameImage.parse("sha256"), SameImage.parse("phash:4")
        (SameImage(column='sha256', distance=None), SameImage(column='phash', distance=4))
        """
        column, colon, number = text.partition(":")
        most = max(HASH_BITS) // MOST_SHARE
        if not column or (colon and not (number.isascii() and number.isdigit() and int(number) <= most)):
            raise InputError(
                f"--same-image is {text!r}; give a column, as sha256, or one with the number of bits in which copies "
                "differ at most, as phash:4"
            )
        return cls(column, int(number) if colon and int(number) else None)

    def __str__(self) -> str:
        return self.column if self.distance is None else f"{self.column} within {self.distance} bits"


@dataclass(frozen=True)
class Pictures:
    """The column of a table that identifies images of the same picture."""

    table: ImageTable
    same: SameImage
    bits: int | None = None  # of the hashes, where these may differ

    @classmethod
    def find(cls, table: ImageTable, same: SameImage) -> Pictures:
        """Return the column of a table; InputError for one whose hashes cannot be within the distance."""
        if same.distance is None:
            return cls(table, same)
        column = same.column
        bits = hash_bits((batch[column] for file in table.files for batch in table.read(file, [column])), column)
        require_distance(same.distance, bits)
        return cls(table, same, bits)


@dataclass(frozen=True)
class Copies(Step):
    """The step: of the images that show the same picture one stays."""

    pictures: Pictures

    def write(self, images: Sequence[OwnFile], folder: Path, context: Context) -> Tallies:
        """Write each picture once; tally the texts of copies that do not stay."""
        spark, work = context.spark, context.output.artefacts / "copies"
        folder_of_marks = make_folder(work / "marks")
        write_marks = partial(_write_marks, folder=folder_of_marks)
        copies = _copies(spark, images, self.pictures, work)
        marked = collected(map_batches(by_file(copies, len(images)), write_marks, SCHEMA))
        marks = {int(file.path.stem): file for file in own_files(folder_of_marks, checksums_in(marked), AGAIN)}
        number, partitions = group_buckets(TEXTS_OF_COPY * marked["copies"])
        send = partial(_send, buckets=number, folder=folder)
        most = context.config.max_texts
        receive = partial(_receive, number=number, max_texts=most, folder=folder)
        return exchange(spark, [(file, marks.get(n)) for n, file in enumerate(images)], send, receive, partitions)

    def facts(self, counted: Tallies) -> dict[str, Any]:
        """Return how many copies were removed."""
        return {"conditions": [removed(f"one image of a picture, by {self.pictures.same}", counted)]}


def step(spark: SparkSession, plan: GatePlan) -> Copies | None:
    """Return the step where copies are asked for."""
    return Copies(plan.pictures) if plan.pictures else None


def _copies(spark: SparkSession, files: Sequence[OwnFile], pictures: Pictures, work: Path) -> DataFrame:
    """Return MARKS of all images that have a copy, also of those that stay."""
    images, table, same = keys_of(spark, files, with_uids=True), pictures.table, pictures.same
    (value,) = table.row_schema([same.column]).remove(0).remove(0)
    kind = comparable_type(value.type) if same.distance is None else pa.binary()
    schema = pa.schema([*KEY, pa.field("hash", kind)])
    rows = over(spark, list(table.files), partial(_hashes, pictures=pictures, schema=schema), schema)
    hashes = images.join(rows, KEY_NAMES).select("uid", "hash")
    if same.distance is None or pictures.bits is None:
        copies = equal_copies(hashes)
    else:
        copies = copies_of(hashes, same.distance, work / "hashes", pictures.bits)
    return images.join(copies, "uid").select(*MARKS.names)


def _hashes(file: tuple[str, Version], pictures: Pictures, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    same = pictures.same
    for batch in pictures.table.read(file, [same.column]):
        *keys, values = batch.columns
        hashes = (
            comparable(values, pictures.table.name) if same.distance is None else hash_binaries(values, same.column)
        )
        rows = pa.RecordBatch.from_arrays([*keys, hashes], schema=schema)
        yield rows.filter(rows["hash"].is_valid())


def _write_marks(marks: Iterable[pa.RecordBatch], folder: Path) -> Iterator[pa.RecordBatch]:
    """Write a file of MARKS for each file of images that has copies; yield how many there are."""
    tallies, rows = Tallies(), RowStream(marks)
    for number in rows.files():
        path = folder / f"{number}.parquet"
        with part_writer(path, MARKS, MATCHED_ROW_GROUP) as writer:
            for batch in rows.rest_of(number):
                writer.write(batch)
        tallies.add("copies", writer.rows)
        tally(tallies, path, writer.checksum)
    yield tallies.batch()


def _send(item: tuple[OwnFile, OwnFile | None], tallies: Tallies, buckets: int, folder: Path) -> Iterator[Block]:
    """Write the images of a file that have no copies; yield the texts of all other images, packed."""
    file, marks = item
    rows, copy_of = _marks(marks)
    packer, begin, path = Packer(buckets), 0, folder / file.path.name
    with part_writer(path, MATCHED, MATCHED_ROW_GROUP) as writer:
        for batch in batches(file, MATCHED_ROW_GROUP):
            first, last = np.searchsorted(rows, (begin, begin + batch.num_rows))
            is_copy = np.zeros(batch.num_rows, bool)
            is_copy[rows[first:last] - begin] = True
            writer.write(batch.filter(pa.array(~is_copy)))
            copies = batch.filter(pa.array(is_copy))
            pairs = _tallied(copies, copy_of[first:last], tallies)
            yield from packer.deal(pairs, key_of(pairs))
            begin += batch.num_rows
    yield from packer.finish()
    tallies.add("passed", writer.rows)
    tally(tallies, path, writer.checksum)


def _marks(file: OwnFile | None) -> tuple[np.ndarray, pa.Array]:
    """Return the rows of the copies in a file of images, and the uids of the images that stay for them."""
    marks = MARKS.empty_table() if file is None else read_table(file)
    return marks["row"].to_numpy(), pa.concat_arrays([pa.array([], pa.string()), *marks["copy_of"].chunks])


def _tallied(images: pa.RecordBatch, copy_of: pa.Array, tallies: Tallies) -> pa.RecordBatch:
    """Return the pairs of copies, which are counted."""
    stay = pc.equal(images["uid"], copy_of).true_count
    tallies.add("pictures", stay)
    tallies.add("removed", images.num_rows - stay)
    tally_texts(images, np.ones(images.num_rows, bool), "texts", tallies)
    return pairs_of(images, copy_of)


def _receive(partition: int, blocks: Iterator[bytes], number: int, max_texts: int, folder: Path) -> Tallies:
    """Write the images that stay for others, each with the texts of all copies."""
    path, tallies = folder / f"copies-{partition:05d}.parquet", Tallies()
    written = write_images(blocks, number, max_texts, path)
    tallies.add("passed", written["matched"])
    for language, texts in written.by_language("language.matched").items():
        tallies.add("texts", -texts, language)  # those that are left
    tally(tallies, path, checksums_in(written)[path.name])
    return tallies
