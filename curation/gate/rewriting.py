"""Rewrite files of matched images batch by batch, with the changes that a step of the gate makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from curation.by_uid.rows import RowStream, by_file, summed
from curation.images.tasks import MATCHED_ROW_GROUP
from curation.schemas import MATCHED
from runtime.arrow.buffers import parts
from runtime.spark import map_batches
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import SCHEMA, Tallies


class Begin(NamedTuple):
    """The name of a file, and the position in it of the first image of a batch."""

    file: str
    row: int


# A change takes a MATCHED batch, the rows about its images (None if the step has no rows), where the batch begins, and
# tallies to add to. It returns the images that stay, as they shall be written.
Change = Callable[[pa.RecordBatch, pa.RecordBatch | None, Begin, Tallies], pa.RecordBatch]


def rewritten(rows: DataFrame, images: Sequence[OwnFile], change: Change, folder: Path) -> Tallies:
    """Rewrite all files, each in the task to which Spark brings the rows about its images (PLACE and others)."""
    write = partial(_write_each, images=list(images), change=change, folder=folder)
    return summed(map_batches(by_file(rows, len(images)), write, SCHEMA))


def rewrite(file: OwnFile, change: Change, folder: Path, number: int = 0, rows: RowStream | None = None) -> Tallies:
    """Rewrite a file into `folder` under the same name; `number` is the file's number in the rows."""
    tallies, begin, path = Tallies(), 0, folder / file.path.name
    with part_writer(path, MATCHED, MATCHED_ROW_GROUP) as writer:
        for batch in batches(file, MATCHED_ROW_GROUP):
            end = begin + batch.num_rows
            writer.write(change(batch, rows and rows.take(number, begin, end), Begin(path.name, begin), tallies))
            begin = end
    tallies.add("passed", writer.rows)
    tally(tallies, path, writer.checksum)
    return tallies


def require_rows_of(batch: pa.RecordBatch, rows: pa.RecordBatch | None) -> pa.RecordBatch:
    """Return rows that are one for each image of a batch."""
    if rows is None or rows.num_rows != batch.num_rows:
        raise ValueError(f"{rows.num_rows if rows else 0} rows came for {batch.num_rows} images")
    return rows


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


def _write_each(
    rows: Iterable[pa.RecordBatch], images: Sequence[OwnFile], change: Change, folder: Path
) -> Iterator[pa.RecordBatch]:
    stream = RowStream(rows)
    for number in stream.files():
        yield rewrite(images[number], change, folder, number, stream).batch()
