"""The steps of the gate in order, the gate that runs them, and the sample of what they remove.

Each step reads the files that the step before wrote. Another installed package can add a step through the entry point
GROUP. A user asks for it with `--gate-step NAME=VALUE`.

The tasks that rewrite files of images also write the sample. An image is drawn for it by seed and uid, so the same rows
are written however files and tasks are cut. What an `is_silent` rule would remove is not written, whichever rule
removed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.leaves.gate.policies import ChosenRule
from curation.leaves.gate.rule import IMAGES
from curation.run.output_folder import REMOVED_PART
from curation.run.request import Context
from curation.schemas import GATE_REMOVED
from runtime.console import AGAIN
from runtime.draws import draws
from runtime.engine.interface import Engine
from runtime.errors import InputError
from runtime.packages import hooks, own_hooks
from runtime.storage.own_files import OwnFile, checksums_in, own_files, recorded
from runtime.storage.parquet import PartWriter, part_writer
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from curation.leaves.gate.plan import GatePlan

PURPOSE = "removed"  # the name of the draw
ROW_GROUP = 1 << 16

GROUP = "clip_curation.gate_steps"
LAST = "gated"  # the name of the folder that the last step writes
COUNTS = ("failed", "alone", "removed")  # images, or texts, that fail a condition; fail only it; fail it first


class Step:
    """A step of the gate, with all its options."""

    removes = True  # whether images or texts may go

    def prepare(self, context: Context) -> Step:
        """Return the step after reading all that it needs besides images."""
        return self

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> Tallies:
        """Write the images that stay to files in `folder`; tally `passed` and the checksum of each file."""
        raise NotImplementedError

    def require(self, counted: Tallies, config: CurationConfig) -> None:
        """Refuse options that cannot be meant, given the tallies of `write`."""

    def facts(self, counted: Tallies) -> dict[str, Any]:
        """Return facts about the step for run.json; lists are appended to those of the steps before."""
        raise NotImplementedError


@dataclass(frozen=True)
class Gated:
    """The steps that a gate has run, and the tallies of each."""

    steps: Mapping[str, Step]
    counted: Mapping[str, Tallies]

    @property
    def last(self) -> Tallies:
        """The tallies of the last step."""
        return [*self.counted.values()][-1]

    def facts(self) -> dict[str, Any]:
        """Return the facts for run.json: `gate` and, if a download was asked for, `downloads`."""
        gate: dict[str, Any] = {"tables": [], "conditions": [], "texts": []}
        for name, step in self.steps.items():
            for key, value in step.facts(self.counted[name]).items():
                gate[key] = gate[key] + value if key in gate else value
        downloads = gate.pop("downloads", None)
        return {"gate": gate} | ({"downloads": downloads} if downloads else {})


@dataclass(frozen=True)
class Gate:
    """The steps of a run's gate, checked and ready to run.

    `keep_removed` is the share of removed images that is written down, without those that `silent` rules would remove.
    """

    steps: Mapping[str, Step]
    keep_removed: float = 0.0
    silent: tuple[ChosenRule, ...] = ()

    @classmethod
    def open(cls, engine: Engine, plan: GatePlan) -> Gate:
        """Return the gate with the steps of the plan; InputError for an expression that cannot be evaluated."""
        asked = {name: step(engine, plan) for name, step in hooks(GROUP).items()}
        steps = {name: step for name, step in asked.items() if step is not None}
        silent = tuple(rule for rule in plan.policy.rules if rule.rule.is_silent)
        return cls(steps, plan.keep_removed or 0.0, silent)

    def let_pass(self, images: Sequence[OwnFile], context: Context) -> tuple[list[OwnFile], Gated]:
        """Run all steps; return the files of the images that pass, in the part LAST of the output, and a Gated."""
        steps = {name: step.prepare(context) for name, step in self.steps.items()}
        counted: dict[str, Tallies] = {}
        sampled: dict[str, str] = {}
        removed = context.output.parts.begin(REMOVED_PART) if self.keep_removed else None
        with context.progress.stage("gate images"):
            for name, step in steps.items():
                folder = context.output.parts.begin(LAST if name == [*steps][-1] else name)
                asked = (self.keep_removed, context.config.seed, self.silent)
                sample = RemovedSample(removed, name, *asked) if removed and step.removes else None
                counted[name] = step.write(images, StepFolder(folder, sample), context)
                step.require(counted[name], context.config)
                own, more = parts_in(checksums_in(counted[name]))
                images, sampled = own_files(folder, own, AGAIN), sampled | more
        if sampled:
            context.output.retract_results()
            context.output.finish(REMOVED_PART, sampled)
        return list(images), Gated(steps, counted)


def named(asked: Sequence[str]) -> dict[str, str]:
    """Return the values of NAME=VALUE, by name; InputError for an unknown name, or a name with two values.

    >>> named([])
    {}
    """
    values: dict[str, str] = {}
    for name, _, value in (each.partition("=") for each in asked):
        if values.setdefault(name, value) != value:
            raise InputError(f"--gate-step {name} is given twice, with different values; give one")
    known = hooks(GROUP).keys() - own_hooks(GROUP).keys() if asked else set()
    if unknown := values.keys() - known:
        others = ", ".join(sorted(known)) or "none"
        raise InputError(f"--gate-step {min(unknown)} is no step of the gate; installed are: {others}")
    return values


def removed(title: str, counted: Tallies) -> dict[str, Any]:
    """Return, for run.json, the condition of a step that sees only images that the steps before it left.

    An image fails no other condition of the gate then, so all COUNTS are equal.
    """
    texts = {code: number for code, number in counted.by_language("texts").items() if number}
    return {"text": title} | dict.fromkeys(COUNTS, counted["removed"]) | {"removed_texts": texts}


@dataclass(frozen=True)
class RemovedSample:
    """The sample of removed images that a step writes: folder, name of the step, share, seed, and silent rules.

    What `silent` rules would remove is left out.
    """

    folder: Path
    step: str
    share: float
    seed: int
    silent: tuple[ChosenRule, ...] = ()

    def is_silent(self, texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
        """Return a mask, bool[text]: whether a silent rule would remove the text or its image."""
        found = np.zeros(len(texts), bool)
        for rule in self.silent:
            found |= rule.fails(batch)[images] if rule.rule.scope == IMAGES else rule.fails(texts, images, batch)
        return found


class Removed:
    """Writes the texts that a step removes from one file of images, if the image of the text is drawn."""

    def __init__(self, sample: RemovedSample, writer: PartWriter):
        self._sample, self._writer = sample, writer

    def drawn(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return a mask, bool[image]: which images of a batch are in the sample if they are removed."""
        return draws(self._sample.seed, PURPOSE, batch["uid"]) < self._sample.share

    def add(self, batch: pa.RecordBatch, texts: pa.StructArray, images: np.ndarray, rules: pa.Array) -> None:
        """Write CANDIDATEs of drawn images of a batch with the rules that remove them, but for those of silent rules.

        images: the row in the batch of each text's image.
        rules: the title of the rule that removes each text; null if the text stays, which is then not written.
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
    """The folder for the images that stay, and the sample of those that go; None if no sample is asked for."""

    path: Path
    sample: RemovedSample | None = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @contextmanager
    def removed(self, name: str, tallies: Tallies) -> Iterator[Removed | None]:
        """Yield a Removed for the file of images `name`, or None without a sample.

        The file that it writes is tallied as one of REMOVED_PART.
        """
        if self.sample is None:
            yield None
            return
        path = self.sample.folder / f"{self.sample.step}-{name}"
        with part_writer(path, GATE_REMOVED, ROW_GROUP) as writer:
            yield Removed(self.sample, writer)
        tallies.add(*recorded(f"{REMOVED_PART}/{path.name}", writer.checksum))


def parts_in(checksums: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return checksums of a step in two parts: of its files of images, and of its files of REMOVED_PART."""
    prefix = f"{REMOVED_PART}/"
    own = {name: each for name, each in checksums.items() if not name.startswith(prefix)}
    return own, {name.removeprefix(prefix): each for name, each in checksums.items() if name.startswith(prefix)}
