"""A step of the gate, its folder, its sample of removed texts, and the task that writes a file of images.

Each step reads the files that the step before wrote. `gate.Gate` runs the steps. Other packages add steps
through the entry point `gate.GROUP`.

`StepFile.write` counts and samples removed rows for all steps. Only the seed and the uid decide whether an image is
drawn for the sample, so the same rows are written however images are divided among files and tasks. Texts that an
`is_silent` filter would remove are not written, whichever filter removed them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.plugins.gate.filters import Decision, Filter, ImageBatch, Rewrite, decide, facts_of_filters
from curation.schemas import GATE_REMOVED, MATCHED, MATCHED_ROW_GROUP, REMOVED_PART
from runtime.cogroup import RowStream
from runtime.draws import draws
from runtime.engine import Engine
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import PartWriter, batches, part_writer
from runtime.tallies import TaskResult, values_under

if TYPE_CHECKING:
    from curation.run.request import Context

DRAW_OF_SAMPLE = "removed"  # the purpose of the draw of each image
SAMPLE_ROW_GROUP = 1 << 16


class Step:
    """A step of the gate, with its options, and with the files that it reads already found.

    A step that needs only its images returns its `filters`, and inherits all other methods.
    """

    removes = True  # whether images or texts may be removed

    def filters(self) -> Sequence[Filter]:
        """Return the filters of the step, in the order in which they decide."""
        return ()

    def asks(self) -> dict[str, list[str]]:
        """Return the conditions that images must meet, as texts for users, by kind of condition."""
        return {}

    def prepare(self, context: Context) -> Step:
        """Return the step after reading all that it needs besides images."""
        return self

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> TaskResult:
        """Write the images that stay to files in `folder`; return counts, with `passed`, and each file's checksum."""
        return StepTask(images, folder, self.filters()).run(context.engine)

    def require(self, counted: TaskResult, config: CurationConfig) -> None:
        """Raise InputError if `counted`, the result of `write`, suggests a mistake, for example if no image passes."""

    def facts(self, counted: TaskResult) -> dict[str, Any]:
        """Return facts about the step for run.json; a list is appended to the list of this name from earlier steps."""
        return facts_of_filters(self.filters(), counted)


@dataclass(frozen=True)
class RemovedSample:
    """The sample of the texts that a step removes: a share of their images, drawn by seed and uid.

    It is written to `folder`, one file per file of images. Texts that `silent` filters would remove are left out.
    """

    folder: Path
    step: str
    share: float
    seed: int
    silent: Sequence[Filter] = ()

    def file(self, name: str) -> str:
        """Return the name of the sample's file about a file of images."""
        return f"{self.step}-{name}"

    def drawn(self, images: pa.RecordBatch) -> np.ndarray:
        """Return bool[image]: which images are in the sample if they are removed."""
        return draws(self.seed, DRAW_OF_SAMPLE, images["uid"]) < self.share

    def rows(self, decision: Decision) -> pa.RecordBatch:
        """Return the rows of the sample, with the schema GATE_REMOVED."""
        batch = decision.batch
        is_removed = decision.first < len(decision.filters)
        chosen = np.flatnonzero(self.drawn(batch.images)[batch.image] & is_removed)
        chosen = chosen[~self._is_silent(batch.with_some_texts(chosen))]
        some = batch.with_some_texts(chosen)
        images = pa.array(some.image)
        titles = pa.array([decider.title for decider in decision.filters], pa.string())
        columns = [
            batch.images["uid"].take(images),
            batch.images["url"].take(images),
            some.texts.field("text"),
            some.texts.field("language"),
            pc.coalesce(some.texts.field("page_url"), batch.images["page_url"].take(images)),
            pa.repeat(self.step, len(chosen)),
            titles.take(pa.array(decision.first[chosen])),
            _reasons(decision, chosen),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=GATE_REMOVED)

    def _is_silent(self, batch: ImageBatch) -> np.ndarray:
        """Return bool[text]: whether a silent filter would remove the text or its image."""
        mask = np.zeros(len(batch.texts), bool)
        for silent in self.silent:
            mask |= silent.mask_of_texts(batch)
        return mask


