"""Rewrite files of matched images batch by batch, with the changes that a step of the gate makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.rows import RowStream
from curation.gate.removed import Removed, StepFolder
from curation.images.tasks import MATCHED_ROW_GROUP
from curation.schemas import MATCHED
from runtime.arrow.buffers import parts
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import Tallies


class Begin(NamedTuple):
    """The name of a file, and the position in it of the first image of a batch.

    `removed` takes what is removed of the file, where a sample of that is asked for.
    """

    file: str
    row: int
    removed: Removed | None = None


# A change takes a MATCHED batch, the rows about its images (None if the step has no rows), where the batch begins, and
# tallies to add to. It returns the images that stay, as they shall be written.
Change = Callable[[pa.RecordBatch, pa.RecordBatch | None, Begin, Tallies], pa.RecordBatch]


def rewrite_one(number: int, rows: RowStream, images: Sequence[OwnFile], change: Change, folder: StepFolder) -> Tallies:
    """Rewrite the file with a number, given a stream of rows about the images of this file and of others."""
    return rewrite(images[number], change, folder, number, rows)


def rewrite(
    file: OwnFile, change: Change, folder: StepFolder, number: int = 0, rows: RowStream | None = None
) -> Tallies:
    """Rewrite a file into `folder` under the same name; `number` is the file's number in the rows."""
    tallies, row, path = Tallies(), 0, folder / file.path.name
    with part_writer(path, MATCHED, MATCHED_ROW_GROUP) as writer, folder.removed(path.name, tallies) as removed:
        for batch in batches(file, MATCHED_ROW_GROUP):
            begin = Begin(path.name, row, removed)
            row += batch.num_rows
            writer.write(change(batch, rows and rows.take(number, begin.row, row), begin, tallies))
    tallies.add("passed", writer.rows)
    tally(tallies, path, writer.checksum)
    return tallies


def require_rows_of(batch: pa.RecordBatch, rows: pa.RecordBatch | None) -> pa.RecordBatch:
    """Return rows that are one for each image of a batch."""
    if rows is None or rows.num_rows != batch.num_rows:
        raise ValueError(f"{rows.num_rows if rows else 0} rows came for {batch.num_rows} images")
    return rows


def without(
    batch: pa.RecordBatch, goes: np.ndarray, rule: str, removed: Removed | None, tallies: Tallies
) -> pa.RecordBatch:
    """Return the images of a MATCHED batch that stay; tally those for which `goes` is true, and their texts.

    `rule` is what removes them, in words.
    """
    tallies.add("removed", int(goes.sum()))
    tally_texts(batch, goes, "texts", tallies)
    show_images(batch, goes, rule, removed)
    return batch.filter(pa.array(~goes))


def show_images(batch: pa.RecordBatch, goes: np.ndarray, rule: str, removed: Removed | None) -> None:
    """Let the sample have the texts of the images for which `goes` is true."""
    if removed:
        texts, offsets = parts(batch["candidates"])
        image = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        chosen = np.flatnonzero((goes & removed.drawn(batch))[image])
        removed.add(batch, texts.take(pa.array(chosen)), image[chosen], pa.repeat(rule, len(chosen)))


def tally_texts(batch: pa.RecordBatch, images: np.ndarray, name: str, tallies: Tallies) -> None:
    """Tally the texts of some images of a MATCHED batch by language."""
    texts, offsets = parts(batch["candidates"])
    tally_languages(texts.field("language").filter(pa.array(np.repeat(images, np.diff(offsets)))), name, tallies)


def tally_languages(languages: pa.Array, name: str, tallies: Tallies, sign: int = 1) -> None:
    """Tally texts, or texts less, given the language of each."""
    for language, number in counted(languages):
        tallies.add(name, sign * number, language)


def counted(strings: pa.Array) -> list[tuple[str, int]]:
    """Return each string that is not null, and how often it is there."""
    counts = pc.value_counts(strings.drop_null())
    return list(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
