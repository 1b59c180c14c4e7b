"""The schedule of a seed: commands over one folder, one after the other, and the faults that they meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.simulator.kind import Command, Kind
from tests.simulator.machine import Fault

OF_OPERATIONS = ("end", "power", "lost", "error", "full", "second")
OF_STORES = ("end", "lost", "error", "stale")
OF_TASKS = ("again", "late")
AT_REST = "flip"


@dataclass(frozen=True)
class Schedule:
    """The commands of a seed, one after the other, and the faults that they meet; a last one meets none."""

    seed: int
    kind: Kind
    is_remote: bool
    commands: tuple[Command, ...]
    faults: tuple[Fault, ...]

    @classmethod
    def of(cls, seed: int, kinds: Sequence[Kind], operations: Callable[[Kind, bool], int]) -> Schedule:
        """Draw the schedule of a seed, given how many operations a quiet run of a kind has."""
        chance = Random(seed)
        kind = chance.choice(kinds)
        is_remote = chance.random() < 0.25 if len(kind.places) > 1 else kind.places[0]
        number = chance.choice([1, 1, 1, 1, 1, 2])
        inputs = sorted(chance.choice([*range(1, kind.most), *[kind.most] * 3]) for _ in range(number))
        commands = [
            Command(each, chance.randint(1, 4), chance.choice([1, 4]), chance.choice([8, 1 << 18]))
            for each in (*inputs, kind.most)
        ]
        faults = []
        for command in range(number):
            for _ in range(chance.choice([1, 1, 1, 2, 3])):
                of_operations = OF_STORES if is_remote else (*OF_OPERATIONS, "end", "power")
                what = chance.choice([*of_operations, *OF_TASKS, AT_REST])
                most = 12 if what in OF_TASKS else operations(kind, is_remote)
                faults.append(Fault(command, what, chance.randrange(most), chance.random()))
        return cls(seed, kind, is_remote, tuple(commands), tuple(faults))
