"""The interfaces between a run and its gate and observers: what each receives and returns.

The run depends on nothing else of the gate and the observers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from curation.config import CurationConfig
from curation.report.facts import Observed, Run
from curation.run.folder import Output
from curation.run.tasks import MatchPlan
from runtime.engine.interface import Engine
from runtime.packages import hooks
from runtime.progress import Progress
from runtime.storage.own_files import OwnFile
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from curation.run.request import Options

# Who observes, by the name under which run.json has what was seen: functions as `Finds`, in the order of the report.
OBSERVERS = {
    "doubtful": "curation.observers.doubtful:find",
    "gate_removed": "curation.observers.gate_removed:find",
    "shape": "curation.observers.shape:find",
    "alignment": "curation.observers.alignment:find",
}
GROUP = "clip_curation.observers"  # of entry points of other packages


@dataclass(frozen=True)
class Context:
    """What a gate works with: the Spark session, the run's config, its folder, and how it matches texts."""

    engine: Engine
    config: CurationConfig
    output: Output
    progress: Progress
    match_plan: Callable[[], MatchPlan]  # made when it is first asked for


class Gated(Protocol):
    """The images that passed a gate, and its counts."""

    @property
    def last(self) -> Tallies:
        """The tallies of the step that wrote the files, with `passed` and the checksum of each."""

    def facts(self) -> dict[str, Any]:
        """Return what run.json says: `gate`, and `downloads` where a download was asked for."""


class Gate(Protocol):
    """A gate for matched images, checked and ready to run."""

    def let_pass(self, images: Sequence[OwnFile], context: Context) -> tuple[list[OwnFile], Gated]:
        """Write the images that pass to the part `gated` of the output, begun anew; return its files."""


class HashTables(Protocol):
    """The tables of images that have hashes of kinds that are listed."""

    def files(self) -> list[tuple[str, str]]:
        """Return all files, each with its version."""

    def find(self, engine: Engine, hashes: Mapping[str, np.ndarray], bits: int, work: Path) -> np.ndarray:
        """Return the keys of the images with one of these hashes, uint64[image, 2]; those of PDQ within `bits`."""


class GatePlan(Protocol):
    """The conditions on matched images, with files found before Spark starts; false if there are none."""

    @property
    def hashes(self) -> HashTables:
        """The tables that listed hashes are looked up in."""

    @property
    def keep(self) -> str | None:
        """The condition over columns of tables, which Spark alone can parse."""

    def __bool__(self) -> bool: ...

    def lines(self) -> list[str]:
        """Return what is asked of images, a line for each condition and table."""

    def open(self, engine: Engine) -> Gate:
        """Return the gate; InputError for what Spark cannot evaluate."""


class GateOptions(Protocol):
    """A user's options for the gate."""

    def find(self, hashes: Sequence[str] = ()) -> GatePlan:
        """Return the plan, with tables that have these kinds of hashes; InputError for what cannot be used."""


@dataclass(frozen=True)
class Observation:
    """What an observer is given: the images that were counted, the manifest, and the numbers of the run."""

    context: Context
    images: list[OwnFile]
    manifest: list[OwnFile]
    run: Run


class Observer(Protocol):
    """Sees the images before balancing, and the manifest."""

    def observe(self, seen: Observation) -> Observed:
        """Return what run.json says, and a section of the report."""


class Finds(Protocol):
    """Returns the observer for a run with these options, with all that it reads, or None."""

    def __call__(self, options: Options) -> Observer | None: ...


def observers(options: Options) -> dict[str, Observer]:
    """Return those who observe a run with these options, by name."""
    found = {name: find(options) for name, find in hooks(GROUP, OBSERVERS).items()}
    return {name: each for name, each in found.items() if each is not None}
