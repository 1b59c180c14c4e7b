"""Open one side of a comparison: the manifest of a finished run, or Parquet files with a uid or URL for each image.

Workers read its rows with KEY, which identifies an image, and PLACE, the numbers of the file and of the row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import pyarrow as pa

from curation.image_ids import KEY_NAMES
from curation.plugins.joins.image_tables import BATCH_ROWS, File, ImageTable, keys_of, opened_parquet
from curation.run.finished_run import EXPECTED_RUN, curated_files
from curation.run.results import Results
from runtime.arguments import absolute_path
from runtime.cogroup import PLACE, Rows, place_columns
from runtime.errors import InputError
from runtime.folders.descriptor import name_of_descriptor
from runtime.redaction import hidden
from runtime.storage.json_files import read_json
from runtime.storage.listing import RUN, Version, described
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, row_count
from runtime.storage.paths import as_path, in_threads, names, reachable
from runtime.storage.whole import WORK
from runtime.tallies import Tallies

AnyFile = OwnFile | File
EXPECTED = "a finished run, or Parquet files with a column uid or url"
NAMES_IN_RUN = {WORK, "curated", "matched"}  # A folder with one of these names is a run, finished or not.
# Each side has two tallies with these names: one of its rows, and one of its rows without a uid or a URL.
ROWS, UNNAMED = "rows", "unnamed"


@dataclass(frozen=True)
class ImageColumn:
    """The column that names the image of a row; it holds uids (`is_uid`), or URLs."""

    column: str
    is_uid: bool


@dataclass(frozen=True, eq=False)
class Manifest:
    """One side of a comparison: its files, and the run or the table that they belong to."""

    path: str  # an absolute path, or a URL
    name: str  # the path as the user gave it, without secrets
    files: Sequence[AnyFile]
    rows: float  # the number of rows of a run, or an estimate for a table
    identity: ImageColumn
    run: Results | None = None
    table: ImageTable | None = None

    @classmethod
    def open(cls, source: str | PathLike[str]) -> Manifest:
        """Return the manifest at a path or URL; InputError if there is neither a finished run nor a table of images."""
        name = hidden(str(source))
        path = absolute_path(str(source))
        place = as_path(path)
        with reachable(place):
            present = names(place)
            descriptor = name_of_descriptor(present)
            stated = read_json(place / descriptor) if descriptor else None
        if RUN in present:
            run = Results.open(place)
            files = curated_files(run)
            return cls(path, name, files, run.facts["rows"]["kept"], ImageColumn("uid", is_uid=True), run=run)
        if stated and stated.get("command") == "clip-export":
            raise InputError(
                f"{name} was written by clip-export; pass the run that it came from, or the Parquet files in it that "
                "have a column uid or url"
            )
        if not NAMES_IN_RUN.isdisjoint(present):
            raise InputError(f"{name} {described(place)}; {EXPECTED_RUN}")
        table = ImageTable.find([path], EXPECTED)
        return cls(path, name, table.files, table.rows, ImageColumn(table.identity, table.is_uid), table=table)

    @property
    def content(self) -> object:
        """A description of the content, on which the files that a comparison writes depend."""
        if self.run:
            return self.run.digest
        return [[hidden(path), repr(version)] for path, version in self.table.files] if self.table else []


def require_two(one: str | PathLike[str], other: str | PathLike[str]) -> None:
    """Raise an InputError if two paths lead to the same file or folder."""
    if _real(str(one)) == _real(str(other)):
        raise InputError(
            f"{hidden(str(one))} and {hidden(str(other))} are the same; pass two different runs or manifests"
        )


def _real(path: str) -> str:
    return path.rstrip("/") if "://" in path else os.path.realpath(os.path.expanduser(path))


def read_keyed(number: int, file: AnyFile, tallies: Tallies, identity: ImageColumn, side: int, *more: str) -> Rows:
    """Yield KEY, PLACE and the columns `more` of the rows in a file that name an image.

    Tally all rows, and the rows that name no image, by the number of the side.
    """
    names_of_columns = [*KEY_NAMES, *(field.name for field in PLACE), *more]
    begin = 0
    for batch in batches_of(file, [*dict.fromkeys([identity.column, *more])]):
        end = begin + batch.num_rows
        is_named = batch[identity.column].is_valid()
        rows = pa.RecordBatch.from_arrays(
            [batch[identity.column], *place_columns(number, begin, end), *(batch[name] for name in more)],
            ["identity", *names_of_columns[len(KEY_NAMES) :]],
        )
        rows = rows.filter(is_named)
        tallies.add(ROWS, batch.num_rows, item=side)
        tallies.add(UNNAMED, batch.num_rows - rows.num_rows, item=side)
        keys = keys_of(rows["identity"], identity.is_uid)
        yield pa.RecordBatch.from_arrays([*keys, *rows.columns[1:]], names_of_columns)
        begin = end


def batches_of(file: AnyFile, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in batches; InputError if the file is damaged, or lacks one of the columns."""
    if isinstance(file, OwnFile):
        yield from batches(file, BATCH_ROWS, columns)
        return
    with opened_parquet(*file) as table:
        wanted = table.schema.names if columns is None else columns
        missing = sorted({*wanted} - {*table.schema.names})
        if missing:
            raise InputError(
                f"{file[0]} has no column {missing[0]}, unlike another file of the table; pass files with equal columns"
            )
        yield from table.batches(wanted, BATCH_ROWS)


def schema_of(file: AnyFile) -> pa.Schema:
    """Return the columns of a file."""
    with opened_parquet(*_listed(file)) as table:
        return table.schema


def rows_at(file: AnyFile, wanted: Sequence[int], columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the index of each of the `wanted` rows of a file, and its values in the columns of `columns` in the file.

    Only the row groups that hold such rows are read. The file has at least one of the columns.
    """
    with opened_parquet(*_listed(file)) as table:
        present = [name for name in columns if name in table.schema.names]
        end = 0
        for group, size in enumerate(table.group_rows()):
            begin = end
            end += size
            some = [row for row in wanted if begin <= row < end]
            if some:
                rows = pa.Table.from_batches(table.batches(present, BATCH_ROWS, [group]))
                values = rows.take([row - begin for row in some]).to_pylist()
                yield from zip(some, values, strict=True)


def _listed(file: AnyFile) -> File:
    """Return a file of a run as a file of a table is stated, to read single row groups."""
    return (str(file.path), Version(checksum=file.checksum)) if isinstance(file, OwnFile) else file


def row_counts_of(files: Sequence[AnyFile]) -> list[int]:
    """Return the number of rows of each file, as its footer states it."""
    return [*in_threads(_row_count, files)]


def _row_count(file: AnyFile) -> int:
    if isinstance(file, OwnFile):
        return row_count(file)
    with opened_parquet(*file) as table:
        return table.rows
