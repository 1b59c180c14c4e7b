"""Mark all images that show the same picture as another, with the uid of the image that stays for them.

`--same-image` names a column of a table. Its values are joined to the images by KEY. Then images with equal values are
grouped; images whose hashes are near each other are found by `near_copies.copies`, with Spark's joins. Marks are
written by file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import HASH_BITS, MOST_SHARE, require_distance
from curation.images.combine import uid_hashes
from curation.images.tasks import MATCHED_ROW_GROUP, RUN_BYTES, RUN_ROWS
from curation.leaves.by_uid.by_key import PLACE, ROWS, Groups, Places, buckets_of, deal, send_images
from curation.leaves.by_uid.tables import ImageTable, comparable
from curation.leaves.near_copies.index import binaries, hash_binaries, hash_bits, keys_of_hashes
from curation.run.ledger import group_buckets, senders, sending
from runtime.arrow import gather_reduced, gather_rows, one_batch
from runtime.buckets import BUCKET_BYTES, Block, Packer, Store, by_bucket, packed, unpack
from runtime.engine.interface import Engine, Relay
from runtime.errors import InputError
from runtime.storage.listing import Version
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import part_writer, row_counts
from runtime.storage.paths import make_folder
from runtime.tallies import Tallies

VALUE = pa.field("value", pa.binary())

MARKS = pa.schema([*PLACE, pa.field("copy_of", pa.string())])
_SIZES = pa.schema([VALUE, pa.field("uid", pa.string()), pa.field("size", pa.int64())])
_UID = pa.field("uid", pa.string())
_JOINED = pa.schema([*ROWS, _UID, VALUE])
VALUES = pa.schema([*PLACE, _UID, VALUE])  # one row per image
VALUES_FOLDER = "values"  # the folder of the images that have a value, for near copies
ROWS_OF_IMAGE = 2  # estimated rows per image: its own, and one of the table


@dataclass(frozen=True)
class SameImage:
    """The hash column that identifies copies of a picture, and how many bits may differ; None: no bit."""

    column: str
    distance: int | None = None

    @classmethod
    def parse(cls, text: str) -> SameImage:
        """Return the column and the distance in a value of `--same-image`; InputError for any other text.

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
    bits: int | None = None  # of each hash; None if no bit may differ

    @classmethod
    def find(cls, table: ImageTable, same: SameImage) -> Pictures:
        """Return the column of a table; InputError if the distance is too large for hashes of its length."""
        if same.distance is None:
            return cls(table, same)
        column = same.column
        bits = hash_bits((batch[column] for file in table.files for batch in table.read(file, [column])), column)
        require_distance(same.distance, bits)
        return cls(table, same, bits)

    def read(self, file: tuple[str, Version]) -> Iterator[pa.RecordBatch]:
        """Yield KEY and value, as bytes, of each row of a file of the table.

        If hashes may differ in some bits, the value is the hash's key (`keys_of_hashes`).
        """
        for batch in self.table.read(file, [self.same.column]):
            *keys, values = batch.columns
            if self.bits is None:
                values = value_bytes(comparable(values, self.table.name))
            else:
                values = keys_of_hashes(hash_binaries(values, self.same.column), self.bits)
            yield pa.RecordBatch.from_arrays([*keys, values], names=[*batch.schema.names[:2], VALUE.name])


def value_bytes(values: pa.Array) -> pa.Array:
    """Return each value as bytes: equal for equal values, and for integers, texts and bytes in their order."""
    if pa.types.is_integer(values.type):
        numbers = values.fill_null(0).to_numpy().astype(np.int64).view(np.uint64) ^ np.uint64(1 << 63)
        return pc.if_else(values.is_valid(), binaries(numbers.astype(">u8").tobytes(), 8), None)
    if pa.types.is_nested(values.type):
        texts = [None if value is None else repr(value) for value in values.to_pylist()]
        return pa.array(texts, pa.string()).cast(pa.binary())
    if pa.types.is_floating(values.type):
        values = pc.add(values, 0.0)  # -0.0 is 0.0
    return values.cast(pa.binary() if pa.types.is_binary(values.type) else pa.string()).cast(pa.binary())


