"""The tables that options name: results of a download, tables of images, and lists of the only images that may stay.

A list is read as a table whose only columns are KEY.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import HASH_BITS, MOST_SHARE, CurationConfig, require_distance
from curation.exclusion.lists import HASHES, listed_values
from curation.image_ids import KEY, KEY_NAMES, key_columns, uids
from curation.inputs.limits import rounded_up
from curation.plugins.joins.image_tables import IDENTITIES, ImageTable, Paths, comparable, files_in
from curation.plugins.near_duplicates.index import binaries, hash_binaries, hash_bits, keys_of_hashes
from runtime.cogroup import Rows
from runtime.errors import InputError
from runtime.messages import did_you_mean, quoted
from runtime.redaction import hidden
from runtime.storage.listing import Version
from runtime.tallies import Tallies, TaskResult
from runtime.wording import counted

STATUS = "status"  # img2dataset's name for the column that says whether a download succeeded
DIFFERING = "differing"  # the tally of images about which a table has differing rows, by the number of the table
_RESULTS = "results of img2dataset, such as 00000.parquet beside 00000.tar, with the columns status, and uid or url"
_LIST = "a list of the uids or URLs of images that may stay"
VALUE = pa.field("value", pa.binary())


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
        """The columns of each table that conditions may name; a download's columns hide equal names in others."""
        of_download = {*map(str.lower, self.results.columns.names)} if self.results else set()
        schemas = []
        for table in self.every:
            hidden_names = set() if table is self.results else of_download
            schemas.append(pa.schema([field for field in table.columns if field.name.lower() not in hidden_names]))
        return schemas

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

        `flag` is the flag that names the column, for the error.
        """
        tables = [table for table in self.having(column) if column in self.column_names[table.name]]
        if len(tables) > 1:
            names = " and ".join(table.name for table in tables)
            raise InputError(f"column {column} of {flag} is in several tables ({names}); rename it in one of them")
        if not tables:
            all_columns = [*dict.fromkeys(chain.from_iterable(self.column_names.values()))]
            remedy = "pass one by --images: clip-hash writes sha256 and phash of downloaded pictures"
            fault = f"column {column} of {flag} is in no table of images; {did_you_mean(column, all_columns, remedy)}"
            raise InputError(fault)
        return tables[0]


@dataclass(frozen=True, eq=False)
class UidList:
    """Files that name images, one a line, or in a column uid or url; tasks read them."""

    name: str  # paths as the user gave them, without secrets
    files: tuple[tuple[str, int], ...]  # Each file comes with the number of its list in `names`.
    names: tuple[str, ...]  # the path of each list as the user gave it, without secrets
    identity: str = "uid"
    columns: pa.Schema = pa.schema([])

    @classmethod
    def find(cls, paths: Paths) -> UidList:
        """Return the lists in files, folders, globs or URLs; InputError if there is no file, or no uid or URL in it."""
        given = [*dict.fromkeys(map(str, paths))]
        files: list[tuple[str, int]] = []
        for number, path in enumerate(given):
            found = files_in(path, _LIST, ("",))
            if all(version.size == 0 for _, version in found):
                raise InputError(f"{path} is empty; pass the uids or URLs of images that may stay, or leave out --only")
            files += [(file, number) for file, _ in found]
        names = tuple(map(hidden, given))
        uid_list = cls(", ".join(names), tuple(files), names)
        for file in uid_list.files:
            next((batch for batch in uid_list.read(file) if batch.num_rows), None)
        return uid_list

    def read(self, file: tuple[str, int], columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the KEY of each image that a file names; InputError for a file of domains or hashes."""
        for kind, values in listed_values(file[0], "the list"):
            if len(values) and kind not in IDENTITIES:
                shown = "" if kind in HASHES else f", {quoted(values[0].as_py())!r}"
                raise InputError(f"{hidden(file[0])} contains a {kind}{shown}; --only takes only uids and URLs")
            keys = key_columns(uids(values) if kind == "url" else values)
            yield pa.RecordBatch.from_arrays(keys, schema=self.row_schema())

    def row_schema(self, columns: Sequence[str] = ()) -> pa.Schema:
        """Return the schema of the rows that `read` yields."""
        return pa.schema(KEY)


