"""The base class of the gate's steps, and the sample of what they remove.

Each step reads the files that the step before wrote. `options` runs the steps; other packages add steps by its GROUP.

The tasks that rewrite files of images also write the sample. Seed and uid alone decide whether an image is drawn for
it, so the same rows are written however files and tasks are cut. What an `is_silent` rule would remove is not written,
whichever rule removed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.schemas import GATE_REMOVED, REMOVED_PART
from runtime.draws import draws
from runtime.storage.own_files import OwnFile, recorded
from runtime.storage.parquet import PartWriter, part_writer
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from curation.leaves.gate.policies import ChosenRule
    from curation.run.request import Context

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

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> Tallies:
        """Write the images that stay to files in `folder`; tally `passed` and the checksum of each file."""
        raise NotImplementedError

    def require(self, counted: Tallies, config: CurationConfig) -> None:
        """Raise InputError, given the tallies of `write`, if the options can hardly be meant: no image passes, say."""

    def facts(self, counted: Tallies) -> dict[str, Any]:
        """Return facts about the step for run.json; lists are appended to those of the steps before."""
        return {"conditions": [removed(self.title, counted)]}


def removed(title: str, counted: Tallies) -> dict[str, Any]:
    """Return the row of run.json about a step's only condition, which `title` describes.

    The step sees only images that the steps before it let pass, so an image fails no other condition: all COUNTS are
    equal.
    """
    texts = {code: number for code, number in counted.by_language("texts").items() if number}
    return {"text": title} | dict.fromkeys(COUNTS, counted["removed"]) | {"removed_texts": texts}


@dataclass(frozen=True)
class Removed:
    """The sample of the images that a step removes: a share of them, drawn by seed and uid, and written to a folder.

    `writer` writes the texts that the step removes from one file of images, if the image of the text is drawn. What
    `silent` rules would remove is left out.
    """

    folder: Path
    step: str
    share: float
    seed: int
    silent: tuple[ChosenRule, ...] = ()
    writer: PartWriter | None = None

    def is_silent(self, texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
        """Return a mask, bool[text]: whether a silent rule would remove the text or its image."""
        mask = np.zeros(len(texts), bool)
        for rule in self.silent:
            mask |= rule.fails_texts(texts, images, batch)
        return mask

    def drawn(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return a mask, bool[image]: which images of a batch are in the sample if they are removed."""
        return draws(self.seed, PURPOSE, batch["uid"]) < self.share

    def add(self, batch: pa.RecordBatch, texts: pa.StructArray, images: np.ndarray, rules: pa.Array) -> None:
        """Write texts of drawn images to the sample, each with the rule that removes it; skip those of silent rules.

        images: the row in the batch of each text's image.
        rules: the title of the rule that removes each text; null if the text stays, which is then not written.
        """
        goes = rules.is_valid().to_numpy(zero_copy_only=False) & ~self.is_silent(texts, images, batch)
        texts, rules, image_rows = texts.filter(pa.array(goes)), rules.filter(pa.array(goes)), pa.array(images[goes])
        columns = [
            batch["uid"].take(image_rows),
            batch["url"].take(image_rows),
            texts.field("text"),
            texts.field("language"),
            pc.coalesce(texts.field("page_url"), batch["page_url"].take(image_rows)),
            pa.repeat(self.step, len(rules)),
            rules,
        ]
        if self.writer:
            self.writer.write(pa.RecordBatch.from_arrays(columns, schema=GATE_REMOVED))


@dataclass(frozen=True)
class StepFolder:
    """The folder for the images that stay, and the sample of those that go; None if no sample is asked for."""

    path: Path
    sample: Removed | None = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @contextmanager
    def removed(self, name: str, tallies: Tallies) -> Iterator[Removed | None]:
        """Yield the sample for the texts removed from the file of images `name`, or None if no sample is asked for.

        The file that is written is tallied, with its checksum, as one of REMOVED_PART.
        """
        if self.sample is None:
            yield None
            return
        path = self.sample.folder / f"{self.sample.step}-{name}"
        with part_writer(path, GATE_REMOVED, ROW_GROUP) as writer:
            yield replace(self.sample, writer=writer)
        tallies.add(*recorded(f"{REMOVED_PART}/{path.name}", writer.checksum))


def parts_in(checksums: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Divide a step's checksums into those of its files of images, and those of its files of REMOVED_PART."""
    prefix = f"{REMOVED_PART}/"
    images = {name: value for name, value in checksums.items() if not name.startswith(prefix)}
    return images, {name.removeprefix(prefix): value for name, value in checksums.items() if name.startswith(prefix)}
