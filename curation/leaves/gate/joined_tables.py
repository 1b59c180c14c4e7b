"""The tables of images that options name, their join to the images of a run by uid, and listed hashes in them.

The tables are the results of a download, tables of images, and lists of the only images that may stay, which are read
as tables without other columns. Of each table one row is joined to an image, and whether its rows differ.
Of several rows of an image in a table, that of a successful download counts, or else the least: by status, then by the
columns that conditions name. Rows of evaluation sets' hashes are joined likewise, as the sets that have an image.

Tasks look up listed hashes (SHA-256, MD5 or PDQ) in the tables, and return the keys of images with such a hash; the run
excludes these images before anything is matched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import HASH_BITS, MOST_SHARE, CurationConfig, require_distance
from curation.exclusion.lists import HASHES, listed_values
from curation.image_ids import KEY, KEY_NAMES, key_columns, uids
from curation.inputs.limits import rounded_up
from curation.joins.image_tables import IDENTITIES, ImageTable, Paths, comparable, files_in
from curation.joins.uid_join import Groups, read_images, spread_keys
from curation.leaves.gate.evaluation import NEAR, EvaluationSets, HashesOfSets, KeysOfSets, SavedSets
from curation.leaves.gate.sql_conditions import COLUMN, Conditions
from curation.leaves.gate.step import Rewriting, counts_of
from curation.leaves.near_duplicates.index import binaries, hash_binaries, hash_bits, keys_of_hashes
from runtime.arrow import gather_reduced, string_buffers
from runtime.buckets import BUCKET_BYTES, group_buckets
from runtime.cogroup import PLACE, Grouping, Places, Rows, Side, cogroup
from runtime.engine import Engine
from runtime.errors import InputError, did_you_mean, quoted
from runtime.kernels.hashes import xxhash
from runtime.redaction import hidden
from runtime.shipping import Shipped
from runtime.storage.listing import Version
from runtime.storage.parquet import row_counts
from runtime.tallies import Tallies, TaskResult
from runtime.wording import counted

STATUS = "status"  # img2dataset's column
_RESULTS = "results of img2dataset, with status, and uid or url, in 00000.parquet beside 00000.tar"
_LIST = "a list of the uids or URLs of images that may stay"
SUCCESS = "success"  # img2dataset's word for an image that was downloaded
FAILED = "failed"  # its statuses of other tries begin with this
NOT_TRIED, NO_STATUS = "not_tried", "no_status"  # statuses: an image in no result; one whose status is null

VALUE = pa.field("value", pa.binary())

_HASHES = "hashes."  # names of tallies begin so; the kind of hash follows
_HITS = "hits"  # facts: the keys of images, in hexadecimal digits

# Joined columns: the sets that have an image, as bits, and the status of its download; with a table's number, whether
# the table has the image, and whether the rows about it differ; with a column's number in `Conditions`, its value.
SETS, DOWNLOAD, IN, DIFFERS = "sets", "download", "in_", "differs_"
_ROWS = (  # of all rows; `table` is null in those of images, and the number of tables in those of evaluation sets
    *KEY,
    *PLACE,
    pa.field("table", pa.int32()),
    pa.field(SETS, pa.int64()),
    pa.field(STATUS, pa.string()),
    pa.field("hash", pa.int64()),  # of the values
    pa.field("is_compared", pa.bool_()),  # whether the row says another thing than one with another hash
)


@dataclass(frozen=True)
class GivenTables:
    """The results of a download, the list of the images that may stay, and tables of images."""

    results: ImageTable | None = None
    only: UidList | None = None
    images: tuple[ImageTable, ...] = ()

    @classmethod
    def find(cls, status: Paths, only: Paths, images: Sequence[Paths]) -> GivenTables:
        """Return the tables in these paths; InputError for tables that cannot be read."""
        results = ImageTable.find(status, _RESULTS, STATUS) if status else None
        return cls(results, UidList.find(only) if only else None, tuple(map(ImageTable.find, images)))

    @property
    def every(self) -> tuple[ImageTable | UidList, ...]:
        """All tables, in the order of their numbers."""
        return tuple(filter(None, (self.results, self.only, *self.images)))

    @property
    def columns(self) -> list[pa.Schema]:
        """The columns of each table that conditions may name; those of a download hide equal names in others."""
        of_download = {*map(str.lower, self.results.columns.names)} if self.results else set()
        return [
            pa.schema(
                [field for field in table.columns if table is self.results or field.name.lower() not in of_download]
            )
            for table in self.every
        ]

    @property
    def column_names(self) -> dict[str, list[str]]:
        """The names in `columns`, by the name of the table."""
        return {table.name: columns.names for table, columns in zip(self.every, self.columns, strict=True)}

    @property
    def lines(self) -> list[str]:
        """The tables for people, with the numbers of their files."""
        return [f"{table.name} ({counted(len(table.files), 'file')})" for table in self.every]

    def having(self, column: str) -> list[ImageTable]:
        """Return the tables of images that have a column of this name."""
        return [table for table in (self.results, *self.images) if table is not None and column in table.columns.names]

    def with_column(self, column: str, flag: str) -> ImageTable:
        """Return the only table of images that has a column; InputError if none or several have it.

        `flag` is named in errors as the one that asks for the column.
        """
        tables = [table for table in self.having(column) if column in self.column_names[table.name]]
        if len(tables) > 1:
            names = " and ".join(table.name for table in tables)
            raise InputError(f"column {column} of {flag} is in several tables ({names}); rename one")
        if not tables:
            all_columns = [*dict.fromkeys(name for table in self.every for name in self.column_names[table.name])]
            remedy = "give one by --images: clip-hash writes sha256 and phash of downloaded pictures"
            fault = f"column {column} of {flag} is in no table of images; {did_you_mean(column, all_columns, remedy)}"
            raise InputError(fault)
        return tables[0]


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


def of_table(number: int, counted: TaskResult) -> dict[str, Any]:
    """Return, for run.json, how many images the table `number` has and, if rows of some differ, how many, and a uid."""
    differing = counted[f"differing.{number}"]
    examples = counted.noted(f"differing.{number}")
    return {"found": counted[f"found.{number}"]} | (
        {"differing": differing, "example": min(examples)} if differing else {}
    )


def require_found(table: ImageTable | UidList, number: int, counted: TaskResult) -> None:
    """Refuse a table that has none of the images."""
    if not counted[f"found.{number}"]:
        raise InputError(
            f"{table.name} has none of the matched images: its {table.identity}s are not those of this run; "
            "give a table with the column uid of matched/, or url"
        )


def require_own_rows(
    table: ImageTable | UidList, columns: Sequence[str], number: int, counted: TaskResult, config: CurationConfig
) -> None:
    """Raise InputError if a table has, for too many images, rows that differ in `columns`, those that options name."""
    facts = of_table(number, counted)
    differing = facts.get("differing", 0)
    if differing > config.max_shared_uids * facts["found"]:
        raise InputError(
            f"{table.name} has several rows of {differing:,} of {facts['found']:,} images, such as "
            f"{facts['example']}, that differ in {', '.join(columns)}; expected one image a "
            f"{table.identity}: leave one row of each, or allow more with --max-shared-uids "
            f"{rounded_up(differing / facts['found'])}"
        )


@dataclass(frozen=True, eq=False)
class UidList:
    """Files that name images, one a line, or in a column uid or url; tasks read them."""

    name: str  # paths as the user gave them, without secrets
    files: tuple[str, ...]
    identity: str = "uid"
    columns: pa.Schema = pa.schema([])

    @classmethod
    def find(cls, paths: Paths) -> UidList:
        """Return the lists in files, folders, globs or URLs; InputError for no file, or one without uids and URLs."""
        names = [*map(str, paths)]
        files = {path: files_in(path, _LIST, ("",)) for path in names}
        for path, listed in files.items():
            if all(version.size == 0 for _, version in listed):
                raise InputError(f"{path} is empty; give the uids or URLs of images that may stay, or leave out --only")
        uid_list = cls(", ".join(map(hidden, names)), tuple(file for of_path in files.values() for file, _ in of_path))
        for file in uid_list.files:
            next((batch for batch in uid_list.read(file) if batch.num_rows), None)
        return uid_list

    def read(self, file: str, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the KEY of each image that a file names; InputError for a file of domains or hashes."""
        for kind, values in listed_values(file, "the list"):
            if len(values) and kind not in IDENTITIES:
                shown = "" if kind in HASHES else f", {quoted(values[0].as_py())!r}"
                raise InputError(f"{hidden(file)} names a {kind}{shown}; --only takes uids and URLs")
            keys = key_columns(uids(values) if kind == "url" else values)
            yield pa.RecordBatch.from_arrays(keys, schema=self.row_schema())

    def row_schema(self, columns: Sequence[str] = ()) -> pa.Schema:
        """Return the schema of what `read` yields."""
        return pa.schema(KEY)


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
        """Yield KEY and value, as bytes, of each row of a file of the table.

        If `bits` is set, so that hashes may differ, the value is the hash's key (`keys_of_hashes`).
        """
        for batch in self.table.read(file, [self.column]):
            values = batch[self.column]
            if self.bits is None:
                values = value_bytes(comparable(values, self.table.name))
            else:
                values = keys_of_hashes(hash_binaries(values, self.column), self.bits)
            columns = [*(batch[name] for name in KEY_NAMES), values]
            yield pa.RecordBatch.from_arrays(columns, [*KEY_NAMES, VALUE.name])

    def __str__(self) -> str:
        return self.column if self.distance is None else f"{self.column} within {self.distance} bits"


