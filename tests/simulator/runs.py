"""Whole runs of curate from a seed: each ends with the bytes of a quiet run, or in a sentence after which one does.

The code is the program's own, down to `os`, `io` and fsspec, and up to Spark's context: `machine` has the processes
and faults, `disk` and `store` are where they come, `engine` has the tasks, and `stand_ins` puts all in place. A failing
seed is replayed by its number as long as neither `schedule` nor the operations of a quiet run change. What is damaged
at rest may need what a sentence asks for; all else must heal by the same command. Not simulated: DataFrames (gates
with tables, clusters), what Arrow itself reads, two commands in turns, and all other commands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from unittest.mock import patch

from curation.matching.finders import open_automata, open_matchers
from curation.run import sizes
from curation.run.order import curate
from curation.run.verify import verify
from metadata.entries import Entries
from runtime import shipping
from runtime.console import sentence_for
from runtime.errors import InputError
from runtime.redaction import redacted
from runtime.storage import own_files
from runtime.storage.paths import as_path, files, names, read_bytes, remove
from tests.simulator.disk import Disk
from tests.simulator.engine import Engine, Session
from tests.simulator.machine import SECRET, Ended, Fault
from tests.simulator.schedule import AT_REST, INPUTS, KINDS, OF_TASKS, Command, Schedule
from tests.simulator.stand_ins import alone
from tests.simulator.store import Store

ENDED = "ended"
RESULTS = ("counts.parquet", "thresholds.json")
REMEDY = re.compile(r"(?P<it>\S*/\S+) is .*; delete it(?P<stamp> and its \.json)?\b|delete (?P<path>\S*/\S+) ")
WORDS = "dog cat tree house river moon sky hill boat bird".split()
MOST_REMEDIES = 4  # files that one flip and what it spoilt may be named in, one by one


@dataclass
class Simulator:
    """The inputs of all runs, and what quiet runs of each kind write."""

    base: Path
    operations: dict[tuple[str, bool], int] = field(default_factory=dict)
    quiet: dict[tuple[str, int], dict[str, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in range(INPUTS):
            for kind in KINDS:
                rows = [_row(number, each, KINDS[kind][1].unique_images) for each in range(20)]
                self._input(kind, number).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        self.entries = Entries.build({"en": WORDS})
        for kind, inputs, is_remote in product(KINDS, range(1, INPUTS + 1), (True, False)):
            with alone(self.base / "quiet", is_remote) as disk:
                said = self._run(disk, kind, Command(inputs), 0, ())
                assert said is None, said
                self.operations[kind, is_remote] = disk.operations
                found = results(disk.output)
                assert self.quiet.setdefault((kind, inputs), found) == found

    def run(self, schedule: Schedule) -> list[str]:
        """Run the commands of a schedule; return the faults that came. AssertionError where the property is broken."""
        with alone(self.base / "run", schedule.is_remote) as disk:
            for number, command in enumerate(schedule.commands):
                faults = [fault for fault in schedule.faults if fault.command == number]
                said = self._run(disk, schedule.kind, command, number, faults)
                assert SECRET not in (said or ""), "a secret is said"
                self._check(disk, schedule.kind, command, said)
                for fault in faults:
                    if fault.kind == AT_REST:
                        _flip(disk, fault)
            if any(fault.kind == AT_REST for fault in schedule.faults):
                said = self._mended(disk, schedule, said)
            assert said is None, f"after all faults: {said}"
            return disk.met

    def shortest(self, schedule: Schedule) -> tuple[Schedule, str]:
        """Leave out fault after fault as long as the schedule fails; return it, and how it fails."""
        found, how = schedule, self.failure(schedule)
        for fault in schedule.faults:
            shorter = replace(found, faults=tuple(each for each in found.faults if each != fault))
            if failure := self.failure(shorter):
                found, how = shorter, failure
        return found, how

    def failure(self, schedule: Schedule) -> str:
        """Return how a schedule fails, or nothing."""
        try:
            self.run(schedule)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def _mended(self, disk: Disk, schedule: Schedule, said: str | None) -> str | None:
        """Do what the command asks for where a bit of a file flipped, damaged file after damaged file."""
        command, number = schedule.commands[-1], len(schedule.commands)
        while said is not None and number < len(schedule.commands) + MOST_REMEDIES:
            command = replace(command, overwrite="--overwrite" in said)
            _delete_as_told(disk, said)
            said, number = self._run(disk, schedule.kind, command, number, ()), number + 1
            self._check(disk, schedule.kind, command, said)
        return said

    def _run(self, disk: Disk, kind: str, command: Command, number: int, faults: Sequence[Fault]) -> str | None:
        """Run the command; return the sentence with which it ended early, or None."""
        chance = Random(f"{number} {command}")
        own = {fault.at: fault for fault in faults if fault.kind in OF_TASKS}
        config, options = KINDS[kind]
        second = partial(self._second, disk, kind, command, number + len(faults) + 100)
        for cached in (shipping._opened, open_automata, open_matchers, own_files._compare):
            cached.cache_clear()  # a session has workers of its own
        with (
            patch.object(sizes, "BUCKET_ROWS", command.bucket_rows),
            disk.command([fault for fault in faults if fault.kind not in (*OF_TASKS, AT_REST)], chance, second),
        ):
            try:
                curate(
                    Session(Engine(disk, own, command.cores, command.tries)),
                    config,
                    inputs=[self._input(kind, each) for each in range(command.inputs)],
                    metadata=self.entries,
                    output=disk.output,
                    options=replace(options, overwrite=command.overwrite),
                )
            except Ended:
                return ENDED
            except Exception as error:
                found = sentence_for(error)
                if found is None:
                    raise
                return redacted(found[0])  # as a terminal shows it
        return None

    def _second(self, disk: Disk, kind: str, command: Command, number: int) -> None:
        """Run the command while another one is at work, which keeps it out."""
        said = self._run(disk, kind, command, number, ())
        if said is None:
            _require_bytes(disk, self.quiet[kind, command.inputs])
        else:
            assert "another run is writing" in said, f"beside another command: {said}"

    def _check(self, disk: Disk, kind: str, command: Command, said: str | None) -> None:
        """Require the bytes of a quiet run where a run ended well, and where verify finds a whole one."""
        if said is None:
            assert (disk.output / "run.json").exists(), "no run.json"
            assert disk.is_remote or not (disk.output / ".work").exists(), "something is left of the work"
            _require_bytes(disk, self.quiet[kind, command.inputs])
        if (disk.output / "run.json").exists():
            fault = _fault(disk)
            if fault is None:
                inputs = json.loads((disk.output / "run.json").read_text("utf-8"))["made_from"]["inputs"]
                _require_bytes(disk, self.quiet[kind, len(inputs)])
            # What is damaged at rest may be a file that a run does not need.
            assert fault is None or said is not None or disk.is_flipped, f"verify says: {fault}"

    def _input(self, kind: str, number: int) -> Path:
        return self.base / f"{kind} {number}.jsonl"


def _fault(disk: Disk) -> str | None:
    try:
        verify(disk.output)
    except InputError as error:
        return str(error)
    return None


def _require_bytes(disk: Disk, wanted: dict[str, bytes]) -> None:
    found = results(disk.output)
    others = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    assert not others, f"other bytes in {others}"


def results(folder: Path) -> dict[str, bytes]:
    """Return the bytes of the files that must not differ."""
    found = [*files(folder / "curated"), *(folder / name for name in RESULTS if name in names(folder))]
    return {str(path)[len(str(folder)) :]: read_bytes(path) for path in found}


def _row(file: int, number: int, is_unique: bool) -> dict[str, str]:
    is_shared = number % 4 == 0 and not is_unique
    return {
        "url": f"https://a.example/{number if is_shared else (file + 1) * 100 + number}.jpg",
        "text": f"a {WORDS[number % 10]} and a {WORDS[(number * 7 + file) % 10]}"[: None if number % 3 else -6],
    }


def _flip(disk: Disk, fault: Fault) -> None:
    """Flip a bit of a file in the folder."""
    disk.settle()
    found = sorted(Store.objects) if disk.is_remote else sorted(p for p in disk.root.rglob("*") if p.is_file())
    if found:
        path = found[fault.at % len(found)]
        data = bytearray(Store.objects[path] if disk.is_remote else path.read_bytes())
        if data:
            place = int(fault.share * 8 * len(data))
            data[place // 8] ^= 1 << place % 8
        if disk.is_remote:
            Store.objects[path] = bytes(data)
        else:
            path.write_bytes(data)
        disk.is_flipped = True
        disk.met.append(f"{fault}: {path}")


def _delete_as_told(disk: Disk, sentence: str) -> None:
    """Delete what a sentence tells to delete."""
    disk.settle()
    found = REMEDY.search(sentence)
    if found:
        path = as_path(found["it"] or found["path"])
        remove(path)
        if found["stamp"]:
            remove(path.with_name(f"_{path.name.partition('.')[0]}.json"))
