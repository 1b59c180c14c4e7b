"""Join the tables that options name to the images of a run by uid.

Each image gets one row of each table, and a flag: whether the table's rows about the image differ. If a table has
several rows about an image, the first in this order is joined: status `success` before all others, then ascending by
status and by the columns that conditions name. Each image also gets a mask of the evaluation sets that have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import KEY, KEY_NAMES
from curation.plugins.gate.conditions.sql import COLUMN, Conditions
from curation.plugins.gate.evaluation import EvaluationSets
from curation.plugins.gate.filters import counts_of
from curation.plugins.gate.given_tables import STATUS, GivenTables, UidList, value_bytes
from curation.plugins.gate.step import StepTask
from curation.plugins.joins.image_tables import ImageTable, comparable
from curation.plugins.joins.uid_join import Groups, read_images, spread_keys
from runtime.arrow import gather_reduced, string_buffers
from runtime.buckets import BUCKET_BYTES, group_buckets
from runtime.cogroup import PLACE, Grouping, Places, Rows, Side, cogroup
from runtime.engine import Engine
from runtime.kernels.hashes import xxhash
from runtime.redaction import hidden
from runtime.shipping import Shipped
from runtime.storage.parquet import row_counts
from runtime.tallies import Tallies, TaskResult

SUCCESS = "success"  # img2dataset's word for an image that was downloaded
FAILED = "failed"  # img2dataset's statuses of failed downloads begin with this
NOT_TRIED = "not_tried"  # the status of an image that is in no result
NO_STATUS = "no_status"  # the status of an image whose status is null

# Names of joined columns. SETS is the mask of the evaluation sets that have an image, DOWNLOAD its download's status.
# IN and DIFFERS, each followed by a table's number, say whether the table has the image, and whether its rows about the
# image differ. COLUMN, followed by a column's number in `Conditions.schema`, is the value of this column.
SETS = "sets"
DOWNLOAD = "download"
IN = "in_"
DIFFERS = "differs_"
LISTED = "listed"  # the tally of images by the number of the list of a UidList that names them
_ROWS = (  # `table` is null in rows of images; in rows of `read_hits`, it is the number of tables
    *KEY,
    *PLACE,
    pa.field("table", pa.int32()),
    pa.field(SETS, pa.int64()),  # a mask of evaluation sets; in rows of a UidList, the number of the list
    pa.field(STATUS, pa.string()),
    pa.field("hash", pa.int64()),  # a hash of the columns that conditions name or that are compared
    pa.field("is_compared", pa.bool_()),  # This says whether the row is compared, by hash, with others about its image.
)


@dataclass(frozen=True)
class JoinedTables:
    """The tables that are joined to images, each with the columns that conditions name, and the columns compared."""

    tables: tuple[ImageTable | UidList, ...]
    has_results: bool  # whether the first table is the result of a download
    conditions: Conditions | None
    named: tuple[tuple[str, ...], ...]
    compared: tuple[tuple[str, ...], ...]  # columns that an option needs; () for a table by URL, with a row per text

    @classmethod
    def of(
        cls, tables: GivenTables, conditions: Conditions | None, also: Sequence[tuple[ImageTable, str]]
    ) -> JoinedTables:
        """Return the tables; `also` has pairs of a table and one of its columns that options besides --keep need."""
        names = conditions.schema.names if conditions else ()
        named: list[tuple[str, ...]] = []
        for schema in tables.columns:
            named.append(tuple(name for name in schema.names if name in names))
        if tables.results and STATUS not in named[0]:
            named[0] = (STATUS, *named[0])
        compared: list[tuple[str, ...]] = []
        for table, columns in zip(tables.every, named, strict=True):
            others = [name for owner, name in also if owner is table]
            has_uid = isinstance(table, ImageTable) and table.is_uid
            compared.append(tuple(dict.fromkeys([*columns, *others])) if has_uid else ())
        return cls(tables.every, tables.results is not None, conditions, tuple(named), tuple(compared))

    def write(
        self,
        engine: Engine,
        task: StepTask,
        hashes: Sequence[tuple[ImageTable, str]] = (),
        sets: Shipped | None = None,
    ) -> TaskResult:
        """Join a row to each image, and let `task` write all files of images; return the sum of the results.

        `hashes` has pairs of a table and a column, whose values are looked up in the evaluation sets, `sets`.
        """
        places = Places.of(row_counts(task.images))
        buckets, tasks = group_buckets(2 * places.rows)
        alone = replace(self, tables=tuple(map(_without_files, self.tables)))
        files: list[tuple[int, Any]] = []
        for number, table in enumerate(self.tables):
            files += [(number, file) for file in table.files]
        sides = [Side(task.images, read_images, places.rows), Side(files, alone.read, places.rows)]
        if sets:
            hits: list[tuple[Any, Any, str]] = []
            for image_table, column in hashes:
                hits += [(_without_files(image_table), file, column) for file in image_table.files]
            sides.append(Side(hits, read_hits, places.rows, more=(sets, len(self.tables))))
        joining = Grouping(self.schema, spread_keys, alone.joined, buckets, places.tasks_before(tasks))
        return cogroup(engine, sides, joining, places.stage(self.joined_schema, task.write))

    @property
    def columns(self) -> list[tuple[int, pa.Field]]:
        """The columns of `conditions`, each with the number of its table."""
        columns = []
        for number, field in enumerate(self.conditions.schema if self.conditions else ()):
            owner = next(table for table, names in enumerate(self.named) if field.name in names)
            columns.append((owner, field.with_name(f"{COLUMN}{number}")))
        return columns

    @property
    def schema(self) -> pa.Schema:
        """The schema of the rows that meet by KEY."""
        return pa.schema([*_ROWS, *(field for _, field in self.columns)])

    @property
    def joined_schema(self) -> pa.Schema:
        """The schema of the joined rows, one an image."""
        flags = []
        for number in range(len(self.tables)):
            flags += [pa.field(f"{IN}{number}", pa.bool_()), pa.field(f"{DIFFERS}{number}", pa.bool_())]
        fixed = [pa.field(SETS, pa.int64()), pa.field(DOWNLOAD, pa.string())]
        return pa.schema([*PLACE, *fixed, *flags, *(field for _, field in self.columns)])

    def read(self, _: int, item: tuple[int, Any], tallies: Tallies) -> Rows:
        """Yield the rows of a table's file; `item` is the number of the table, and the file."""
        number, file = item
        table, compared = self.tables[number], self.compared[number]
        has_status = isinstance(table, ImageTable) and STATUS in table.columns.names
        status = [STATUS] if has_status and pa.types.is_string(table.columns.field(STATUS).type) else []
        for batch in table.read(file, [*dict.fromkeys([*self.named[number], *compared, *status])]):
            values = {
                name: comparable(batch[name], f"column {name} of {hidden(file[0])}")
                for name in dict.fromkeys([*self.named[number], *compared])
            }
            columns = {name: batch[name] for name in KEY_NAMES}
            columns["table"] = pa.repeat(pa.scalar(number, pa.int32()), len(batch))
            if isinstance(table, UidList):
                columns[SETS] = pa.repeat(pa.scalar(file[1], pa.int64()), len(batch))
            if status:
                columns[STATUS] = pc.fill_null(batch[STATUS], NO_STATUS)
            columns["hash"], is_said = _hashes(values, len(batch))
            columns["is_compared"] = pa.array(is_said & bool(compared))
            names = self.conditions.schema.names if self.conditions else []
            columns |= {f"{COLUMN}{k}": values[name] for k, name in enumerate(names) if name in self.named[number]}
            yield pa.RecordBatch.from_pydict(columns)

    def joined(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> Rows:
        """Yield the joined rows of the images in some buckets; tally images by table and by download status."""
        for bucket in buckets:
            rows = pa.concat_batches(gather_reduced(bucket, _distinct, BUCKET_BYTES))
            yield self._of_images(rows, Groups.of(rows).numbers, tallies)

    def _of_images(self, rows: pa.RecordBatch, group: np.ndarray, tallies: Tallies) -> pa.RecordBatch:
        table = rows["table"].fill_null(-1).to_numpy()
        groups = int(group.max(initial=-1)) + 1
        images = np.flatnonzero(table < 0)
        sets = np.zeros(groups, np.int64)
        hits = np.flatnonzero(table == len(self.tables))
        np.bitwise_or.at(sets, group[hits], rows[SETS].take(pa.array(hits)).to_numpy())
        columns = {name: rows[name].take(pa.array(images)) for name in ("file", "row")}
        columns |= {SETS: pa.array(sets[group[images]]), DOWNLOAD: pa.nulls(len(images), pa.string())}
        for number in range(len(self.tables)):
            indices = np.flatnonzero(table == number)
            table_rows = rows.take(pa.array(indices))
            fields = [field.name for owner, field in self.columns if owner == number]
            chosen = np.full(groups, -1)
            best = _best(table_rows.select([STATUS, *fields]), group[indices])
            chosen[group[indices[best]]] = indices[best]
            row = chosen[group[images]]
            columns[f"{IN}{number}"] = pa.array(row >= 0)
            columns[f"{DIFFERS}{number}"] = pa.array(_differing(table_rows, group[indices], groups)[group[images]])
            columns |= {name: rows[name].take(pa.array(row, mask=row < 0)) for name in fields}
            tallies.add("found", int(np.count_nonzero(row >= 0)), item=number)
            if isinstance(self.tables[number], UidList):
                _tally_lists(group[indices], table_rows[SETS].to_numpy(), group[images], tallies)
            if number == 0 and self.has_results:
                columns[DOWNLOAD] = rows[STATUS].take(pa.array(row, mask=row < 0)).fill_null(NOT_TRIED)
                for status, images_of_status in counts_of(columns[DOWNLOAD]):
                    tallies.add("status", images_of_status, item=status)
        return pa.RecordBatch.from_pydict(columns).select(self.joined_schema.names)


def read_hits(_: int, item: tuple[ImageTable, Any, str], tallies: Tallies, sets: Shipped, number: int) -> Rows:
    """Yield the KEY of images that evaluation sets have, with the mask of these sets, and `number` as their `table`.

    `item` is a table, one of its files, and the column whose values are looked up in `sets`.
    """
    table, file, name = item
    for batch in table.read(file, [name]):
        bits = pa.array(sets.opened(EvaluationSets.open).by_column(name, batch[name]).astype(np.int64))
        rows = batch.select(KEY_NAMES).append_column(SETS, bits).filter(pc.not_equal(bits, 0))
        yield rows.append_column("table", pa.repeat(pa.scalar(number, pa.int32()), len(rows)))


def _tally_lists(groups: np.ndarray, lists: np.ndarray, images: np.ndarray, tallies: Tallies) -> None:
    """Tally, for each list, how many of the images it names.

    `groups` and `lists` have the group and the list of each row, `images` has the group of each image.
    """
    of_images = np.isin(groups, images)
    named = np.unique(np.column_stack([groups, lists])[of_images], axis=0)
    for number, found in zip(*np.unique(named[:, 1], return_counts=True), strict=True):
        tallies.add(LISTED, int(found), item=int(number))


def _without_files(table: Any) -> Any:
    return replace(table, files=())


def _distinct(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Keep the first of the rows that agree in all of _ROWS; one key may have millions of rows."""
    rows = pa.concat_batches(held)
    names = [field.name for field in _ROWS]
    numbered = pa.Table.from_batches([rows.select(names)]).append_column("at", pa.array(np.arange(len(rows))))
    first = numbered.group_by(names, use_threads=False).aggregate([("at", "min")])["at_min"]
    return rows.take(first.combine_chunks())


def _best(rows: pa.RecordBatch, image: np.ndarray) -> np.ndarray:
    """Return the index of each image's row to join: status `success` first, then the smallest by all columns."""
    is_one = np.bincount(image, minlength=1)[image] == 1
    several = np.flatnonzero(~is_one)
    repeated = rows.take(pa.array(several))
    is_success = pc.fill_null(pc.equal(repeated[STATUS], SUCCESS), False).to_numpy(zero_copy_only=False)
    ranks = [_ranks(repeated.column(k)) for k in reversed(range(repeated.num_columns))]
    order = several[np.lexsort([*ranks, ~is_success, image[several]])]
    return np.concatenate([np.flatnonzero(is_one), order[np.unique(image[order], return_index=True)[1]]])


def _ranks(values: pa.Array) -> np.ndarray:
    """Return the rank of each value, ascending: equal values have the same rank, and nulls the greatest."""
    has_order = pa.types.is_nested(values.type) or pa.types.is_boolean(values.type) or pa.types.is_null(values.type)
    return pc.rank(value_bytes(values) if has_order else values, tiebreaker="dense").to_numpy()


def _differing(rows: pa.RecordBatch, image: np.ndarray, images: int) -> np.ndarray:
    """Return bool[image]: whether its compared rows differ in hash."""
    compared = rows["is_compared"].fill_null(False).to_numpy(zero_copy_only=False)
    hashes = rows["hash"].to_numpy()[compared]
    image = image[compared]
    last = np.zeros(images, np.int64)
    differs = np.zeros(images, bool)
    last[image] = hashes
    differs[image[hashes != last[image]]] = True
    return differs


def _hashes(columns: dict[str, pa.Array], rows: int) -> tuple[pa.Array, np.ndarray]:
    """Return int64 hashes of rows, and bool[row]: False if all columns are null, or if the download failed."""
    hashes = np.zeros(rows, np.uint64)
    is_said = np.zeros(rows, bool)
    for column in columns.values():
        is_null = column.is_null().to_numpy(zero_copy_only=False)
        is_said |= ~is_null
        offsets, data = string_buffers(pc.fill_null(value_bytes(column), b"").view(pa.string()))
        seeds = hashes * np.uint64(2) + is_null.astype(np.uint64)
        hashes = np.empty_like(seeds)
        xxhash(data, offsets, seeds, hashes)
    for name, column in columns.items():
        if name.lower() == STATUS:
            is_failed = pc.fill_null(pc.starts_with(column.cast(pa.string()), FAILED), False)
            is_said &= ~is_failed.to_numpy(zero_copy_only=False)
    return pa.array(hashes.view(np.int64)), is_said
