"""In tasks, apply a step's change, such as a list of checks, to files of matched images, and tally its effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.leaves.gate.step import Removed, StepFolder
from curation.schemas import MATCHED, MATCHED_ROW_GROUP
from runtime.arrow import parts
from runtime.placed_rows import RowStream
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from runtime.engine import Engine


class Begin(NamedTuple):
    """The name of a file, and the position in it of the first image of a batch.

    `removed` collects a sample of the removed texts; None: no sample is asked for.
    """

    file: str
    row: int
    removed: Removed | None = None


# A change takes a MATCHED batch, the rows about its images (None if the step has no rows), where the batch begins, and
# tallies to add to. It returns the images that stay, as they shall be written.
Change = Callable[[pa.RecordBatch, pa.RecordBatch | None, Begin, Tallies], pa.RecordBatch]


@dataclass(frozen=True)
class Rewriting:
    """Rewrites each of `images` by `change`, to a file of the same name in `folder`."""

    images: Sequence[OwnFile]
    change: Change
    folder: StepFolder

    def run(self, engine: Engine) -> Tallies:
        """Rewrite all files by a change that takes no rows; return the tallies."""
        return engine.run([*self.images], self.rewrite)

    def write(self, number: int, rows: RowStream) -> Tallies:
        """Rewrite the file `number`; `rows` has rows about images of this file and of others."""
        return self.rewrite(self.images[number], number, rows)

    def rewrite(self, file: OwnFile, number: int = 0, rows: RowStream | None = None) -> Tallies:
        """Write the images of a file, changed, to a file of the same name; return the tallies.

        `number` is the number by which `rows` names the file.
        """
        tallies, row, path = Tallies(), 0, self.folder / file.path.name
        with (
            part_writer(path, MATCHED, MATCHED_ROW_GROUP) as writer,
            self.folder.removed(path.name, tallies) as removed,
        ):
            for batch in batches(file, MATCHED_ROW_GROUP):
                begin = Begin(path.name, row, removed)
                row += batch.num_rows
                writer.write(self.change(batch, rows and rows.take(number, begin.row, row), begin, tallies))
        tallies.add("passed", writer.rows)
        tally(tallies, path, writer.checksum)
        return tallies


def without(
    batch: pa.RecordBatch, goes: np.ndarray, rule: str, removed: Removed | None, tallies: Tallies
) -> pa.RecordBatch:
    """Return the images of a MATCHED batch for which `goes` is false; tally the others, and their texts by language.

    `rule` describes what removes the images, for the sample of removed texts.
    """
    tallies.add("removed", int(goes.sum()))
    tally_texts(batch, goes, "texts", tallies)
    show_images(batch, goes, rule, removed)
    return batch.filter(pa.array(~goes))


@dataclass(frozen=True)
class RemovalByRows:
    """A change that removes the images about which there is a row or, with `stay`, all others.

    `rule` describes what removes the images, for the sample of removed texts.
    """

    rule: str
    stay: bool = False

    def __call__(
        self, batch: pa.RecordBatch, rows: pa.RecordBatch | None, begin: Begin, tallies: Tallies
    ) -> pa.RecordBatch:
        """Return the images of a MATCHED batch that stay; tally the others as `without` does."""
        goes = np.full(batch.num_rows, self.stay)
        if rows is not None:
            goes[rows["row"].to_numpy() - begin.row] = not self.stay
        return without(batch, goes, self.rule, begin.removed, tallies)


def show_images(batch: pa.RecordBatch, goes: np.ndarray, rule: str, removed: Removed | None) -> None:
    """Add the texts of drawn images for which `goes` is true to the sample of what the gate removed."""
    if removed:
        texts, offsets = parts(batch["candidates"])
        image = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        chosen = np.flatnonzero((goes & removed.drawn(batch))[image])
        removed.add(batch, texts.take(pa.array(chosen)), image[chosen], pa.repeat(rule, len(chosen)))


def tally_texts(batch: pa.RecordBatch, images: np.ndarray, name: str, tallies: Tallies) -> None:
    """Add to the tally `name`, by language, the number of texts of the images, in a MATCHED batch, that a mask selects.

    `images` is the mask, bool[image].
    """
    texts, offsets = parts(batch["candidates"])
    tally_languages(texts.field("language").filter(pa.array(np.repeat(images, np.diff(offsets)))), name, tallies)


def tally_languages(languages: pa.Array, name: str, tallies: Tallies, sign: int = 1) -> None:
    """Tally the number of texts in each language; with a `sign` of -1 subtract it."""
    for language, number in counted(languages):
        tallies.add(name, sign * number, language)


def counted(strings: pa.Array) -> list[tuple[str, int]]:
    """Return each distinct string that is not null, with the number of times that it occurs."""
    counts = pc.value_counts(strings.drop_null())
    return list(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
