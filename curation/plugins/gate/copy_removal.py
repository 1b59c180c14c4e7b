"""The steps `copies` and `meaning`: keep one of the images that show the same picture, or have the same meaning.

`--same-image` names a column of a table. Its values are joined to the images by KEY. Then images with equal values are
grouped; images whose hashes are near each other are found by `near_duplicates.copies`. Each image of a group is marked
with the uid of the image that stays for the group; there is a file of marks for each file of images. Then each file is
rewritten without the images that have copies. The texts of these images are sent to the image that stays, and combined
like the texts of one URL.

`--same-meaning` names a table of semantic copies, each with its *leader*, the representative that stays instead of it.
A copy shows another picture than its leader, so its texts are removed. If a leader is not among the images, its copies
stay. The rows of the table are joined first to leaders by key, and then to copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.image_ids import KEY, KEY_NAMES, key_columns, spelled_key, uid_hashes
from curation.images.grouping import RUN_BYTES, RUN_ROWS, images_of, key_of, pairs_of
from curation.plugins.annotations.clusters import paths_of, table_in
from curation.plugins.gate import given_tables
from curation.plugins.gate.filters import IMAGE, Filter, ImageBatch, decide, difference, has_row, tally_languages
from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.step import Step, StepFolder, StepTask
from curation.plugins.joins.image_tables import ImageTable, opened_parquet
from curation.plugins.joins.uid_join import JOINED_ROWS, grouped, read_images, spread_keys
from curation.plugins.near_duplicates.copies import NearCopies, each_bucket, read_columns, write_buckets
from curation.schemas import COSINE, MATCHED, MATCHED_ROW_GROUP, PAIRS
from runtime.arrow import gather_reduced, gather_rows, one_batch
from runtime.buckets import BUCKET_BYTES, Store, group_buckets, packed, rows_of_block
from runtime.cogroup import PLACE, Grouping, Places, Rows, Side, cogroup, rows_by_place
from runtime.engine import Engine
from runtime.errors import AGAIN, InputError
from runtime.storage.listing import Version
from runtime.storage.own_files import OwnFile, own_files, part_files
from runtime.storage.parquet import add_file, batches, read_table, row_counts
from runtime.storage.paths import make_folder
from runtime.tallies import Tallies, TaskResult

if TYPE_CHECKING:
    from curation.run.request import Context


MARKS = pa.schema([*PLACE, pa.field("copy_of", pa.string())])
_SIZES = pa.schema([given_tables.VALUE, pa.field("uid", pa.string()), pa.field("size", pa.int64())])
_UID = pa.field("uid", pa.string())
_JOINED = pa.schema([*JOINED_ROWS, _UID, given_tables.VALUE])
VALUES = pa.schema([*PLACE, _UID, given_tables.VALUE])  # There is one row per image.
VALUES_FOLDER = "values"  # the folder of the images that have a value, for near copies
TEXTS_OF_COPY = 2  # an estimate of the number of texts that are sent per copy

# In _TO_LEADER, a row of the table has the KEY of the leader, and in the columns _COPY the KEY of the copy. In _TO_COPY
# it has the KEY of the copy, and `leads` says whether the leader is among the images. In the row of an image, `leads`
# says whether the image has copies.
_COPY = [pa.field(f"copy{name}", pa.int64()) for name in KEY_NAMES]
_TO_LEADER = pa.schema([*JOINED_ROWS, *_COPY])
_TO_COPY = pa.schema([*JOINED_ROWS, pa.field("leads", pa.bool_())])
_PLACES = pa.schema(PLACE)
EXPECTED_COPIES = (
    "a folder that clip-cluster wrote with --same-meaning, or Parquet files with the columns uid and copy_of"
)


@dataclass(frozen=True)
class Copies(Step):
    """The step keeps one of the images that show the same picture, with the texts of the others."""

    pictures: given_tables.Pictures
    is_alone: bool = False  # True if no other step counts the images in the table

    def asks(self) -> dict[str, list[str]]:
        """Return the column that the step compares, for users, and its table if no other step names the table."""
        table = given_tables.GivenTables(images=(self.pictures.table,))
        return {"one image for each": [str(self.pictures)], "tables": table.lines if self.is_alone else []}

    def filters(self) -> list[Filter]:
        """Return the filter that removes images that are copies of another one."""
        title = f"one image of a picture, by {self.pictures}"
        return [Filter(title, IMAGE, is_copy, columns=["uid"], joined=["copy_of"])]

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> TaskResult:
        """Write one image of each picture, with the texts of its copies.

        Tally texts by language: `shared` counts all texts of the copies and of the images that they are copies of;
        `kept` counts the texts that are left after these are combined.
        """
        marks = context.output.parts.begin("marks")
        work = context.output.artefacts / "hashes"
        marked = write_marks(context.engine, images, self.pictures, work, marks)
        mark_files = own_files(marks, marked.files, AGAIN)
        marks_of_file = {int(file.path.stem): file for file in mark_files}
        items = [(file, marks_of_file.get(number)) for number, file in enumerate(images)]
        buckets, tasks = group_buckets(TEXTS_OF_COPY * marked["copies"])
        more = (folder, context.config.max_texts)
        grouping = Grouping(PAIRS, key_of, _write_copies, buckets, tasks, more=more)
        marked.files.clear()  # The result lists only files of images, and files of marks are none.
        side = Side(items, _write_others, more=(folder, self.filters()))
        return marked + cogroup(context.engine, [side], grouping)

    def require(self, counted: TaskResult, config: CurationConfig) -> None:
        """Raise InputError if the table has none of the images, or different values for too many of them."""
        if self.is_alone:
            given_tables.require_found(self.pictures.table, 0, counted)
            given_tables.require_own_rows(self.pictures.table, [self.pictures.column], 0, counted, config)

    def facts(self, counted: TaskResult) -> dict[str, Any]:
        """Return the number of removed copies and, if no other step reports the table, how many images are in it."""
        facts = super().facts(counted)
        facts["conditions"][0]["removed_texts"] = difference(counted.by_language("shared"), counted.by_language("kept"))
        facts["tables"] = []
        if self.is_alone:
            facts["tables"].append({"name": self.pictures.table.name, **given_tables.of_table(0, counted)})
        return facts


def find_copies(options: GateOptions) -> Copies | None:
    """Return the step, or None without --same-image."""
    if options.same_image is None:
        return None
    pictures = given_tables.Pictures.named(options.same_image, options.tables).measured()
    return Copies(pictures, not options.asks_of_single)


def is_copy(batch: ImageBatch) -> np.ndarray:
    """Return bool[image]: which images are copies of another one, as their joined rows say."""
    return pc.not_equal(batch.images["uid"], batch.joined("copy_of")).to_numpy(zero_copy_only=False)


def _write_others(
    _: int, item: tuple[OwnFile, OwnFile | None], result: TaskResult, folder: StepFolder, filters: Sequence[Filter]
) -> Rows:
    """Write the images of a file that neither have copies nor are copies; yield the PAIRS of all other images.

    `item` is the file of images and, if there are other images, the file of their MARKS, sorted by row. Tally as
    `pictures` the images that stay for their copies, and as `shared` all texts of the images with MARKS, by language.
    Tally also what the filters remove.
    """
    file, marks_file = item
    marks = one_batch(MARKS.empty_table() if marks_file is None else read_table(marks_file))
    marked = marks["row"].to_numpy()
    begin = 0
    with folder.writing(file.path.name, result) as step_file:
        for images in batches(file, MATCHED_ROW_GROUP):
            first, last = np.searchsorted(marked, (begin, begin + images.num_rows))
            has_copies = np.zeros(images.num_rows, bool)
            has_copies[marked[first:last] - begin] = True
            own_marks = marks.slice(first, last - first)
            decision = decide(ImageBatch.of(images.filter(pa.array(has_copies)), own_marks), filters)
            step_file.write(images.filter(pa.array(~has_copies)), decision)
            result.add("pictures", int(np.count_nonzero(decision.first_of_image)))
            tally_languages(decision.batch.texts.field("language"), "shared", result)
            yield pairs_of(decision.batch.images, own_marks["copy_of"])
            begin += images.num_rows


def _write_copies(task: int, buckets: Iterator[Rows], result: TaskResult, folder: StepFolder, max_texts: int) -> None:
    """Write the images that stay for copies, each with the texts of all its copies."""
    path = folder.path / f"copies-{task:05d}.parquet"
    grouped = TaskResult()
    images = images_of(buckets, max_texts, grouped)
    result.add("passed", add_file(result, path, MATCHED, MATCHED_ROW_GROUP, images))
    for language, texts in grouped.by_language("matched").items():
        result.add("kept", texts, language=language)


def write_marks(
    engine: Engine, images: Sequence[OwnFile], pictures: given_tables.Pictures, work: Path, folder: Path
) -> TaskResult:
    """Write the MARKS of each file of images that has copies to a file named by its number; return the result.

    Tallies: `copies` counts marks, `found` images in the table, and `differing` images about which the table has
    differing rows; the uid of one of the latter is noted. `work` is a folder for intermediate files.
    """
    places = Places.of(row_counts(images))
    buckets, tasks = group_buckets(2 * places.rows)
    table = pictures.table
    side_of_images = Side(images, read_images, places.rows, more=(_UID.name,))
    sides = [side_of_images, Side(table.files, pictures.read, places.rows)]
    joining = Grouping(_JOINED, spread_keys, _with_values, buckets, tasks, more=(table.is_uid,))
    marking = places.grouping(MARKS, _write_mark_files, folder)
    if pictures.bits is None or pictures.distance is None:
        grouping = Grouping(VALUES, _value_keys, each_bucket, buckets, tasks, more=(equal_images,))
        return cogroup(engine, sides, joining, grouping, marking)
    values = make_folder(work / VALUES_FOLDER)
    storing = Grouping(VALUES, _value_keys, write_buckets, buckets, tasks, more=(values, VALUES, list))
    counted = cogroup(engine, sides, joining, storing)
    stored = [OwnFile(path, None, AGAIN) for path in part_files(values)]
    names = {"file": "file", "row": "row", "uid": "uid", given_tables.VALUE.name: "key"}
    search = NearCopies(engine, pictures.distance, pictures.bits, work)
    return counted + search.mark(Side(stored, read_columns, places.rows, more=(names,)), marking)


def _with_values(task: int, buckets: Iterator[Rows], result: TaskResult, is_uid: bool) -> Rows:
    """Yield the images for which the table has a value, each with the smallest of its values, as rows of VALUES.

    Tally the images in the table and, if it has uids, those with different values.
    """
    for rows, groups in grouped(buckets):
        group = groups.numbers
        number = len(groups.starts)
        values = rows["value"]
        is_image = rows["file"].is_valid().to_numpy(zero_copy_only=False)
        images = np.flatnonzero(is_image)
        valued = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        in_table = np.zeros(number, bool)
        differs = np.zeros(number, bool)
        chosen = np.full(number, -1)
        in_table[group[~is_image]] = True
        result.add("found", int(in_table[group[images]].sum()), item=0)
        chosen[group[valued]] = valued
        several = valued[np.bincount(group[valued], minlength=number)[group[valued]] > 1]
        repeated = values.take(pa.array(several))
        ranks = pc.rank(repeated, tiebreaker="dense").to_numpy()
        in_order_of_values = several[np.lexsort((ranks, group[several]))[::-1]]
        chosen[group[in_order_of_values]] = in_order_of_values  # the smallest of a group is assigned last
        is_other = pc.not_equal(repeated, values.take(pa.array(chosen[group[several]])))
        differs[group[several[is_other.to_numpy(zero_copy_only=False)]]] = True
        if is_uid and len(differing := images[differs[group[images]]]):
            result.add(given_tables.DIFFERING, len(differing), item=0)
            result.note(given_tables.DIFFERING, [0, pc.min(rows["uid"].take(pa.array(differing))).as_py()])
        images = images[chosen[group[images]] >= 0]
        columns = [rows[name].take(pa.array(images)) for name in VALUES.names[:-1]]
        yield pa.RecordBatch.from_arrays([*columns, values.take(pa.array(chosen[group[images]]))], schema=VALUES)


def _value_keys(rows: pa.RecordBatch) -> np.ndarray:
    return uid_hashes(rows["value"].view(pa.string())).view(np.uint64)


def equal_images(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield rows of MARKS for the images that share their value with others; the one with the smallest uid stays.

    Any number of images may share a value, so images are stored on a disk until the smallest uid is known.
    """
    with Store() as store:
        shared = _by_value(gather_reduced(_stored(rows, store), _by_value, BUCKET_BYTES))
        shared = shared.filter(pc.greater(shared["size"], 1))
        for block in store.take(0):
            batch = rows_of_block(block.read(), VALUES)
            places = pc.index_in(batch["value"], value_set=shared["value"])
            images = batch.filter(places.is_valid())
            copy_of = shared["uid"].take(places.drop_null())
            yield pa.RecordBatch.from_arrays([images["file"], images["row"], copy_of], schema=MARKS)


