"""The schedule of a seed: commands over one folder, one after the other, and the faults that they meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.simulator.engine import OF_TASKS
from tests.simulator.kind import Command, Kind
from tests.simulator.processes import Fault

ANYWHERE = ("end", "lost", "error", "blink", "clock", "gone", "stale")
OF_DISKS = ("end", "power", "power", "full", "tight", "unseen")
BESIDE = ("second", "beside")
AT_REST = "flip"


@dataclass(frozen=True)
class Schedule:
    """The commands of a seed, one after the other, and the faults that they meet; a last one meets none."""

    seed: int
    kind: Kind
    is_remote: bool
    commands: tuple[Command, ...]
    faults: tuple[Fault, ...]
    second: Command = Command()  # how one that begins while another one is at work differs from it

    @classmethod
    def of(cls, seed: int, kinds: Sequence[Kind], operations: Callable[[Kind, bool], int]) -> Schedule:
        """Draw the schedule of a seed, given how many operations a quiet run of a kind has."""
        chance = Random(seed)
        kind = chance.choice(kinds)
        is_remote = chance.random() < 0.25 if len(kind.places) > 1 else kind.places[0]
        number = chance.choice([1, 1, 1, 1, 1, 2])
        inputs = sorted(chance.choice([*range(1, kind.most), *[kind.most] * 3]) for _ in range(number))
        commands = [_command(chance, each) for each in (*inputs, kind.most)]
        others = [kind.has_other and chance.random() < 0.2 for _ in inputs]
        commands = [replace(each, is_other=other) for each, other in zip(commands, (*others, False), strict=True)]
        second = Command(overwrite=chance.random() < 0.3, is_other=kind.has_other and chance.random() < 0.4)
        kinds_of_faults = [*ANYWHERE, *OF_TASKS, AT_REST, *BESIDE, *(() if is_remote else OF_DISKS)]
        faults = []
        for command in range(number):
            for _ in range(chance.choice([1, 1, 1, 2, 3])):
                what = chance.choice([each for each in kinds_of_faults if each not in kind.without])
                most = 12 if what in OF_TASKS else operations(kind, is_remote)
                faults.append(Fault(command, what, chance.randrange(most), chance.random()))
        return cls(seed, kind, is_remote, tuple(commands), tuple(faults), second)


def _command(chance: Random, inputs: int) -> Command:
    hosts = chance.choice([0, 0, 0, 0, 0, 2])
    return Command(inputs, chance.randint(1, 4), chance.choice([1, 4]), chance.choice([8, 1 << 18]), hosts=hosts)
