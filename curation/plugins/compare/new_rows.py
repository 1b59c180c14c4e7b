"""Write the rows of one manifest whose images another manifest does not have, to a new folder.

Rows of a run are written as a manifest, with run.json, in files of the same names. Rows of a table are written as
Parquet files with the columns of the table. Rows that name no image are left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from os import PathLike
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.licences import tally_licenses
from curation.plugins.compare.manifests import (
    AnyFile,
    ImageColumn,
    Manifest,
    batches_of,
    read_keyed,
    row_counts_of,
    schema_of,
)
from curation.plugins.joins.uid_join import Images, Table, each_joined, first
from curation.run.finished_run import facts_of_part
from curation.run.results import Results
from curation.run.tasks import ROW_GROUP_ROWS
from runtime.cogroup import Rows, RowStream
from runtime.engine import EngineLike
from runtime.folders.descriptor import Kind
from runtime.folders.folder import AlreadyComplete, Folder, Made, Wanted, WorkItem, making
from runtime.folders.stamps import Input
from runtime.packages import versions
from runtime.progress import Progress, advancing
from runtime.redaction import hidden
from runtime.storage.listing import RUN
from runtime.storage.own_files import OwnFile, copied
from runtime.storage.parquet import part_writer, row_group_rows
from runtime.storage.paths import as_path, names
from runtime.tallies import Tallies, TaskResult
from runtime.wording import counted

NEW_MANIFEST = Kind("the rows that a manifest lacks", "clip-compare", descriptor=RUN)
NEW_TABLE = Kind("the rows that a table lacks", "clip-compare")
LEFT_AS_THEY_ARE = ("counts.parquet", "thresholds.json")
CURATED_PART = "curated"
NEW_ROWS = "new"  # the name of a tally of the rows that are written, by language if they come from a run
_IN_ONE = pa.field("in_one", pa.bool_())


def write_new_rows(
    engine: EngineLike, one: Manifest, other: Manifest, to: str | PathLike[str], progress: Progress | None = None
) -> str:
    """Write the rows of `other` whose images `one` does not have to a new folder; return a sentence about the result.

    After an interruption, the same call resumes; if the folder is complete, nothing is written anew.
    """
    kind = NEW_MANIFEST if other.run else NEW_TABLE
    description = {"one": one.content, "other": other.content, "versions": versions()}
    wanted = Wanted(kind, {"new_rows": description}, [one.path, other.path])
    try:
        with making(engine, to, wanted, progress) as folder:
            tallies = _write_files(one, other, folder)
            rows = int(tallies[NEW_ROWS])
            if other.run:
                for name in sorted({*LEFT_AS_THEY_ARE} & names(other.run.path)):
                    folder.checksums[name] = copied(other.run.file(name), folder.path / name)
                folder.complete(_facts(other.run, one, tallies))
            else:
                folder.complete({"rows": rows})
    except AlreadyComplete as done:
        return str(done)
    place = as_path(to) / CURATED_PART if other.run else as_path(to)
    return f"wrote {counted(rows, 'row')} of {other.name} to {place}: {one.name} does not have their images"


def _write_files(one: Manifest, other: Manifest, folder: Folder) -> TaskResult:
    items = [WorkItem([_input(number, file)], _NumberedFile(number, file)) for number, file in enumerate(other.files)]
    writing = _Writing(one.identity, other.identity, other.run.schema if other.run else None)
    table = Table(one.files, one.rows, writing.read_one, first, [_IN_ONE])
    parts = [CURATED_PART] if other.run else []
    return each_joined(folder, "write the new rows", items, [table], writing.write_file, *parts, images=writing.images)


@dataclass(frozen=True)
class _NumberedFile:
    """A file of the manifest whose rows are written, and its number among these."""

    number: int
    file: AnyFile

    @property
    def name(self) -> str:
        """The name of the file that is written."""
        return self.file.path.name if isinstance(self.file, OwnFile) else f"{self.number:05d}.parquet"


def _input(number: int, file: AnyFile) -> Input:
    """Return what identifies a file in the stamp of its task."""
    if isinstance(file, OwnFile):
        return Input(file.path.name, "own", 1, etag=file.checksum)
    path, version = file
    return Input(f"{number} {hidden(path)}", "own", 1, etag=repr(version))


@dataclass(frozen=True)
class _Writing:
    """The values with which tasks write new rows: the columns that name images, and the schema of a run's rows."""

    one: ImageColumn
    other: ImageColumn
    schema: pa.Schema | None

    def images(self, files: list[_NumberedFile]) -> Images:
        """Return the images in files, as one side of a join."""
        return Images(files, row_counts_of([numbered.file for numbered in files]), self.read_other)

    def read_other(self, number: int, numbered: _NumberedFile, tallies: Tallies) -> Rows:
        """Yield KEY and PLACE of the rows of a file whose new rows are written."""
        return read_keyed(number, numbered.file, tallies, self.other, 1)

    def read_one(self, file: AnyFile) -> Rows:
        """Yield KEY of the rows of a file, and True: images that need not be written."""
        for rows in read_keyed(0, file, Tallies(), self.one, 0):
            keys = rows.select([0, 1])
            yield keys.append_column(_IN_ONE, pa.repeat(True, len(keys)))

    def write_file(self, numbered: _NumberedFile, made: Made, number: int, stream: RowStream) -> None:
        """Write the new rows of a file; `stream` says which of its images the other manifest has. Tally them."""
        part = CURATED_PART if self.schema else ""
        file = numbered.file
        schema = self.schema or schema_of(file)
        with part_writer(made.path(part, numbered.name), schema, _group_rows(file)) as writer:
            for batch, (in_one,) in stream.beside(number, advancing(batches_of(file)), [_IN_ONE]):
                is_new = pc.and_(in_one.is_null(), batch[self.other.column].is_valid())
                rows = batch.filter(is_new)
                writer.write(rows)
                self._tally(rows, made.result)
        made.wrote(part, numbered.name, writer.checksum)

    def _tally(self, rows: pa.RecordBatch, result: TaskResult) -> None:
        if self.schema is None:
            result.add(NEW_ROWS, rows.num_rows)
            return
        tally_licenses(rows, result)
        for count in pc.value_counts(rows["language"]).to_pylist():
            result.add(NEW_ROWS, count["counts"], language=count["values"])


def _group_rows(file: AnyFile) -> int:
    return row_group_rows([file]) if isinstance(file, OwnFile) else ROW_GROUP_ROWS


def _facts(run: Results, one: Manifest, tallies: Tallies) -> dict[str, Any]:
    """Return the content of the new run.json: the run's own, with new numbers of kept pairs and a selection record."""
    kept = Counter({code: int(rows) for code, rows in tallies.by_language(NEW_ROWS).items()})
    selection = {
        "command": NEW_MANIFEST.command,
        "not_in": one.name,
        "rows": kept.total(),
    }
    note = (
        f"Pairs of another run whose images {one.name} does not have: {kept.total():,}. The numbers of kept pairs are "
        "counted over these; all other figures and the probabilities are those from the other run."
    )
    return facts_of_part(run, "selections", selection, note, kept, tallies)
