"""Write down a sample of what a gate removes, in the tasks that rewrite files of images.

Whether an image is in the sample is drawn by its uid, so the same rows are written however files and tasks are cut.
What a rule that `is_silent` would remove is not written, whatever removed it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.gate.policies import ChosenRule
from curation.gate.rule import IMAGES
from curation.run.folder import REMOVED_PART
from curation.schemas import GATE_REMOVED
from runtime.draws import draws
from runtime.storage.own_files import recorded
from runtime.storage.parquet import PartWriter, part_writer
from runtime.tallies import Tallies

PURPOSE = "removed"  # of the draw
ROW_GROUP = 1 << 16


@dataclass(frozen=True)
class Sample:
    """The share of removed images that a step writes down, and the folder of the files; nothing of `silent` rules."""

    folder: Path
    step: str
    share: float
    seed: int
    silent: tuple[ChosenRule, ...] = ()

    def is_silent(self, texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
        """Return which texts, or the images of which, a silent rule would remove, bool[text]."""
        found = np.zeros(len(texts), bool)
        for rule in self.silent:
            found |= rule.fails(batch)[images] if rule.rule.scope == IMAGES else rule.fails(texts, images, batch)
        return found


class Removed:
    """Writes the texts that a step removes from one file of images, of the images that are drawn."""

    def __init__(self, sample: Sample, writer: PartWriter):
        self._sample, self._writer = sample, writer

    def drawn(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return which images of a batch are in the sample, if they are removed, bool[image]."""
        return draws(self._sample.seed, PURPOSE, batch["uid"]) < self._sample.share

    def add(self, batch: pa.RecordBatch, texts: pa.StructArray, images: np.ndarray, rules: pa.Array) -> None:
        """Write CANDIDATEs of drawn images, given the row in the batch of each one's image, and what removes it.

        One whose rule is null stays.
        """
        goes = rules.is_valid().to_numpy(zero_copy_only=False) & ~self._sample.is_silent(texts, images, batch)
        texts, rules, own = texts.filter(pa.array(goes)), rules.filter(pa.array(goes)), pa.array(images[goes])
        columns = [
            batch["uid"].take(own),
            batch["url"].take(own),
            texts.field("text"),
            texts.field("language"),
            pc.coalesce(texts.field("page_url"), batch["page_url"].take(own)),
            pa.repeat(self._sample.step, len(rules)),
            rules,
        ]
        self._writer.write(pa.RecordBatch.from_arrays(columns, schema=GATE_REMOVED))


@dataclass(frozen=True)
class StepFolder:
    """The folder to which a step writes the images that stay, and the sample of those that go, if one is asked for."""

    path: Path
    sample: Sample | None = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @contextmanager
    def removed(self, name: str, tallies: Tallies) -> Iterator[Removed | None]:
        """Yield what takes the texts that go from a file of images; its file is tallied as one of REMOVED_PART."""
        if self.sample is None:
            yield None
            return
        path = self.sample.folder / f"{self.sample.step}-{name}"
        with part_writer(path, GATE_REMOVED, ROW_GROUP) as writer:
            yield Removed(self.sample, writer)
        tallies.add(*recorded(f"{REMOVED_PART}/{path.name}", writer.checksum))


def parts_in(checksums: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the checksums of a step's files of images, and those of its files of REMOVED_PART."""
    prefix = f"{REMOVED_PART}/"
    own = {name: each for name, each in checksums.items() if not name.startswith(prefix)}
    return own, {name.removeprefix(prefix): each for name, each in checksums.items() if name.startswith(prefix)}