@dataclass(frozen=True)
class Finding:
    """The layout of the exchange that joins images to values: the column, the number of buckets, and the places."""

    pictures: Pictures
    buckets: int
    places: Places


def write_marks(engine: Engine, images: Sequence[OwnFile], pictures: Pictures, work: Path, folder: Path) -> Tallies:
    """Write a file of MARKS, named by its number, for each file of images that has copies; return the tallies.

    `copies` is the number of MARKS. `found` and `differing` are the numbers of images in the table, and of images with
    differing rows there, of which an example is tallied. `work` is a folder for intermediate files.
    """
    places = Places.of(row_counts(images))
    buckets, tasks = group_buckets(ROWS_OF_IMAGE * places.images)
    finding = Finding(pictures, buckets, places)
    items: list[list[tuple[int, Any]]] = senders([*enumerate(images)], places.images, buckets)
    items += senders([(-1, file) for file in pictures.table.files], places.images, buckets)
    send, write = partial(_send, finding=finding), partial(_write, places=places, folder=folder)
    joining = Relay(partial(_with_values, finding=finding), tasks)
    if pictures.bits is None or pictures.same.distance is None:
        equal = Relay(partial(_equal, finding=finding), tasks)
        return engine.exchange(items, send, write, places.tasks, [joining, equal])
    values = make_folder(work / VALUES_FOLDER)
    store = partial(_store, finding=finding, folder=values)
    counted = engine.exchange(items, send, store, tasks, [joining])
    from curation.leaves.gate.near_marks import near_marks  # here, as Spark takes long to import

    return counted + near_marks(engine, pictures, places, work, write)


def _send(items: Sequence[tuple[int, Any]], _: Tallies, finding: Finding) -> Iterator[Block]:
    """Yield KEY, PLACE and uid of images, and KEY and value of a table's rows; the table's files have number -1."""
    packer = sending(finding.buckets)
    for number, file in items:
        if number >= 0:
            yield from send_images(number, file, _JOINED, packer, lambda batch: {"uid": batch["uid"]})
            continue
        for rows in finding.pictures.read(file):
            known = dict(zip(rows.schema.names, rows.columns, strict=True))
            yield from deal(packer, known, _JOINED, rows.num_rows)
    yield from packer.finish()


def _with_values(partition: int, blocks: Iterator[bytes], tallies: Tallies, finding: Finding) -> Iterator[Block]:
    """Yield VALUES of the images that have a value, in blocks by value."""
    packer = sending(finding.buckets)
    for rows, groups in buckets_of(blocks, finding.buckets, _JOINED):
        found = _images_with_values(rows, groups, finding, tallies)
        yield from packer.deal(found, _value_keys(found))
    yield from packer.finish()


def _images_with_values(rows: pa.RecordBatch, groups: Groups, finding: Finding, tallies: Tallies) -> pa.RecordBatch:
    file = rows["file"].fill_null(-1).to_numpy()[groups.order]
    images = np.flatnonzero(file >= 0)
    is_found = groups.reduced(np.logical_or, file < 0)
    tallies.add("found.0", int(is_found[groups.group[images]].sum()))
    has_value = rows["value"].is_valid().to_numpy(zero_copy_only=False)[groups.order]
    chosen, differing = _values(rows["value"], groups, np.flatnonzero(has_value))
    if finding.pictures.table.is_uid and len(several := images[differing[groups.group[images]]]):
        tallies.add("differing.0", len(several))
        tallies.add(f"differing_uid.0.{pc.min(rows['uid'].take(pa.array(groups.order[several])))}")
    images = images[chosen[groups.group[images]] >= 0]
    own, values = (pa.array(each) for each in (groups.order[images], chosen[groups.group[images]]))
    columns = [*(rows[name].take(own) for name in VALUES.names[:-1]), rows["value"].take(values)]
    return pa.RecordBatch.from_arrays(columns, schema=VALUES)