def _reasons(decision: Decision, texts: np.ndarray) -> pa.Array:
    """Return the reason of the filter that removes each of these texts; null if the filter gives no reason."""
    reasons = np.full(len(texts), None, object)
    for number, decider in enumerate(decision.filters):
        if decider.why is not None:
            removed = np.flatnonzero(decision.first[texts] == number)
            reasons[removed] = decider.reasons(decision.batch.with_some_texts(texts[removed]))
    return pa.array(reasons, pa.string())


@dataclass(frozen=True)
class StepFile:
    """A file of the images that stay, and its file of the sample, while a task writes them."""

    images: PartWriter
    sample: PartWriter | None
    removed: RemovedSample | None
    result: TaskResult

    def write(self, stays: pa.RecordBatch, decision: Decision) -> None:
        """Write the images that stay; count the images and texts that `decision` removes, and write their sample."""
        self.images.write(stays)
        decision.tally(self.result)
        if self.removed is not None and self.sample is not None:
            self.sample.write(self.removed.rows(decision))


@dataclass(frozen=True)
class StepFolder:
    """The folder for images that stay, and `removed`, the sample of removed texts; None if there is no sample."""

    path: Path
    removed: RemovedSample | None = None

    @contextmanager
    def writing(self, name: str, result: TaskResult) -> Iterator[StepFile]:
        """Yield a StepFile that writes the file of images `name`, and the sample's file about it.

        At the end, add to `result` the number of images that `passed`, and the checksum of each file by its name; the
        name of the sample's file begins with REMOVED_PART and a slash.
        """
        removed = self.removed
        sampling = part_writer(removed.folder / removed.file(name), GATE_REMOVED, SAMPLE_ROW_GROUP) if removed else None
        with (
            part_writer(self.path / name, MATCHED, MATCHED_ROW_GROUP) as images,
            sampling or nullcontext() as sample,
        ):
            yield StepFile(images, sample, removed, result)
        result.add("passed", images.rows)
        result.files[name] = images.checksum
        if removed and sample:
            result.files[f"{REMOVED_PART}/{removed.file(name)}"] = sample.checksum


@dataclass(frozen=True)
class StepTask:
    """The work of a step on each file of `images`: rewrite the batches of the file, then let its filters decide.

    Images that stay are written to a file of the same name in `folder`.
    """

    images: Sequence[OwnFile]
    folder: StepFolder
    filters: Sequence[Filter] = ()
    rewrites: Sequence[Rewrite] = ()
    count: Callable[[ImageBatch, TaskResult], None] | None = None  # This is called with each batch before a rewrite.

    def run(self, engine: Engine) -> TaskResult:
        """Write all files, without joining rows to their images; return the sum of the results."""
        return engine.run([*self.images], self.write_file)

    def write(self, number: int, rows: RowStream) -> TaskResult:
        """Write images[number]; `rows` is a stream of rows that are joined to images of this and other files."""
        return self.write_file(self.images[number], number, rows)

    def write_file(self, file: OwnFile, number: int = 0, rows: RowStream | None = None) -> TaskResult:
        """Write a file; return the result. `rows`, if given, has joined rows, by the `number` of their file."""
        result = TaskResult()
        begin = 0
        with self.folder.writing(file.path.name, result) as step_file:
            for images in batches(file, MATCHED_ROW_GROUP):
                end = begin + images.num_rows
                joined = None if rows is None else rows.take(number, begin, end)
                batch = ImageBatch.of(images, joined, file.path.name, begin)
                if self.count is not None:
                    self.count(batch, result)
                for rewrite in self.rewrites:
                    batch = rewrite.changed(batch, result)
                decision = decide(batch, self.filters)
                step_file.write(decision.stays(), decision)
                begin = end
        return result


def parts_in(checksums: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Divide a step's checksums, by file name: return the checksums of files of images, and of the sample's files.

    The names of the sample's files are returned without the prefix REMOVED_PART.
    """
    prefix = f"{REMOVED_PART}/"
    images = {name: value for name, value in checksums.items() if not name.startswith(prefix)}
    return images, values_under(checksums, prefix)
