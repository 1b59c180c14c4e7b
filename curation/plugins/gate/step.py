"""The base class of the gate's steps, the task that applies a step's change to a file of images, and the sample.

Each step reads the files that the step before wrote. `options` runs the steps; other packages add steps by its GROUP.

The tasks that rewrite files of images also write the sample of what they remove. Seed and uid alone decide whether an
image is drawn for it, so the same rows are written however files and tasks are cut. What an `is_silent` rule would
remove is not written, whichever rule removed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.schemas import GATE_REMOVED, MATCHED, MATCHED_ROW_GROUP, REMOVED_PART
from runtime.arrow import parts
from runtime.cogroup import RowStream
from runtime.draws import draws
from runtime.engine import Engine
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import Tallies, TaskResult, values_under

if TYPE_CHECKING:
    from curation.plugins.gate.policies.policies import ChosenRule
    from curation.run.request import Context

Why = Callable[[pa.StructArray, np.ndarray, pa.RecordBatch], list[str]]
PURPOSE = "removed"  # the name of the draw
ROW_GROUP = 1 << 16

COUNTS = ("failed", "alone", "removed")  # images, or texts, that fail a condition; fail only it; fail it first


class Step:
    """A step of the gate, with its options, and with the files that it reads already found."""

    removes = True  # whether images or texts may go
    title = ""  # what removes images, in words

    def asks(self) -> dict[str, list[str]]:
        """Return, for users, what the step asks of images: a list of texts for each kind of condition."""
        return {}

    def prepare(self, context: Context) -> Step:
        """Return the step after reading all that it needs besides images."""
        return self

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> TaskResult:
        """Write the images that stay to files in `folder`; return counts, with `passed`, and each file's checksum."""
        raise NotImplementedError

    def require(self, counted: TaskResult, config: CurationConfig) -> None:
        """Raise InputError, given the result of `write`, if the options can hardly be meant: no image passes, say."""

    def facts(self, counted: TaskResult) -> dict[str, Any]:
        """Return facts about the step for run.json; lists are appended to those of the steps before."""
        return {"conditions": [removed(self.title, counted)]}


def removed(title: str, counted: TaskResult) -> dict[str, Any]:
    """Return the row of run.json about a step's only condition, which `title` describes.

    The step sees only images that the steps before it let pass, so an image fails no other condition: all COUNTS are
    equal.
    """
    texts = {code: number for code, number in counted.by_language("texts").items() if number}
    return {"text": title} | dict.fromkeys(COUNTS, counted["removed"]) | {"removed_texts": texts}


@dataclass(frozen=True)
class Gone:
    """The texts of a MATCHED batch that a step removes, each with the title of the rule that removes it.

    `images` has the row of each text's image, `rules` the number of the rule's title in `titles`; a larger number says
    that the text stays. `reasons` has, by the number of a rule that judges, what says why of texts, images and batch.
    """

    batch: pa.RecordBatch
    texts: pa.StructArray
    images: np.ndarray
    rules: np.ndarray
    titles: Sequence[str]
    reasons: Mapping[int, Why] = field(default_factory=dict)

    @classmethod
    def with_images(cls, batch: pa.RecordBatch, goes: np.ndarray, rule: str) -> Gone:
        """Return the texts of the images for which `goes`, bool[image], is true."""
        texts, offsets = parts(batch["candidates"])
        images = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        return cls(batch, texts, images, np.where(goes[images], 0, 1), [rule])

    def why(self, rows: np.ndarray) -> pa.Array:
        """Return why each text of `rows` is judged as its rule says; null for those of other rules."""
        why = np.full(len(rows), None, object)
        for number, reasons_of in self.reasons.items():
            at = np.flatnonzero(self.rules[rows] == number)
            texts = self.texts.take(pa.array(rows[at]))
            why[at] = reasons_of(texts, self.images[rows[at]], self.batch)
        return pa.array(why, pa.string())


@dataclass(frozen=True)
class Removed:
    """The sample of the texts that a step removes: a share of their images, drawn by seed and uid.

    It is written to a folder, a file for each file of images. What `silent` rules would remove is left out.
    """

    folder: Path
    step: str
    share: float
    seed: int
    silent: tuple[ChosenRule, ...] = ()

    def is_silent(self, texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
        """Return a mask, bool[text]: whether a silent rule would remove the text or its image."""
        mask = np.zeros(len(texts), bool)
        for rule in self.silent:
            mask |= rule.fails_texts(texts, images, batch)
        return mask

    def drawn(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return a mask, bool[image]: which images of a batch are in the sample if they are removed."""
        return draws(self.seed, PURPOSE, batch["uid"]) < self.share

    def of(self, gone: Gone) -> pa.RecordBatch:
        """Return the rows of the sample, with the schema GATE_REMOVED."""
        batch = gone.batch
        chosen = np.flatnonzero(self.drawn(batch)[gone.images] & (gone.rules < len(gone.titles)))
        silent = self.is_silent(gone.texts.take(pa.array(chosen)), gone.images[chosen], batch)
        chosen = chosen[~silent]
        texts, images = gone.texts.take(pa.array(chosen)), pa.array(gone.images[chosen])
        columns = [
            batch["uid"].take(images),
            batch["url"].take(images),
            texts.field("text"),
            texts.field("language"),
            pc.coalesce(texts.field("page_url"), batch["page_url"].take(images)),
            pa.repeat(self.step, len(chosen)),
            pa.array(gone.titles, pa.string()).take(pa.array(gone.rules[chosen])),
            gone.why(chosen),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=GATE_REMOVED)


Write = Callable[
    [pa.RecordBatch, "Gone | None"], None
]  # of the images of a batch that stay, and the texts that are gone


@dataclass(frozen=True)
class StepFolder:
    """The folder for the images that stay, and the sample of those that go; None if no sample is asked for."""

    path: Path
    removed: Removed | None = None

    @contextmanager
    def rewritten(self, name: str, result: TaskResult) -> Iterator[Write]:
        """Yield a function that writes to the file of images `name`, and to its sample of removed texts.

        Then `result` gets the number of images that `passed`, and the checksums; the sample's is one of REMOVED_PART.
        """
        removed, file = self.removed, f"{self.removed.step}-{name}" if self.removed else ""
        sampling = part_writer(removed.folder / file, GATE_REMOVED, ROW_GROUP) if removed else nullcontext()
        with part_writer(self.path / name, MATCHED, MATCHED_ROW_GROUP) as images, sampling as sample:

            def write(stays: pa.RecordBatch, gone: Gone | None) -> None:
                images.write(stays)
                if removed and sample and gone:
                    sample.write(removed.of(gone))

            yield write
        result.add("passed", images.rows)
        result.files[name] = images.checksum
        if sample:
            result.files[f"{REMOVED_PART}/{file}"] = sample.checksum


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
        with self.folder.rewritten(name, result) as write:
            for batch in batches(file, MATCHED_ROW_GROUP):
                begin = BatchStart(name, row)
                row += batch.num_rows
                write(*self.change(batch, rows and rows.take(number, begin.row, row), begin, result))
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
    for language, number in counts_of(languages):
        tallies.add(name, sign * number, language)


def counts_of(strings: pa.Array) -> list[tuple[str, int]]:
    """Return each distinct string that is not null, with the number of times that it occurs."""
    counts = pc.value_counts(strings.drop_null())
    return list(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))


def parts_in(checksums: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Divide a step's checksums into those of its files of images, and those of its files of REMOVED_PART."""
    prefix = f"{REMOVED_PART}/"
    images = {name: value for name, value in checksums.items() if not name.startswith(prefix)}
    return images, values_under(checksums, prefix)
