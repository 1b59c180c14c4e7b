"""Scan tars, and join their samples by uid to the images of a run and to tables, for the tasks that rewrite the tars.

A sample belongs to the image whose uid its JSON states. The joined rows are sent to the task of the sample's tar.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import KEY, key_columns, spelled_key
from curation.plugins.joins.uid_join import JOINED_ROWS, READ_ROWS, Images, Join, Table
from curation.plugins.tars.headers import DAMAGED, require_sound
from curation.plugins.tars.samples import IMAGES, fault_of, opened_tar, passed_over, samples_in
from curation.run.finished_run import FinishedRun, curated_files
from curation.schemas import CURATED, TRAINED_TEXTS
from runtime.cogroup import PLACE, Rows, RowStream, place_columns
from runtime.engine import Engine
from runtime.errors import InputError
from runtime.folders.folder import Folder, Made, Task, WorkItem
from runtime.folders.stamps import Input
from runtime.storage.own_files import OwnFile, written_files
from runtime.storage.parquet import batches, write_rows
from runtime.storage.paths import make_folder, remove
from runtime.tallies import Tallies, TaskResult
from runtime.wording import counted

_log = logging.getLogger(__name__)
AT_ONCE = 1 << 13  # the number of samples in a batch of `Scan.read`
IMAGES_AT_ONCE = 1 << 14  # the number of images of a run that a task reads at a time
# WITHOUT and NO_PICTURE name tallies, of samples without a uid and of keys without a picture, and also facts: the first
# such key of a tar. SIZE names facts: the number of samples of each tar.
WITHOUT, NO_PICTURE, SIZE = "without", "no_picture", "size"

TEXT = CURATED.field("text")

Numbered = tuple[int, Input]  # the number of a tar among all tars, and the tar


@dataclass(frozen=True)
class Scan:
    """A tar's number, the file of its samples (rows of SAMPLES), and a stream of the rows joined to samples."""

    number: int
    file: OwnFile
    stream: RowStream

    def read(self) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None]]:
        """Yield pairs: a batch of samples, and the rows joined to these samples, or None if there are no such rows.

        In the joined rows, the column `row` has the index of the sample in its batch.
        """
        end = 0
        for batch in batches(self.file, AT_ONCE):
            begin, end = end, end + batch.num_rows
            joined = self.stream.take(self.number, begin, end)
            if joined is not None:
                at = joined.schema.names.index("row")
                joined = joined.set_column(at, PLACE[1], pc.subtract(joined["row"], begin))
            yield batch, joined


Make = Callable[[Numbered, Made, Scan], object]


def each_tar(folder: Folder, title: str, tars: Sequence[Input], tables: Sequence[Table], make: Make) -> TaskResult:
    """Call `make` with the Scan of each tar that has no output yet, to write it; return the sum of all tars' results.

    `tables` are joined to the samples; `title` names the step in progress messages.
    """
    part = folder.part([WorkItem([tar], (number, tar)) for number, tar in enumerate(tars)])
    missing = part.missing
    if missing:
        number = f"{len(missing)} of {len(tars)} tars"
        scans = folder.parts.unfinished / "scans"
        missing_tars = [item.content[1] for item in missing]
        with folder.progress.stage(f"look for the samples of {number}"):
            files, sizes = scan(folder.engine, missing_tars, scans, done=len(tars) - len(missing))
        with folder.progress.stage(f"{title} of {number}"):
            join_samples(files, sizes, tables).write(folder.engine, _make, files, missing, part.task(make))
        remove(scans)  # The scans go first, so that a late task makes no new files there.
    return part.commit()


def require_samples(folder: Folder, number: int, tars: Sequence[Input], where: str) -> None:
    """Raise InputError if `number`, the number of samples of a run found in the tars, is 0.

    `where` says, for the error, where samples were looked for. Before the error, the folder forgets its finished tasks,
    so that it is emptied.
    """
    if number:
        return
    folder.forget()
    raise InputError(
        f"none of the samples in {counted(len(tars), 'tar')} is {where}; pass the tars of a download of its curated/ "
        "or matched/"
    )


def join_samples(files: Sequence[OwnFile], sizes: Sequence[int], tables: Sequence[Table]) -> Join:
    """Return a join of tables to samples; `files` have rows of SAMPLES, and `sizes` says how many each file has."""
    return Join(Images(files, sizes, _images), tables)