def _values(values: pa.Array, groups: Groups, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of the smallest value of each group, -1 if it has none, and which groups have different values.

    `known` has the positions, in the order of groups, of the rows with a value.
    """
    chosen, differing = np.full(len(groups.starts), -1), np.zeros(len(groups.starts), bool)
    group, rows = groups.group[known], groups.order[known]
    chosen[group] = rows
    several = np.flatnonzero(np.bincount(group, minlength=len(chosen))[group] > 1)
    if len(several):
        own = values.take(pa.array(rows[several]))
        order = np.lexsort((_ranks(own), group[several]))[::-1]  # the smallest of a group is assigned last
        chosen[group[several][order]] = rows[several][order]
        ranks, firsts = _ranks(own)[order], np.flatnonzero(np.diff(group[several][order], prepend=-1))
        is_other = np.minimum.reduceat(ranks, firsts) != np.maximum.reduceat(ranks, firsts)
        differing[group[several][order][firsts]] = is_other
    return chosen, differing


def _ranks(values: pa.Array) -> np.ndarray:
    """Return the rank of each value among the distinct values, int64."""
    codes = values.dictionary_encode()
    ranks = np.empty(len(codes.dictionary), np.int64)
    ranks[pc.sort_indices(codes.dictionary).to_numpy()] = np.arange(len(ranks))
    return ranks[codes.indices.to_numpy()]


def _value_keys(rows: pa.RecordBatch) -> np.ndarray:
    return uid_hashes(rows["value"].view(pa.string())).view(np.uint64)


def _equal(partition: int, blocks: Iterator[bytes], _: Tallies, finding: Finding) -> Iterator[Block]:
    """Yield MARKS of the images that share their value with others, in blocks by file."""
    packer, places = Packer(finding.places.tasks), finding.places
    for bucket in by_bucket(blocks, finding.buckets, VALUES, _value_keys):
        for marks in equal_images(bucket):
            yield from packer.deal(marks, places.keys(marks))
    yield from packer.finish()


def equal_images(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield MARKS of the images that share their value with others; the one with the smallest uid stays.

    Any number of images may share a value, so images are stored on a disk until the smallest uid is known.
    """
    with Store() as store:
        shared = _by_value(gather_reduced(_stored(rows, store), _by_value, BUCKET_BYTES))
        shared = shared.filter(pc.greater(shared["size"], 1))
        for data in store.take(0):
            batch = unpack(data, VALUES)
            places = pc.index_in(batch["value"], value_set=shared["value"])
            own, copy_of = batch.filter(places.is_valid()), shared["uid"].take(places.drop_null())
            yield pa.RecordBatch.from_arrays([own["file"], own["row"], copy_of], schema=MARKS)


def _stored(rows: Iterable[pa.RecordBatch], store: Store) -> Iterator[pa.RecordBatch]:
    """Put rows into a store; yield the _SIZES of them, each row with size 1."""
    for batch in gather_rows(rows, RUN_ROWS, RUN_BYTES):
        store.add(0, packed(batch.serialize()).data, batch.nbytes)
        sizes = pa.array(np.ones(batch.num_rows, np.int64))
        yield pa.RecordBatch.from_arrays([batch["value"], batch["uid"], sizes], schema=_SIZES)


def _by_value(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Return _SIZES with one row per value: the smallest uid, and the number of images."""
    groups = pa.Table.from_batches(held, _SIZES).group_by("value", use_threads=False)
    return one_batch(groups.aggregate([("uid", "min"), ("size", "sum")]).rename_columns(_SIZES.names))


def _store(partition: int, blocks: Iterator[bytes], finding: Finding, folder: Path) -> Tallies:
    """Write the VALUES of a partition's images to a Parquet file; nothing is tallied."""
    with part_writer(folder / f"{partition:05d}.parquet", VALUES, MATCHED_ROW_GROUP) as writer:
        for bucket in by_bucket(blocks, finding.buckets, VALUES, _value_keys):
            for rows in bucket:
                writer.write(rows)
    return Tallies()


def _write(partition: int, blocks: Iterator[bytes], places: Places, folder: Path) -> Tallies:
    """Write a file of MARKS for each file of images that has copies; tally `copies`, the number of MARKS."""
    tallies, rows = Tallies(), places.stream(blocks, MARKS)
    for number in rows.files():
        path = folder / f"{number}.parquet"
        with part_writer(path, MARKS, MATCHED_ROW_GROUP) as writer:
            for batch in rows.rest_of(number):
                writer.write(batch)
        tallies.add("copies", writer.rows)
        tally(tallies, path, writer.checksum)
    return tallies
