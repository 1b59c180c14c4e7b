"""Whole runs of commands from a seed: each ends with the bytes of a quiet run, or in a sentence after which one does.

The code is the program's own, down to `os`, `io` and fsspec, and up to Spark's context: `kind` is a command and its
options, as `curating` fills it in; `machine` counts the operations of `processes`, and `faults` come there; `disk` and
`store` are what they work on; `engine` has the tasks, `frames` what gates ask of DataFrames; `stand_ins` puts all in
place. A failing seed is replayed by its number as long as neither `schedule`, the kinds nor the operations of a quiet
run change. What is damaged may need what a sentence asks for; all else must heal by the same command. Not simulated:
what Spark itself reads and writes, what Arrow reads, how Spark counts words and joins clusters with images (`building`
and `clustered` stand in for that), and damage of inputs, which the program cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from random import Random

from tests.simulator.call import Call
from tests.simulator.disk import Disk
from tests.simulator.kind import Command, Kind
from tests.simulator.processes import Fault
from tests.simulator.schedule import AT_REST, BESIDE, Schedule
from tests.simulator.stand_ins import alone
from tests.simulator.store import Store

WRITTEN_TO = "run the same command again once no one writes to it"  # as a task does that outlived its command
MOST_REMEDIES = 4  # files that one flip and what it spoilt may be named in, one by one


@dataclass
class Simulator:
    """The inputs of all runs, and what quiet runs of each kind write; both are made for the first who asks."""

    base: Path
    remedies: int = 0  # sentences of the last run that said what to do
    _operations: dict[tuple[Kind, bool], int] = field(default_factory=dict)
    _quiet: dict[tuple[Kind, int, bool], dict[str, bytes]] = field(default_factory=dict)

    def operations(self, kind: Kind, is_remote: bool) -> int:
        """Return how many operations a quiet run of all inputs has."""
        if (kind, is_remote) not in self._operations:
            self._operations[kind, is_remote] = self._run_quietly(kind, kind.most, is_remote)
        return self._operations[kind, is_remote]

    def run(self, schedule: Schedule) -> list[str]:
        """Run the commands of a schedule; return the faults that came. AssertionError where the property is broken."""
        self._make_quiet(schedule)
        kind, self.remedies = schedule.kind, 0
        with alone(self.base / "run", schedule.is_remote) as disk:
            kind.begin(self.inputs(kind), disk.output)
            for number in range(len(schedule.commands)):
                faults = [fault for fault in schedule.faults if fault.command == number]
                said = self._all_of(disk, schedule, number, faults)
                for fault in faults:
                    if fault.kind == AT_REST:
                        _flip(disk, kind.at_rest, fault)
            is_other = any(command.is_other for command in (*schedule.commands, schedule.second))
            is_between = disk.is_remote and any(fault.kind in BESIDE for fault in schedule.faults)
            is_left = kind.refuses_finished and kind.is_finished(disk.output)
            is_late = WRITTEN_TO in (said or "")
            if disk.is_flipped or is_other or is_between or is_left or is_late:
                said = self._mended(disk, schedule, said)
            assert said is None, f"after all faults: {said}"
            return disk.met

    def failure(self, schedule: Schedule) -> str:
        """Return how a schedule fails, or nothing."""
        try:
            self.run(schedule)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def _make_quiet(self, schedule: Schedule) -> None:
        others = {False, schedule.second.is_other, *(command.is_other for command in schedule.commands)}
        for inputs, is_other in product({command.inputs for command in schedule.commands}, others):
            if (schedule.kind, inputs, is_other) not in self._quiet:
                self._run_quietly(schedule.kind, inputs, schedule.is_remote, is_other)

    def _run_quietly(self, kind: Kind, inputs: int, is_remote: bool, is_other: bool = False) -> int:
        with alone(self.base / "quiet", is_remote) as disk:
            kind.begin(self.inputs(kind), disk.output)
            said = self._run(disk, kind, Command(inputs, is_other=is_other))
            assert said is None, said
            found = kind.results(disk.output)
            assert found, "nothing is compared"
            assert self._quiet.setdefault((kind, inputs, is_other), found) == found, "other bytes, without faults"
            return disk.operations

    def _mended(self, disk: Disk, schedule: Schedule, said: str | None) -> str | None:
        """Do what the command asks for where a bit flipped, or others were at work, damaged file after damaged file."""
        command, number = schedule.commands[-1], len(schedule.commands)
        while said is not None and number < len(schedule.commands) + MOST_REMEDIES:
            disk.settle()
            self.remedies += 1
            command = schedule.kind.heal(self.inputs(schedule.kind), disk.output, said, command)
            said, number = self._run(disk, schedule.kind, command, number), number + 1
            self._check(disk, schedule.kind, command, said)
        return said

    def _run(self, disk: Disk, kind: Kind, command: Command, number: int = 0) -> str | None:
        """Run a command without faults; return how it ended."""
        with kind.settings(command):
            return Call(disk, kind, self.inputs(kind), command).run(command, Random(f"{number} {command}"))

    def _all_of(self, disk: Disk, schedule: Schedule, number: int, faults: Sequence[Fault]) -> str | None:
        """Run a command, and those that begin beside it; return how it ended."""
        command, call = (
            schedule.commands[number],
            Call(disk, schedule.kind, self.inputs(schedule.kind), schedule.second),
        )
        met = len(disk.met)
        with schedule.kind.settings(command):
            said = call.run(command, Random(f"{number} {command}"), faults)
        for error in call.broken:
            raise error
        kinds = {each.split()[2] for each in disk.met[met:]}
        if kinds and kinds <= {*BESIDE} and not disk.is_flipped:  # what is damaged is a reason, too
            call.require_orderly()
        self._check(disk, schedule.kind, *call.last)
        return said

    def _check(self, disk: Disk, kind: Kind, command: Command, said: str | None) -> None:
        """Require the bytes of a quiet run where a run ended well, and where a finished folder is found whole.

        A token of a store cannot keep a command from what it is about to do: then verify must say what is damaged.
        """
        is_finished, is_between, disk.is_between = kind.is_finished(disk.output), disk.is_between, False
        if said is None and not is_between:
            assert is_finished, f"no {kind.finished}"
            has_failed = any(" error at " in each for each in disk.met)  # what cannot be removed may stay
            left = set() if disk.is_remote or has_failed else kind.left(disk.output)
            assert not left, f"{left} is left of the work"
            self.require_bytes(disk, kind, command.inputs, command.is_other)
        if is_finished:
            fault = kind.fault(disk.output)
            if fault is None:
                self.require_bytes(disk, kind, kind.inputs(disk.output), kind.is_other(disk.output))
            # What is damaged at rest may be a file that a run does not need.
            is_borne = said is not None or disk.is_flipped or is_between
            assert fault is None or is_borne, f"verify says: {fault}"

    def require_bytes(self, disk: Disk, kind: Kind, inputs: int, is_other: bool) -> None:
        """Require the bytes of a quiet run."""
        wanted, found = self._quiet[kind, inputs, is_other], kind.results(disk.output)
        others = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
        assert not others, f"other bytes in {others}"

    def inputs(self, kind: Kind) -> Path:
        """Return the folder of a kind's inputs."""
        folder = self.base / "inputs" / kind.name
        if not folder.exists():
            folder.mkdir(parents=True)
            kind.prepare(folder)
        return folder


def _flip(disk: Disk, folder: str, fault: Fault) -> None:
    """Flip a bit of a file in a folder of the disk, or of an object in the store."""
    disk.settle()
    if disk.is_remote:
        found = sorted(path for path in Store.objects if path.startswith((disk.output / folder).path))
    else:
        found = sorted(path for path in (disk.root / folder).rglob("*") if path.is_file())
    if found:
        path = found[fault.at % len(found)]
        data = bytearray(Store.objects[path] if disk.is_remote else path.read_bytes())
        if data:
            place = int(fault.share * 8 * len(data))
            data[place // 8] ^= 1 << place % 8
        if disk.is_remote:
            Store.objects[path] = bytes(data)
        else:
            path.unlink()  # other names of it keep their bytes
            path.write_bytes(data)
        disk.is_flipped = True
        disk.met.append(f"{fault}: {path}")
