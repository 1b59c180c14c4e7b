"""The steps of the gate in order, and the gate that runs them; each step reads the files that the step before wrote.

Another installed package can add a step through the entry point GROUP. A user asks for it with
`--gate-step NAME=VALUE`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation.config import CurationConfig
from curation.gate.policies import ChosenRule
from curation.gate.removed import Sample, StepFolder, parts_in
from curation.run.folder import REMOVED_PART
from curation.run.hooks import Context
from runtime.console import AGAIN
from runtime.engine.interface import Engine
from runtime.errors import InputError
from runtime.packages import hooks
from runtime.storage.own_files import OwnFile, checksums_in, own_files
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from curation.gate.plan import GatePlan

GROUP = "clip_curation.gate_steps"
LAST = "gated"  # the name of the folder that the last step writes
# Of each step a function that gives it, asked of a plan, or None: `step(engine, plan)`. The order is always this one.
OF_FLAGS = {
    "captions": "curation.gate.captions:step",
    "hosts": "curation.gate.hosts:step",
    "conditions": "curation.gate.conditions:step",
    "copies": "curation.gate.copies:step",
    "meaning": "curation.gate.meaning:step",
    "domains": "curation.gate.domains:step",
}
NAMED: dict[str, str] = {}  # steps of this package that have no flags: `plan.named` has the value of each
COUNTS = ("failed", "alone", "removed")  # images, or texts, that fail a condition; that fail no other; fail it first


class Step:
    """A step of the gate, with all its options."""

    removes = True  # whether images or texts may go

    def prepare(self, context: Context) -> Step:
        """Return the step after reading what it needs besides images."""
        return self

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> Tallies:
        """Write the images that stay to files in `folder`; tally `passed` and the checksum of each file."""
        raise NotImplementedError

    def require(self, counted: Tallies, config: CurationConfig) -> None:
        """Refuse, by the counts, options that cannot be meant."""

    def facts(self, counted: Tallies) -> dict[str, Any]:
        """Return what run.json says of the step: lists are added to those of the steps before."""
        raise NotImplementedError


@dataclass(frozen=True)
class Gated:
    """The steps that a gate has run, and the counts of each."""

    steps: Mapping[str, Step]
    counted: Mapping[str, Tallies]

    @property
    def last(self) -> Tallies:
        """What the last step counted."""
        return [*self.counted.values()][-1]

    def facts(self) -> dict[str, Any]:
        """Return what run.json says: `gate`, and `downloads` where a download was asked for."""
        gate: dict[str, Any] = {"tables": [], "conditions": [], "texts": []}
        for name, step in self.steps.items():
            for key, value in step.facts(self.counted[name]).items():
                gate[key] = gate[key] + value if key in gate else value
        downloads = gate.pop("downloads", None)
        return {"gate": gate} | ({"downloads": downloads} if downloads else {})


@dataclass(frozen=True)
class Gate:
    """The steps of a run's gate, checked and ready to run.

    `keep_removed` is the share of removed images that is written down, with nothing of `silent` rules.
    """

    steps: Mapping[str, Step]
    keep_removed: float = 0.0
    silent: tuple[ChosenRule, ...] = ()

    @classmethod
    def open(cls, engine: Engine, plan: GatePlan) -> Gate:
        """Return the steps that are asked for; InputError for an expression that cannot be evaluated."""
        asked = {name: step(engine, plan) for name, step in hooks(GROUP, OF_FLAGS | NAMED).items()}
        steps = {name: step for name, step in asked.items() if step is not None}
        silent = tuple(rule for rule in plan.policy.rules if rule.rule.is_silent)
        return cls(steps, plan.keep_removed or 0.0, silent)

    def let_pass(self, images: Sequence[OwnFile], context: Context) -> tuple[list[OwnFile], Gated]:
        """Write the images that pass to the part LAST of the output, begun anew; return its files."""
        steps = {name: step.prepare(context) for name, step in self.steps.items()}
        counted: dict[str, Tallies] = {}
        sampled: dict[str, str] = {}
        removed = context.output.parts.begin(REMOVED_PART) if self.keep_removed else None
        with context.progress.stage("gate images"):
            for name, step in steps.items():
                folder = context.output.parts.begin(LAST if name == [*steps][-1] else name)
                asked = (self.keep_removed, context.config.seed, self.silent)
                sample = Sample(removed, name, *asked) if removed and step.removes else None
                counted[name] = step.write(images, StepFolder(folder, sample), context)
                step.require(counted[name], context.config)
                own, more = parts_in(checksums_in(counted[name]))
                images, sampled = own_files(folder, own, AGAIN), sampled | more
        if sampled:
            context.output.retract_results()
            context.output.finish(REMOVED_PART, sampled)
        return list(images), Gated(steps, counted)


def named(asked: Sequence[str]) -> dict[str, str]:
    """Return the values of steps that are asked for by name; InputError for a name that nothing hangs on.

    >>> named([])
    {}
    """
    values: dict[str, str] = {}
    for name, _, value in (each.partition("=") for each in asked):
        if values.setdefault(name, value) != value:
            raise InputError(f"--gate-step {name} is given twice, with different values; give one")
    known = hooks(GROUP, OF_FLAGS | NAMED).keys() - OF_FLAGS.keys() if asked else set()
    if unknown := values.keys() - known:
        others = ", ".join(sorted(known)) or "none"
        raise InputError(f"--gate-step {min(unknown)} is no step of the gate; installed are: {others}")
    return values


def removed(title: str, counted: Tallies) -> dict[str, Any]:
    """Return what a step removed that looks only at images which the steps before it left: they fail nothing else."""
    texts = {code: number for code, number in counted.by_language("texts").items() if number}
    return {"text": title} | dict.fromkeys(COUNTS, counted["removed"]) | {"removed_texts": texts}
