"""In tasks, apply a step's change, such as a list of checks, to files of matched images, and tally its effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.leaves.gate.step import Gone, StepFolder
from curation.schemas import MATCHED_ROW_GROUP
from runtime.arrow import parts
from runtime.placed_rows import RowStream
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.tallies import Tallies, TaskResult

if TYPE_CHECKING:
    from runtime.engine import Engine


class BatchStart(NamedTuple):
    """The name of a file, and the position in it of the first image of a batch."""

    file: str
    row: int


# A change takes a MATCHED batch, the rows about its images (None if the step has no rows), where the batch begins, and
# a result to add to. It returns the images that stay, as they shall be written, and the texts that are gone (None for a
# step that removes none).
Change = Callable[[pa.RecordBatch, pa.RecordBatch | None, BatchStart, TaskResult], tuple[pa.RecordBatch, Gone | None]]


@dataclass(frozen=True)
class Rewriting:
    """Rewrites each of `images` by `change`, to a file of the same name in `folder`."""

    images: Sequence[OwnFile]
    change: Change
    folder: StepFolder

    def run(self, engine: Engine) -> TaskResult:
        """Rewrite all files by a change that takes no rows; return the result."""
        return engine.run([*self.images], self.rewrite)

    def write(self, number: int, rows: RowStream) -> TaskResult:
        """Rewrite the file `number`; `rows` has rows about images of this file and of others."""
        return self.rewrite(self.images[number], number, rows)

    def rewrite(self, file: OwnFile, number: int = 0, rows: RowStream | None = None) -> TaskResult:
        """Write the images of a file, changed, to a file of the same name; return the result.

        `number` is the number by which `rows` names the file.
        """
        result, row, name = TaskResult(), 0, file.path.name
        with self.folder.rewritten(name, result) as rewritten:
            for batch in batches(file, MATCHED_ROW_GROUP):
                begin = BatchStart(name, row)
                row += batch.num_rows
                rewritten.write(*self.change(batch, rows and rows.take(number, begin.row, row), begin, result))
        return result


def without(batch: pa.RecordBatch, goes: np.ndarray, rule: str, tallies: Tallies) -> tuple[pa.RecordBatch, Gone]:
    """Return the images of a MATCHED batch for which `goes` is false, and the texts of the others, which are tallied.

    `rule` describes what removes the images.
    """
    tallies.add("removed", int(goes.sum()))
    tally_texts(batch, goes, "texts", tallies)
    return batch.filter(pa.array(~goes)), Gone.with_images(batch, goes, rule)


@dataclass(frozen=True)
class RemovalByRows:
    """A change that removes the images about which there is a row or, with `stay`, all others.

    `rule` describes what removes the images, for the sample of removed texts.
    """

    rule: str
    stay: bool = False

    def __call__(
        self, batch: pa.RecordBatch, rows: pa.RecordBatch | None, begin: BatchStart, tallies: Tallies
    ) -> tuple[pa.RecordBatch, Gone]:
        """Return what `without` returns of a MATCHED batch, and tally as it does."""
        goes = np.full(batch.num_rows, self.stay)
        if rows is not None:
            goes[rows["row"].to_numpy() - begin.row] = not self.stay
        return without(batch, goes, self.rule, tallies)


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
