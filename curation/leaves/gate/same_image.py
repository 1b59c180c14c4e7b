"""The step `copies`: keep one of the images that show the same picture.

`--same-image` names a column of a table. Its values are joined to the images by KEY. Then images with equal values are
grouped; images whose hashes are near each other are found by `near_duplicates.copies`. Each image of a group is marked
with the uid of the image that stays for the group; there is a file of marks for each file of images. Then each file is
rewritten without the images that have copies. The texts of these images are sent to the image that stays, and combined
like the texts of one URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import HASH_BITS, MOST_SHARE, CurationConfig, require_distance
from curation.image_ids import KEY_NAMES, uid_hashes
from curation.images.grouping import RUN_BYTES, RUN_ROWS, images_of, key_of, pairs_of, write_rows
from curation.joins.image_tables import ImageTable, comparable
from curation.joins.uid_join import ROWS, Groups, ImageKeys, grouped, spread_keys
from curation.leaves.gate.options import GateOptions
from curation.leaves.gate.step import Gone, Step, StepFolder, tally_texts
from curation.leaves.gate.tables_of_options import GivenTables, of_table, require_found, require_own_rows, value_bytes
from curation.leaves.near_duplicates.copies import ColumnsRead, NearCopies
from curation.leaves.near_duplicates.index import hash_binaries, hash_bits, keys_of_hashes
from curation.schemas import MATCHED, MATCHED_ROW_GROUP, PAIRS
from runtime.arrow import gather_reduced, gather_rows, one_batch
from runtime.buckets import BUCKET_BYTES, Store, packed, unpack
from runtime.cogroup import Grouping, Rows, Side, cogroup
from runtime.engine import Engine
from runtime.errors import AGAIN, InputError
from runtime.partitioning import group_buckets
from runtime.placed_rows import PLACE, Places, in_order
from runtime.storage.listing import Version
from runtime.storage.own_files import OwnFile, own_files, part_files
from runtime.storage.parquet import batches, read_table, row_counts
from runtime.storage.paths import make_folder
from runtime.tallies import Tallies, TaskResult

if TYPE_CHECKING:
    from curation.run.request import Context

VALUE = pa.field("value", pa.binary())

MARKS = pa.schema([*PLACE, pa.field("copy_of", pa.string())])
_SIZES = pa.schema([VALUE, pa.field("uid", pa.string()), pa.field("size", pa.int64())])
_UID = pa.field("uid", pa.string())
_JOINED = pa.schema([*ROWS, _UID, VALUE])
VALUES = pa.schema([*PLACE, _UID, VALUE])  # one row per image
VALUES_FOLDER = "values"  # the folder of the images that have a value, for near copies
TEXTS_OF_COPY = 2  # estimated texts that are sent per copy


@dataclass(frozen=True)
class Pictures:
    """The column of a table by which images are copies: by equal values or, given `distance`, by near hashes."""

    table: ImageTable
    column: str
    distance: int | None = None
    bits: int | None = None  # of each hash, if some may differ

    @classmethod
    def named(cls, asked: str, tables: GivenTables) -> Pictures:
        """Return the column, and the distance, that a value of `--same-image` names, such as phash:4.

        InputError for any other text, or if the column is in none of the tables or in several.
        """
        column, colon, number = asked.partition(":")
        most = max(HASH_BITS) // MOST_SHARE
        if not column or (colon and not (number.isascii() and number.isdigit() and int(number) <= most)):
            raise InputError(
                f"--same-image is {asked!r}; give a column, as sha256, or one with the number of bits in which copies "
                "differ at most, as phash:4"
            )
        return cls(tables.with_column(column, "--same-image"), column, int(number) if colon and int(number) else None)

    def measured(self) -> Pictures:
        """Return the column with the length of its hashes, if these may differ; InputError for too large a distance."""
        if self.distance is None:
            return self
        column = self.column
        read = (batch[column] for file in self.table.files for batch in self.table.read(file, [column]))
        bits = hash_bits(read, column)
        require_distance(self.distance, bits)
        return replace(self, bits=bits)

    def read(self, _: int, file: tuple[str, Version], tallies: Tallies) -> Rows:
        """Yield KEY and value, as bytes, of each row of a file of the table; tally the rows.

        If `bits` is set, so that hashes may differ, the value is the hash's key (`keys_of_hashes`).
        """
        for batch in self.table.read(file, [self.column]):
            values = batch[self.column]
            if self.bits is None:
                values = value_bytes(comparable(values, self.table.name))
            else:
                values = keys_of_hashes(hash_binaries(values, self.column), self.bits)
            tallies.add("rows", batch.num_rows)
            columns = [*(batch[name] for name in KEY_NAMES), values]
            yield pa.RecordBatch.from_arrays(columns, [*KEY_NAMES, VALUE.name])

    def __str__(self) -> str:
        return self.column if self.distance is None else f"{self.column} within {self.distance} bits"


@dataclass(frozen=True)
class Copies(Step):
    """The step: of the images that show the same picture, one stays."""

    pictures: Pictures
    is_alone: bool = False  # whether no other step counts the images in the table

    def asks(self) -> dict[str, list[str]]:
        """Return, for users, what the step asks of images: the column, and its table if no other step names it."""
        table = GivenTables(images=(self.pictures.table,))
        return {"one image for each": [str(self.pictures)], "tables": table.lines if self.is_alone else []}

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> TaskResult:
        """Write one image of each picture, with texts of its copies; tally `texts`, by language: those not kept."""
        marks = context.output.parts.begin("marks")
        work = context.output.artefacts / "hashes"
        marked = write_marks(context.engine, images, self.pictures, work, marks)
        mark_files = own_files(marks, marked.files, AGAIN)
        by_file = {int(file.path.stem): file for file in mark_files}
        items = [(file, by_file.get(number)) for number, file in enumerate(images)]
        rewriting = CopyRewriting(folder, self.title, context.config.max_texts)
        grouping = Grouping(PAIRS, key_of, rewriting.write, *group_buckets(TEXTS_OF_COPY * marked["copies"]))
        marked.files.clear()  # they are no files of images
        return marked + cogroup(context.engine, [Side(items, rewriting.read)], grouping)

    def require(self, counted: TaskResult, config: CurationConfig) -> None:
        """Raise InputError if the table has none of the images, or different values for too many of them."""
        if self.is_alone:
            require_found(self.pictures.table, 0, counted)
            require_own_rows(self.pictures.table, [self.pictures.column], 0, counted, config)

    def facts(self, counted: TaskResult) -> dict[str, Any]:
        """Return the number of removed copies and, if no other step reports the table, how many images are in it."""
        tables = [{"name": self.pictures.table.name, **of_table(0, counted)}] if self.is_alone else []
        return {"tables": tables} | super().facts(counted)

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"one image of a picture, by {self.pictures}"


def find_copies(options: GateOptions) -> Copies | None:
    """Return the step, or None without --same-image."""
    if options.same_image is None:
        return None
    pictures = Pictures.named(options.same_image, options.tables).measured()
    return Copies(pictures, not options.asks_of_single)


@dataclass(frozen=True)
class CopyRewriting:
    """Rewrites files of images without those that have copies, and groups the texts of these by picture."""

    folder: StepFolder
    rule: str
    max_texts: int

    def read(self, _: int, item: tuple[OwnFile, OwnFile | None], result: TaskResult) -> Rows:
        """Write the images of a file that have no copies; yield the PAIRS of all other images.

        `item` is the file of images and, if any have copies, the file of their MARKS, sorted by row. Tally the
        pictures, the images that go, and all texts of images that have copies.
        """
        file, marks = item
        marked = one_batch(MARKS.empty_table() if marks is None else read_table(marks))
        rows, copy_of, begin = marked["row"].to_numpy(), marked["copy_of"], 0
        with self.folder.rewritten(file.path.name, result) as write:
            for batch in batches(file, MATCHED_ROW_GROUP):
                first, last = np.searchsorted(rows, (begin, begin + batch.num_rows))
                is_copy = np.zeros(batch.num_rows, bool)
                is_copy[rows[first:last] - begin] = True
                copies = batch.filter(pa.array(is_copy))
                goes = pc.not_equal(copies["uid"], copy_of[first:last]).to_numpy(zero_copy_only=False)
                write(batch.filter(pa.array(~is_copy)), Gone.with_images(copies, goes, self.rule))
                result.add("pictures", int((~goes).sum()))
                result.add("removed", int(goes.sum()))
                tally_texts(copies, np.ones(copies.num_rows, bool), "texts", result)
                yield pairs_of(copies, copy_of[first:last])
                begin += batch.num_rows

    def write(self, task: int, buckets: Iterator[Rows], result: TaskResult) -> None:
        """Write the images that stay for copies, each with the texts of all its copies."""
        path, grouped = self.folder.path / f"copies-{task:05d}.parquet", TaskResult()
        result.add("passed", write_rows(images_of(buckets, self.max_texts, grouped), MATCHED, path, result))
        for language, texts in grouped.by_language("language.matched").items():
            result.add("texts", -texts, language)  # kept texts are not removed


def write_marks(engine: Engine, images: Sequence[OwnFile], pictures: Pictures, work: Path, folder: Path) -> TaskResult:
    """Write the MARKS of each file of images that has copies to a file named by its number; return the result.

    `copies` is the number of marks, `found` that of images in the table, and `differing` that of images with differing
    rows there; the uid of one of these is noted too. `work` is a folder for intermediate files.
    """
    places = Places.of(row_counts(images))
    cut = group_buckets(2 * places.rows)
    sides = [
        Side(images, ImageKeys((_UID.name,)), places.rows),
        Side(pictures.table.files, pictures.read, places.rows),
    ]
    joining = Grouping(_JOINED, spread_keys, PictureValues(pictures.table.is_uid), *cut)
    marking = places.grouping(MARKS, MarkFiles(folder))
    if pictures.bits is None or pictures.distance is None:
        return cogroup(engine, sides, joining, Grouping(VALUES, _value_keys, _equal, *cut), marking)
    storing = ValueFiles(make_folder(work / VALUES_FOLDER))
    counted = cogroup(engine, sides, joining, Grouping(VALUES, _value_keys, storing, *cut))
    stored = [OwnFile(path, None, AGAIN) for path in part_files(work / VALUES_FOLDER)]
    names = {"file": "file", "row": "row", "uid": "uid", VALUE.name: "key"}
    search = NearCopies(engine, pictures.distance, pictures.bits, work)
    return counted + search.mark(Side(stored, ColumnsRead(names), places.rows), marking)


@dataclass(frozen=True)
class PictureValues:
    """Gives images the values that a table has for them; `is_uid` says whether the table has uids."""

    is_uid: bool

    def __call__(self, task: int, buckets: Iterator[Rows], result: TaskResult) -> Rows:
        """Yield the images for which the table has a value, as rows of VALUES."""
        return (_images_with_values(rows, groups, self.is_uid, result) for rows, groups in grouped(buckets))


def _images_with_values(rows: pa.RecordBatch, groups: Groups, is_uid: bool, result: TaskResult) -> pa.RecordBatch:
    file = rows["file"].fill_null(-1).to_numpy()[groups.order]
    images = np.flatnonzero(file >= 0)
    is_found = groups.reduced(np.logical_or, file < 0)
    result.add("found.0", int(is_found[groups.group[images]].sum()))
    has_value = rows["value"].is_valid().to_numpy(zero_copy_only=False)[groups.order]
    chosen, differing = _values(rows["value"], groups, np.flatnonzero(has_value))
    if is_uid and len(several := images[differing[groups.group[images]]]):
        result.add("differing.0", len(several))
        result.note("differing.0", pc.min(rows["uid"].take(pa.array(groups.order[several]))).as_py())
    images = images[chosen[groups.group[images]] >= 0]
    places, values = (pa.array(indices) for indices in (groups.order[images], chosen[groups.group[images]]))
    columns = [*(rows[name].take(places) for name in VALUES.names[:-1]), rows["value"].take(values)]
    return pa.RecordBatch.from_arrays(columns, schema=VALUES)


def _values(values: pa.Array, groups: Groups, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each group, the row of its smallest value, or -1 if it has none, and whether it has different values.

    `positions` has the positions in `groups.order` of the rows with a value.
    """
    chosen, differing = np.full(len(groups.starts), -1), np.zeros(len(groups.starts), bool)
    group, rows = groups.group[positions], groups.order[positions]
    chosen[group] = rows
    several = np.flatnonzero(np.bincount(group, minlength=len(chosen))[group] > 1)
    if len(several):
        repeated = values.take(pa.array(rows[several]))
        ranks = pc.rank(repeated, tiebreaker="dense").to_numpy()
        order = np.lexsort((ranks, group[several]))[::-1]  # the smallest of a group is assigned last
        chosen[group[several][order]] = rows[several][order]
        ranks, firsts = ranks[order], np.flatnonzero(np.diff(group[several][order], prepend=-1))
        is_other = np.minimum.reduceat(ranks, firsts) != np.maximum.reduceat(ranks, firsts)
        differing[group[several][order][firsts]] = is_other
    return chosen, differing