def scan(
    engine: Engine, tars: Sequence[Input], folder: Path, most_damaged: float = 0.0, done: int = 0
) -> tuple[list[OwnFile], list[int]]:
    """Write the samples of each tar, as rows of SAMPLES, to a file in `folder`; return the files, and rows per file.

    All machines must see `folder`. InputError if more than the share `most_damaged` of the tars is damaged, or if no
    sample states a uid and `done`, the number of tars finished before, is 0. Samples without uid are counted and
    logged.
    """
    scanned = engine.run([*enumerate(tars)], partial(_scan, folder=make_folder(folder)))
    require_sound(dict(scanned.noted(DAMAGED)), len(tars), most_damaged)
    sizes = scanned.noted(SIZE)
    if none := int(scanned[NO_PICTURE]):
        _log.warning(
            "%s of %s keys in the tars have files but no picture (%s), such as %s; they are skipped",
            *(f"{none:,}", f"{none + sum(sizes):,}", ", ".join(IMAGES), scanned.noted(NO_PICTURE)[0]),
        )
    if without := int(scanned[WITHOUT]):
        first = scanned.noted(WITHOUT)[0]
        if without == sum(sizes) and not done:
            raise InputError(
                f"no sample states uid or url in its json (samples: {without:,}; the first: {first}); pass tars that "
                "img2dataset downloaded with --save_additional_columns '[\"uid\"]'"
            )
        _log.warning(
            "%s of %s samples have no json that states uid or url, such as %s; they are skipped",
            *(f"{without:,}", f"{sum(sizes):,}", first),
        )
    return written_files(folder, scanned.files), sizes


def matched_images(files: Sequence[OwnFile], rows: int) -> Table:
    """Return a table for a join: the images in files of a run, with TRAINED_TEXTS; `rows` is the number of images."""
    return Table(files, rows, ImagesWith(TRAINED_TEXTS).read, _unique, [TRAINED_TEXTS])


def curated_images(run: FinishedRun) -> Table:
    """Return a table for a join: the images of a run's manifest, each with its text."""
    return Table(curated_files(run), run.facts["rows"]["kept"], ImagesWith(TEXT).read, _unique, [TEXT])


def _make(
    number: int, stream: RowStream, files: Sequence[OwnFile], items: Sequence[WorkItem[Numbered]], task: Task[Numbered]
) -> TaskResult:
    """Make the item of a tar, with the tar's Scan."""
    return task(items[number], Scan(number, files[number], stream))


def _scan(numbered: Numbered, folder: Path) -> TaskResult:
    """Write a tar's samples to a file; note damage and their number, count samples without uid or picture."""
    number, tar = numbered
    samples = samples_in(opened_tar(tar))
    result = write_rows(folder / f"{number:07}.parquet", samples.schema, READ_ROWS, [samples])
    result.note(SIZE, samples.num_rows)
    if fault := fault_of(samples):
        result.note(DAMAGED, [tar.path, fault])
    none, key = passed_over(samples)
    if none:
        result.add(NO_PICTURE, none)
        result.note(NO_PICTURE, f"{key!r} in {tar.path}")
    without = samples["key"].filter(pc.is_null(samples["uid"]))
    if len(without):
        result.add(WITHOUT, len(without))
        result.note(WITHOUT, f"{without[0].as_py()!r} in {tar.path}")
    return result


def _images(number: int, scan: OwnFile, tallies: Tallies) -> Rows:
    """Yield KEY and PLACE of each sample that states a uid."""
    row = 0
    for batch in batches(scan, READ_ROWS, ["uid"]):
        places = place_columns(number, row, row + batch.num_rows)
        row += batch.num_rows
        has_uid = pc.is_valid(batch["uid"])
        columns = [*key_columns(batch["uid"].filter(has_uid)), *(column.filter(has_uid) for column in places)]
        yield pa.RecordBatch.from_arrays(columns, schema=pa.schema(JOINED_ROWS))


@dataclass(frozen=True)
class ImagesWith:
    """Reads the key and the field `field` of the images in a file of a run."""

    field: pa.Field

    def read(self, file: OwnFile) -> Iterator[pa.RecordBatch]:
        """Yield KEY and the field of each image in a file; images with an empty list are left out."""
        for batch in batches(file, IMAGES_AT_ONCE, ["uid", self.field.name]):
            if pa.types.is_list(self.field.type):
                batch = batch.filter(pc.greater(pc.list_value_length(batch[self.field.name]), 0))
            columns = [*key_columns(batch["uid"]), batch[self.field.name].cast(self.field.type)]
            yield pa.RecordBatch.from_arrays(columns, schema=pa.schema([*KEY, self.field]))


def _unique(rows: pa.RecordBatch, images: np.ndarray) -> np.ndarray:
    """Return the indices of all rows; InputError for two rows of one image."""
    number, times = np.unique(images, return_counts=True)
    repeated = number[times > 1]
    if len(repeated):
        uid = spelled_key(rows, int(np.flatnonzero(images == repeated[0])[0]))
        raise InputError(f"the run has several images with the uid {uid}; pass a run that clip-curate finished")
    return np.arange(rows.num_rows)