@dataclass(frozen=True)
class JoinedTables:
    """The tables that are joined, and the columns of each that conditions name, and that are compared."""

    tables: tuple[ImageTable | UidList, ...]
    has_results: bool  # whether the first table is the result of a download
    conditions: Conditions | None
    named: tuple[tuple[str, ...], ...]
    compared: tuple[tuple[str, ...], ...]  # all that any option needs; none of a table by URL, with a row for each text

    @classmethod
    def of(
        cls, tables: GivenTables, conditions: Conditions | None, also: Sequence[tuple[ImageTable, str]]
    ) -> JoinedTables:
        """Return the tables; `also` has pairs of a table and one of its columns that options besides --keep need."""
        names = conditions.schema.names if conditions else ()
        named = [tuple(name for name in schema.names if name in names) for schema in tables.columns]
        if tables.results and STATUS not in named[0]:
            named[0] = (STATUS, *named[0])
        compared = [
            tuple(dict.fromkeys([*columns, *(name for owner, name in also if owner is table)]))
            if isinstance(table, ImageTable) and table.is_uid
            else ()
            for table, columns in zip(tables.every, named, strict=True)
        ]
        return cls(tables.every, tables.results is not None, conditions, tuple(named), tuple(compared))

    def rewrite(
        self,
        engine: Engine,
        rewriting: Rewriting,
        hashes: Sequence[tuple[ImageTable, str]] = (),
        sets: Shipped | None = None,
    ) -> TaskResult:
        """Rewrite all files of images by a change that takes a joined row for each image; return the tallies.

        `hashes` are the columns of tables in which hashes of evaluation sets, `sets`, are looked up.
        """
        places = Places.of(row_counts(rewriting.images))
        buckets, tasks = group_buckets(2 * places.rows)
        alone = replace(self, tables=tuple(map(_without_files, self.tables)))
        files = [(number, file) for number, table in enumerate(self.tables) for file in table.files]
        hits = [(_without_files(table), file, name) for table, name in hashes for file in table.files]
        sides = [Side(rewriting.images, read_images, places.rows), Side(files, alone.read, places.rows)]
        if sets:
            sides.append(Side(hits, read_hits, places.rows, more=(sets, len(self.tables))))
        joining = Grouping(self.schema, spread_keys, alone.joined, buckets, places.tasks_before(tasks))
        return cogroup(engine, sides, joining, places.stage(self.joined_schema, rewriting.write))

    @property
    def columns(self) -> list[tuple[int, pa.Field]]:
        """The columns of `conditions`, each with the number of its table."""
        fields = self.conditions.schema if self.conditions else ()
        owners = (next(n for n, names in enumerate(self.named) if field.name in names) for field in fields)
        return [
            (number, field.with_name(f"{COLUMN}{k}"))
            for k, (number, field) in enumerate(zip(owners, fields, strict=True))
        ]

    @property
    def schema(self) -> pa.Schema:
        """The schema of the rows that meet by KEY."""
        return pa.schema([*_ROWS, *(field for _, field in self.columns)])

    @property
    def joined_schema(self) -> pa.Schema:
        """The schema of the joined rows, one an image."""
        flags = [
            pa.field(f"{name}{number}", pa.bool_()) for number in range(len(self.tables)) for name in (IN, DIFFERS)
        ]
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
            if status:
                columns[STATUS] = pc.fill_null(batch[STATUS], NO_STATUS)
            columns["hash"], is_said = _hashes(values, len(batch))
            columns["is_compared"] = pa.array(is_said & bool(compared))
            names = self.conditions.schema.names if self.conditions else []
            columns |= {f"{COLUMN}{k}": values[name] for k, name in enumerate(names) if name in self.named[number]}
            yield pa.RecordBatch.from_pydict(columns)

    def joined(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> Rows:
        """Yield the joined rows of the images in some buckets; tally the images in each table, and by status."""
        for bucket in buckets:
            rows = pa.concat_batches(gather_reduced(bucket, _distinct, BUCKET_BYTES))
            yield self._of_images(rows, Groups.of(rows).numbers, tallies)

    def _of_images(self, rows: pa.RecordBatch, group: np.ndarray, tallies: Tallies) -> pa.RecordBatch:
        table, groups = rows["table"].fill_null(-1).to_numpy(), int(group.max(initial=-1)) + 1
        images = np.flatnonzero(table < 0)
        sets, hits = np.zeros(groups, np.int64), np.flatnonzero(table == len(self.tables))
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
            tallies.add(f"found.{number}", int(np.count_nonzero(row >= 0)))
            if number == 0 and self.has_results:
                columns[DOWNLOAD] = rows[STATUS].take(pa.array(row, mask=row < 0)).fill_null(NOT_TRIED)
                for status, images_of_status in counts_of(columns[DOWNLOAD]):
                    tallies.add(f"status.{status}", images_of_status)
        return pa.RecordBatch.from_pydict(columns).select(self.joined_schema.names)


def read_hits(_: int, item: tuple[ImageTable, Any, str], tallies: Tallies, sets: Shipped, number: int) -> Rows:
    """Yield the images in evaluation sets by a column of a table's file; `number` stands for a table's."""
    table, file, name = item
    for batch in table.read(file, [name]):
        bits = pa.array(sets.opened(EvaluationSets.open).by_column(name, batch[name]).astype(np.int64))
        rows = batch.select(KEY_NAMES).append_column(SETS, bits).filter(pc.not_equal(bits, 0))
        yield rows.append_column("table", pa.repeat(pa.scalar(number, pa.int32()), len(rows)))


def _without_files(table: Any) -> Any:
    return replace(table, files=())


def _distinct(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Return rows without those that say the same as others: one key may have millions of rows."""
    rows, names = pa.concat_batches(held), [field.name for field in _ROWS]
    numbered = pa.Table.from_batches([rows.select(names)]).append_column("at", pa.array(np.arange(len(rows))))
    first = numbered.group_by(names, use_threads=False).aggregate([("at", "min")])["at_min"]
    return rows.take(first.combine_chunks())


def _best(rows: pa.RecordBatch, image: np.ndarray) -> np.ndarray:
    """Return the index of the row of each image that counts: a download's success, or the least by all columns."""
    is_one = np.bincount(image, minlength=1)[image] == 1
    several = np.flatnonzero(~is_one)
    repeated = rows.take(pa.array(several))
    is_success = pc.fill_null(pc.equal(repeated[STATUS], SUCCESS), False).to_numpy(zero_copy_only=False)
    ranks = [_ranks(repeated.column(k)) for k in reversed(range(repeated.num_columns))]
    order = several[np.lexsort([*ranks, ~is_success, image[several]])]
    return np.concatenate([np.flatnonzero(is_one), order[np.unique(image[order], return_index=True)[1]]])


def _ranks(values: pa.Array) -> np.ndarray:
    """Return numbers in the order of values, the greatest for nulls."""
    has_order = pa.types.is_nested(values.type) or pa.types.is_boolean(values.type) or pa.types.is_null(values.type)
    return pc.rank(value_bytes(values) if has_order else values, tiebreaker="dense").to_numpy()


def _differing(rows: pa.RecordBatch, image: np.ndarray, images: int) -> np.ndarray:
    """Return whether compared rows of each image differ: bool[image]."""
    compared = rows["is_compared"].fill_null(False).to_numpy(zero_copy_only=False)
    hashes, image = rows["hash"].to_numpy()[compared], image[compared]
    last, differs = np.zeros(images, np.int64), np.zeros(images, bool)
    last[image] = hashes
    differs[image[hashes != last[image]]] = True
    return differs


def _hashes(columns: dict[str, pa.Array], rows: int) -> tuple[pa.Array, np.ndarray]:
    """Return a hash of each row, and whether the row says anything: not if all is null, or the download failed."""
    hashes, is_said = np.zeros(rows, np.uint64), np.zeros(rows, bool)
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


class ListedHashes(SavedSets):
    """The listed hashes of each kind; one of NEAR also matches hashes that differ in at most `distance` bits."""

    @classmethod
    def of(cls, hashes: Mapping[str, np.ndarray], distance: int) -> ListedHashes:
        """Return the listed hashes; `hashes` has those of each kind, uint64[hash, words]."""
        kinds = {
            kind: HashesOfSets.of([words], distance) if kind == NEAR else KeysOfSets.of([words])
            for kind, words in hashes.items()
        }
        return cls(kinds, distance)


@dataclass(frozen=True, eq=False)
class HashTables:
    """The tables of images that have a column of hashes, by kind of hash."""

    of_kind: Mapping[str, Sequence[ImageTable]]

    @classmethod
    def among(cls, tables: GivenTables, kinds: Sequence[str]) -> HashTables:
        """Return the tables among `tables` that have hashes of these kinds; InputError for a kind in no table."""
        tables_of_kind = {kind: tables.having(kind) for kind in kinds}
        for kind in kinds:
            if not tables_of_kind[kind]:
                raise InputError(f"{kind} hashes are listed, and no table of images has a column {kind}; {_by(kind)}")
        return cls(tables_of_kind)

    def files(self) -> list[tuple[str, str]]:
        """Return the path and the version of each file of the tables, as texts without secrets, sorted.

        The version identifies a file's content: its checksum, or else size, time of modification and ETag.
        """
        files = {file for tables in self.of_kind.values() for table in tables for file in table.files}
        return sorted((hidden(path), at.checksum or f"{at.size} {at.modified} {at.etag}") for path, at in files)

    def find(self, engine: Engine, hashes: Mapping[str, np.ndarray], bits: int, work: Path) -> np.ndarray:
        """Return the keys of the images with a listed hash, uint64[image, 2].

        Hashes of NEAR may differ in `bits` bits; `work` is a folder for the files by which tasks get the listed hashes.
        InputError for a kind whose columns hold only nulls.
        """
        lists = engine.ship(ListedHashes.of(hashes, bits).save(work / "listed_hashes"))
        items = [
            (table, file, kind) for kind, tables in self.of_kind.items() for table in tables for file in table.files
        ]
        counted = engine.run(items, partial(_find_hashes, lists=lists))
        for kind in self.of_kind:
            if not counted[f"{_HASHES}{kind}"]:
                raise InputError(f"{kind} hashes are listed, and tables of images have nulls in {kind}; {_by(kind)}")
        hits = "".join(sorted({*counted.noted(_HITS)}))
        return np.frombuffer(bytes.fromhex(hits), ">u8").astype(np.uint64).reshape(-1, 2)


def _find_hashes(item: tuple[ImageTable, tuple[str, Version], str], lists: Shipped) -> TaskResult:
    table, file, kind = item
    listed, result = lists.opened(ListedHashes.open), TaskResult()
    for batch in table.read(file, [kind]):
        result.add(f"{_HASHES}{kind}", len(batch) - batch[kind].null_count)
        keys = np.column_stack([batch[name].to_numpy() for name in KEY_NAMES])[listed.by_hash(kind, batch[kind]) != 0]
        result.note(_HITS, *(key.tobytes().hex() for key in keys.astype(">i8")))
    return result


def _by(kind: str) -> str:
    by = {"sha256": "clip-hash writes it", "pdq": "clip-hash --pdq writes it"}
    return f"give one by --images: {by.get(kind, f'img2dataset writes it with --compute_hash {kind}')}"