def _stored(rows: Iterable[pa.RecordBatch], store: Store) -> Iterator[pa.RecordBatch]:
    """Put rows of VALUES into a store; yield their values and uids as rows of _SIZES, each with size 1."""
    for batch in gather_rows(rows, RUN_ROWS, RUN_BYTES):
        store.add(0, packed(batch.serialize()))
        sizes = pa.array(np.ones(batch.num_rows, np.int64))
        yield pa.RecordBatch.from_arrays([batch["value"], batch["uid"], sizes], schema=_SIZES)


def _by_value(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Return one row of _SIZES for each value: the smallest uid, and the sum of the sizes."""
    groups = pa.Table.from_batches(held, _SIZES).group_by("value", use_threads=False)
    return one_batch(groups.aggregate([("uid", "min"), ("size", "sum")]).rename_columns(_SIZES.names))


def _write_mark_files(task: int, buckets: Iterator[Rows], result: TaskResult, folder: Path) -> None:
    """Write the marks of a task to one file for each file of images that has copies; tally them as `copies`."""
    rows = rows_by_place(buckets)
    for number in rows.files():
        path = folder / f"{number}.parquet"
        result.add("copies", add_file(result, path, MARKS, MATCHED_ROW_GROUP, rows.rest_of(number)))


@dataclass(frozen=True)
class Meaning(Step):
    """The step removes images that a table names as semantic copies of others among them."""

    table: ImageTable
    cosine: str | None  # the least cosine of copies, as the first file states it

    def asks(self) -> dict[str, list[str]]:
        """Return the name of the table of copies, for users."""
        return {"no copy in": [self.table.name]}

    def filters(self) -> list[Filter]:
        """Return the filter of images about which there is a row: the rows are about copies whose leader is there."""
        title = "one image of a meaning" + (f", by a cosine of {self.cosine}" if self.cosine else "")
        return [Filter(title, IMAGE, has_row, joined=["row"])]

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> TaskResult:
        """Write the images that are not copies, and the copies whose leader is not among `images`."""
        places = Places.of(row_counts(images))
        buckets, tasks = group_buckets(2 * places.rows)
        sides = [Side(images, read_images, places.rows), Side(self.table.files, self.read, places.rows)]
        to_leaders = Grouping(_TO_LEADER, spread_keys, _to_copies, buckets, tasks)
        to_copies = Grouping(_TO_COPY, spread_keys, _to_files, buckets, places.tasks_before(tasks))
        task = StepTask([*images], folder, self.filters())
        return cogroup(context.engine, sides, to_leaders, to_copies, places.stage(_PLACES, task.write))

    def require(self, counted: TaskResult, config: CurationConfig) -> None:
        """Raise InputError if the table has none of the images, or if a leader in it is itself a copy."""
        name = self.table.name
        if counted["rows"] and not counted["found"]:
            raise InputError(
                f"{name} has none of the matched images: no image of this run has one of its uids; cluster the pool of "
                "this run (clip-cluster --texts pool --same-meaning)"
            )
        if counted["chained"]:
            example = min(counted.noted("chained"))
            raise InputError(
                f"{name} lists {counted['chained']:,} images, such as {example}, as copies and also as originals of "
                "copies; pass the table of one clustering"
            )

    def facts(self, counted: TaskResult) -> dict[str, Any]:
        """Return, for run.json, the number of images that are copies in the table, and the number of removed images."""
        table = {"name": self.table.name, "found": counted["found"]}
        return {"tables": [table]} | super().facts(counted)

    def read(self, _: int, file: tuple[str, Version], tallies: Tallies) -> Rows:
        """Yield the rows of a file of the table: KEY of the leader and, as the columns _COPY, KEY of the copy.

        The rows are tallied. Rows without a leader, or with the image itself as leader, are left out.
        """
        for batch in self.table.read(file, ["copy_of"]):
            try:
                leaders = batch["copy_of"].cast(pa.string())
            except pa.ArrowException:
                raise InputError(
                    f"{file[0]}: column copy_of has the type {batch['copy_of'].type}; expected uids"
                ) from None
            is_known = pc.is_valid(leaders)
            copies = batch.filter(is_known).columns[: len(KEY)]
            keys = key_columns(leaders.filter(is_known))
            differs = pc.or_(*map(pc.not_equal, copies, keys))
            names = [*KEY_NAMES, *(field.name for field in _COPY)]
            rows = pa.RecordBatch.from_arrays([*keys, *copies], names).filter(differs)
            tallies.add("rows", rows.num_rows)
            yield rows


def find_meaning(options: GateOptions) -> Meaning | None:
    """Return the step, or None without a table of semantic copies.

    InputError if there are no such files, or if they have no column uid or copy_of.
    """
    if not options.same_meaning:
        return None
    table = ImageTable.find(
        [table_in(str(path), "copies") for path in options.same_meaning], EXPECTED_COPIES, "copy_of"
    )
    if not table.is_uid:
        raise InputError(f"{paths_of(options.same_meaning)} has no column uid; expected {EXPECTED_COPIES}")
    with opened_parquet(*table.files[0]) as file:
        stated = (file.schema.metadata or {}).get(COSINE)
    return Meaning(table, stated and stated.decode(errors="replace"))


def _to_copies(task: int, buckets: Iterator[Rows], tallies: Tallies) -> Rows:
    """Yield images, and rows of the table by KEY of the copy, as rows of _TO_COPY.

    `leads` says of an image whether it has copies, and of a row of the table whether its leader is among the images.
    """
    for rows, groups in grouped(buckets):
        is_image = rows["file"].is_valid().to_numpy(zero_copy_only=False)
        images = is_image[groups.order]
        has_image = groups.reduced(np.logical_or, images)[groups.numbers]
        has_rows = groups.reduced(np.logical_or, ~images)[groups.numbers]
        of_images = rows.filter(pa.array(is_image))
        of_table = rows.filter(pa.array(~is_image))
        columns = [*(of_images[field.name] for field in JOINED_ROWS), pa.array(has_rows[is_image])]
        yield pa.RecordBatch.from_arrays(columns, schema=_TO_COPY)
        places = [pa.nulls(of_table.num_rows, field.type) for field in PLACE]
        columns = [*(of_table[field.name] for field in _COPY), *places, pa.array(has_image[~is_image])]
        yield pa.RecordBatch.from_arrays(columns, schema=_TO_COPY)


def _to_files(task: int, buckets: Iterator[Rows], result: TaskResult) -> Rows:
    """Yield the PLACE of each copy whose leader is among the images.

    Tally copies in the table, and copies that are leaders.
    """
    for rows, groups in grouped(buckets):
        is_image = rows["file"].is_valid().to_numpy(zero_copy_only=False)
        leads = rows["leads"].to_numpy(zero_copy_only=False)
        of_table = ~is_image
        is_row = groups.reduced(np.logical_or, of_table[groups.order])[groups.numbers]
        is_led = groups.reduced(np.logical_or, (of_table & leads)[groups.order])[groups.numbers]
        result.add("found", int((is_image & is_row).sum()))
        goes = is_image & is_led
        chained = np.flatnonzero(goes & leads)
        if len(chained):
            result.add("chained", len(chained))
            result.note("chained", spelled_key(rows, chained[0]))
        yield rows.filter(pa.array(goes)).select(_PLACES.names)
