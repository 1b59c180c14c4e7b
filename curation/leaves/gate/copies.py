"""The step `copies`: keep one of the images that show the same picture, with the texts of all of them.

`pictures` finds the copies by the values of a column alone. Then each file is rewritten without the images that have
copies. The texts of these images are sent to the image that stays, and combined like the texts of one URL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.images.tasks import MATCHED_ROW_GROUP, key_of, pairs_of, write_images
from curation.leaves.gate.checks import show_images, tally_texts
from curation.leaves.gate.pictures import MARKS, Pictures, write_marks
from curation.leaves.gate.steps import Step, StepFolder, removed
from curation.leaves.gate.table_rows import of_table, require_found, require_own_rows
from curation.run.ledger import group_buckets
from curation.run.request import Context
from curation.schemas import MATCHED
from runtime.buckets import Block, Packer
from runtime.engine.interface import Engine
from runtime.errors import AGAIN
from runtime.storage.own_files import OwnFile, checksums_in, own_files, tally
from runtime.storage.parquet import batches, part_writer, read_table
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from curation.leaves.gate.plan import GatePlan

TEXTS_OF_COPY = 2  # estimated texts that are sent per copy


@dataclass(frozen=True)
class Copies(Step):
    """The step: of the images that show the same picture, one stays."""

    pictures: Pictures
    is_alone: bool = False  # whether no other step counts the images in the table

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> Tallies:
        """Write one image of each picture; tally `texts`, by language: the texts of copies that are not kept."""
        marks = context.output.parts.begin("marks")
        work = context.output.artefacts / "hashes"
        marked = write_marks(context.engine, images, self.pictures, work, marks)
        own = own_files(marks, checksums_in(marked), AGAIN)
        number, partitions = group_buckets(TEXTS_OF_COPY * marked["copies"])
        send = partial(_send, buckets=number, folder=folder, rule=self._title)
        most = context.config.max_texts
        receive = partial(_receive, number=number, max_texts=most, folder=folder.path)
        by_file = {int(file.path.stem): file for file in own}
        items = [(file, by_file.get(n)) for n, file in enumerate(images)]
        return marked + context.engine.exchange(items, send, receive, partitions)

    def require(self, counted: Tallies, config: CurationConfig) -> None:
        """Refuse a table that has none of the images, and one with differing rows of too many images."""
        if self.is_alone:
            require_found(self.pictures.table, 0, counted)
            require_own_rows(self.pictures.table, [self.pictures.same.column], 0, counted, config)

    def facts(self, counted: Tallies) -> dict[str, Any]:
        """Return the number of removed copies and, if no other step reports the table, the images in it."""
        tables = [{"name": self.pictures.table.name, **of_table(0, counted)}] if self.is_alone else []
        return {"tables": tables, "conditions": [removed(self._title, counted)]}

    @property
    def _title(self) -> str:
        return f"one image of a picture, by {self.pictures.same}"


def step(engine: Engine, plan: GatePlan) -> Copies | None:
    """Return the step, or None if the plan has no pictures to compare."""
    return Copies(plan.pictures, not plan.asks) if plan.pictures else None


def _send(
    item: tuple[OwnFile, OwnFile | None], tallies: Tallies, buckets: int, folder: StepFolder, rule: str
) -> Iterator[Block]:
    """Write the images of a file that have no copies; yield the PAIRS of all other images, in blocks by key."""
    file, marks = item
    rows, copy_of = _marks(marks)
    packer, begin, path = Packer(buckets), 0, folder / file.path.name
    with part_writer(path, MATCHED, MATCHED_ROW_GROUP) as writer, folder.removed(path.name, tallies) as removed:
        for batch in batches(file, MATCHED_ROW_GROUP):
            first, last = np.searchsorted(rows, (begin, begin + batch.num_rows))
            is_copy = np.zeros(batch.num_rows, bool)
            is_copy[rows[first:last] - begin] = True
            writer.write(batch.filter(pa.array(~is_copy)))
            copies = batch.filter(pa.array(is_copy))
            goes = pc.not_equal(copies["uid"], copy_of[first:last]).to_numpy(zero_copy_only=False)
            show_images(copies, goes, rule, removed)
            pairs = _tallied(copies, copy_of[first:last], goes, tallies)
            yield from packer.deal(pairs, key_of(pairs))
            begin += batch.num_rows
    yield from packer.finish()
    tallies.add("passed", writer.rows)
    tally(tallies, path, writer.checksum)


def _marks(file: OwnFile | None) -> tuple[np.ndarray, pa.Array]:
    """Return the rows, ascending, of the images in a file that have copies, and for each the uid that stays."""
    marks = MARKS.empty_table() if file is None else read_table(file)
    return marks["row"].to_numpy(), pa.concat_arrays([pa.array([], pa.string()), *marks["copy_of"].chunks])


def _tallied(images: pa.RecordBatch, copy_of: pa.Array, goes: np.ndarray, tallies: Tallies) -> pa.RecordBatch:
    """Return the PAIRS of images that have copies; tally the pictures, the images that go, and all texts."""
    tallies.add("pictures", int((~goes).sum()))
    tallies.add("removed", int(goes.sum()))
    tally_texts(images, np.ones(images.num_rows, bool), "texts", tallies)
    return pairs_of(images, copy_of)


def _receive(partition: int, blocks: Iterator[bytes], number: int, max_texts: int, folder: Path) -> Tallies:
    """Write the images that stay for copies, each with the texts of all its copies."""
    path, tallies = folder / f"copies-{partition:05d}.parquet", Tallies()
    written = write_images(blocks, number, max_texts, path)
    tallies.add("passed", written["matched"])
    for language, texts in written.by_language("language.matched").items():
        tallies.add("texts", -texts, language)  # kept texts are not removed
    tally(tallies, path, checksums_in(written)[path.name])
    return tallies
