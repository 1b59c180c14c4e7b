"""The schedule of a seed: commands over one folder, one after the other, and the faults that they meet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from curation.config import CurationConfig
from curation.gate.plan import GateOptions
from curation.run.request import Options
from tests.simulator.machine import Fault

THRESHOLD = CurationConfig(english_threshold=5, rows_per_file=24, row_group_rows=8)
SIZE = CurationConfig(target_size=20, rows_per_file=24, row_group_rows=8)
AUTOMATA = replace(THRESHOLD, matcher="ahocorasick")  # made anew by each worker; matchers are files
KINDS = {
    "plain": (THRESHOLD, Options()),
    "unique images": (AUTOMATA, Options(unique_images=True)),
    "target size": (SIZE, Options()),
    "gate": (AUTOMATA, Options(gate=GateOptions(policy=["min_words:5"]))),
}
OF_OPERATIONS = ("end", "power", "lost", "error", "full", "second")
OF_STORES = ("end", "lost", "error", "stale")
OF_TASKS = ("again", "late")
AT_REST = "flip"
INPUTS = 3


@dataclass(frozen=True)
class Command:
    """How one call of the command differs from the next one over the same folder."""

    inputs: int = INPUTS  # the first so many
    cores: int = 2
    tries: int = 1  # of a task
    bucket_rows: int = 1 << 18
    overwrite: bool = False


@dataclass(frozen=True)
class Schedule:
    """The commands of a seed, one after the other, and the faults that they meet; a last one meets none."""

    seed: int
    kind: str
    is_remote: bool
    commands: tuple[Command, ...]
    faults: tuple[Fault, ...]

    @classmethod
    def of(cls, seed: int, operations: dict[tuple[str, bool], int]) -> Schedule:
        """Draw the schedule of a seed, given how many operations a quiet run of each kind has."""
        chance = Random(seed)
        kind, is_remote = chance.choice([*KINDS]), chance.random() < 0.25
        number = chance.choice([1, 1, 1, 1, 1, 2])
        inputs = sorted(chance.choice([1, 2, INPUTS, INPUTS, INPUTS]) for _ in range(number))
        commands = [
            Command(each, chance.randint(1, 4), chance.choice([1, 4]), chance.choice([8, 1 << 18]))
            for each in (*inputs, INPUTS)
        ]
        faults = []
        for command in range(number):
            for _ in range(chance.choice([1, 1, 1, 2, 3])):
                of_operations = OF_STORES if is_remote else (*OF_OPERATIONS, "end", "power")
                what = chance.choice([*of_operations, *OF_TASKS, AT_REST])
                most = 12 if what in OF_TASKS else operations[kind, is_remote]
                faults.append(Fault(command, what, chance.randrange(most), chance.random()))
        return cls(seed, kind, is_remote, tuple(commands), tuple(faults))
