"""Write the matched images that pass the gate, given for each of them what the tables of images say.

A condition that fails is counted three times: where it fails, where no other one does, and where it is the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.schemas import MATCHED
from runtime.arrow.lists import parts
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import PartWriter, batches
from runtime.tallies import Tallies

# One row an image, in the order of file and row: a bit of `met` is a condition that holds, one of `found` a table that
# has the image. `status` is that of its download, where one was given.
VERDICTS = pa.schema(
    [
        pa.field("file", pa.int32()),
        pa.field("row", pa.int64()),
        pa.field("met", pa.int64()),
        pa.field("found", pa.int64()),
        pa.field("status", pa.string()),
    ]
)


@dataclass(frozen=True)
class Numbers:
    """How many conditions and tables a gate has."""

    conditions: int
    tables: int


def write_passing(file: OwnFile, verdicts: Rows, numbers: Numbers, path: Path, row_group_rows: int) -> Tallies:
    """Write the images of a MATCHED file that pass to `path`; return what each condition removed."""
    tallies = Tallies()
    with PartWriter(path, MATCHED, row_group_rows) as writer:
        for batch in batches(file):
            own = verdicts.take(batch.num_rows)
            writer.write(passing(batch, own, numbers, tallies))
    tallies.add("passed", writer.rows)
    tally(tallies, path, writer.checksum)
    return tallies


def passing(batch: pa.RecordBatch, verdicts: pa.RecordBatch, numbers: Numbers, tallies: Tallies) -> pa.RecordBatch:
    """Return the images of a MATCHED batch that meet all conditions; tally the others."""
    failed = ~bits(verdicts["met"], numbers.conditions)
    found = bits(verdicts["found"], numbers.tables)
    for table in range(numbers.tables):
        tallies.add(f"found.{table}", int(found[:, table].sum()))
    for status, images in zip(*_counted(verdicts["status"]), strict=True):
        tallies.add(f"status.{status}", images)
    alone, first = failed.sum(axis=1) == 1, failed & (np.cumsum(failed, axis=1) == 1)
    languages, image = _languages(batch)
    for condition in range(numbers.conditions):
        tallies.add(f"failed.{condition}", int(failed[:, condition].sum()))
        tallies.add(f"alone.{condition}", int((failed[:, condition] & alone).sum()))
        tallies.add(f"removed.{condition}", int(first[:, condition].sum()))
        _tally_texts(languages, first[image, condition], f"texts.{condition}", tallies)
    return batch.filter(pa.array(~failed.any(axis=1)))


def bits(numbers: pa.Array, count: int) -> np.ndarray:
    """Return bool[row, bit] of the lowest `count` bits of numbers."""
    return (numbers.to_numpy()[:, None] >> np.arange(count)[None, :] & 1).astype(bool)


class Rows:
    """Rows that come in batches, taken so many at a time."""

    def __init__(self, batches: Iterable[pa.RecordBatch]):
        self._batches = iter(batches)
        self._held: pa.RecordBatch | None = None
        self._begin = 0

    def peek(self) -> pa.RecordBatch | None:
        """Return the rows that come next, at least one; None at the end."""
        while self._held is None or self._begin == self._held.num_rows:
            self._held, self._begin = next(self._batches, None), 0
            if self._held is None:
                return None
        return self._held.slice(self._begin)

    def take(self, rows: int) -> pa.RecordBatch:
        """Return the next rows; ValueError where fewer come."""
        taken: list[pa.RecordBatch] = []
        while rows:
            held = self.peek()
            if held is None:
                raise ValueError(f"{rows} verdicts are missing")
            taken.append(held.slice(0, rows))
            self._begin += taken[-1].num_rows
            rows -= taken[-1].num_rows
        return pa.concat_batches(taken) if taken else pa.RecordBatch.from_pylist([], schema=VERDICTS)


def files_of(rows: Rows) -> Iterator[int]:
    """Yield the number of each file of which verdicts come; all of one must be taken before the next is asked for."""
    while (held := rows.peek()) is not None:
        yield held["file"][0].as_py()


def _counted(strings: pa.Array) -> tuple[list[str], list[int]]:
    counts = pc.value_counts(strings.drop_null())
    return counts.field("values").to_pylist(), counts.field("counts").to_pylist()


def _languages(batch: pa.RecordBatch) -> tuple[pa.Array, np.ndarray]:
    """Return the language of each text of a batch, and the image that it belongs to."""
    texts, offsets = parts(batch["candidates"])
    return texts.field("language"), np.repeat(np.arange(batch.num_rows), np.diff(offsets))


def _tally_texts(languages: pa.Array, chosen: np.ndarray, name: str, tallies: Tallies) -> None:
    for language, texts in zip(*_counted(languages.filter(pa.array(chosen))), strict=True):
        tallies.add(name, texts, language)