@dataclass(frozen=True)
class Pictures:
    """The column of a table by which images are copies: by equal values or, given `distance`, by near hashes."""

    table: ImageTable
    column: str
    distance: int | None = None
    bits: int | None = None  # the number of bits of each hash, if hashes may differ; None before `measured`

    @classmethod
    def named(cls, asked: str, tables: GivenTables) -> Pictures:
        """Return the column, and the distance, that a value of `--same-image` names, such as phash:4.

        InputError for any other text, or if the column is in none of the tables or in several.
        """
        column, colon, number = asked.partition(":")
        most = max(HASH_BITS) // MOST_SHARE
        if not column or (colon and not (number.isascii() and number.isdigit() and int(number) <= most)):
            raise InputError(
                f"--same-image is {asked!r}; expected a column, such as sha256, or a column of hashes and the most "
                "bits in which copies may differ, such as phash:4"
            )
        return cls(tables.with_column(column, "--same-image"), column, int(number) if colon and int(number) else None)

    def measured(self) -> Pictures:
        """Return the column with the length of its hashes, if these may differ; InputError for too large a distance."""
        if self.distance is None:
            return self
        bits = hash_bits(self._values(), self.column)
        require_distance(self.distance, bits)
        return replace(self, bits=bits)

    def _values(self) -> Iterator[pa.Array]:
        """Yield the values of the column, batch by batch."""
        for file in self.table.files:
            for batch in self.table.read(file, [self.column]):
                yield batch[self.column]

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


def value_bytes(values: pa.Array) -> pa.Array:
    """Return each value as bytes, equal for equal values; for integers, texts and bytes, they sort as the values do."""
    if pa.types.is_integer(values.type):
        numbers = values.fill_null(0).to_numpy().astype(np.int64).view(np.uint64) ^ np.uint64(1 << 63)
        return pc.if_else(values.is_valid(), binaries(numbers.astype(">u8").tobytes(), 8), None)
    if pa.types.is_nested(values.type):
        texts = pa.array([repr(value) for value in values.to_pylist()], pa.string())
        return pc.if_else(values.is_valid(), texts, None).cast(pa.binary())
    if pa.types.is_floating(values.type):
        values = pc.add(values, 0.0)  # This turns -0.0 into 0.0, which it equals.
    return values.cast(pa.binary() if pa.types.is_binary(values.type) else pa.string()).cast(pa.binary())


def of_table(number: int, counted: TaskResult) -> dict[str, Any]:
    """Return, for run.json, how many images the table `number` has.

    If its rows about some images differ, the number of these images, and the uid of one, are added.
    """
    differing = counted[DIFFERING, number]
    examples = [uid for table, uid in counted.noted(DIFFERING) if table == number]
    fact = {"found": counted["found", number]}
    return fact | {"differing": differing, "example": min(examples)} if differing else fact


def require_found(table: ImageTable | UidList, number: int, counted: TaskResult) -> None:
    """Refuse a table that has none of the images."""
    if not counted["found", number]:
        raise InputError(
            f"{table.name} has none of the matched images: no image of this run has one of its {table.identity}s; "
            "pass a table with the column uid of matched/, or with a column url"
        )


def require_own_rows(
    table: ImageTable | UidList, columns: Sequence[str], number: int, counted: TaskResult, config: CurationConfig
) -> None:
    """Raise InputError if a table has, for too many images, rows that differ in `columns`, which options name."""
    facts = of_table(number, counted)
    differing = facts.get("differing", 0)
    if differing > config.max_shared_uids * facts["found"]:
        raise InputError(
            f"{table.name} has several rows for {differing:,} of {facts['found']:,} images, such as "
            f"{facts['example']}, and they differ in {', '.join(columns)}; expected one image for each "
            f"{table.identity}. Keep one row of each image, or allow more with --set max_shared_uids="
            f"{rounded_up(differing / facts['found'])}"
        )