def _value_keys(rows: pa.RecordBatch) -> np.ndarray:
    return uid_hashes(rows["value"].view(pa.string())).view(np.uint64)


def _equal(task: int, buckets: Iterator[Rows], tallies: Tallies) -> Rows:
    """Yield rows of MARKS for the images that share their value with others."""
    return chain.from_iterable(map(equal_images, buckets))


def equal_images(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield rows of MARKS for the images that share their value with others; the one with the smallest uid stays.

    Any number of images may share a value, so images are stored on a disk until the smallest uid is known.
    """
    with Store() as store:
        shared = _by_value(gather_reduced(_stored(rows, store), _by_value, BUCKET_BYTES))
        shared = shared.filter(pc.greater(shared["size"], 1))
        for data in store.take(0):
            batch = unpack(data, VALUES)
            places = pc.index_in(batch["value"], value_set=shared["value"])
            images, copy_of = batch.filter(places.is_valid()), shared["uid"].take(places.drop_null())
            yield pa.RecordBatch.from_arrays([images["file"], images["row"], copy_of], schema=MARKS)


def _stored(rows: Iterable[pa.RecordBatch], store: Store) -> Iterator[pa.RecordBatch]:
    """Put rows of VALUES into a store; yield their values and uids as rows of _SIZES, each with size 1."""
    for batch in gather_rows(rows, RUN_ROWS, RUN_BYTES):
        store.add(0, packed(batch.serialize()).data, batch.nbytes)
        sizes = pa.array(np.ones(batch.num_rows, np.int64))
        yield pa.RecordBatch.from_arrays([batch["value"], batch["uid"], sizes], schema=_SIZES)


def _by_value(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Return one row of _SIZES for each value: the smallest uid, and the sum of the sizes."""
    groups = pa.Table.from_batches(held, _SIZES).group_by("value", use_threads=False)
    return one_batch(groups.aggregate([("uid", "min"), ("size", "sum")]).rename_columns(_SIZES.names))


@dataclass(frozen=True)
class ValueFiles:
    """Writes the images of each task, as rows of VALUES, to a Parquet file of `folder`; nothing is tallied."""

    folder: Path

    def __call__(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> None:
        """Write the images of a task."""
        write_rows(chain.from_iterable(buckets), VALUES, self.folder / f"{task:05d}.parquet", TaskResult())


@dataclass(frozen=True)
class MarkFiles:
    """Writes rows of MARKS to one file of `folder` for each file of images that has copies."""

    folder: Path

    def __call__(self, task: int, buckets: Iterator[Rows], result: TaskResult) -> None:
        """Write the marks of a task; tally them as `copies`."""
        rows = in_order(buckets)
        for number in rows.files():
            result.add("copies", write_rows(rows.rest_of(number), MARKS, self.folder / f"{number}.parquet", result))
