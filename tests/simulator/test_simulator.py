"""Seeds of whole runs with faults; a failing one prints the shortest schedule that still fails."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import SimpleNamespace as Namespace

import pyarrow as pa
import pytest

from tests.simulator.building import METADATA
from tests.simulator.clustered import CLUSTERING
from tests.simulator.curating import CURATE
from tests.simulator.exporting import EXPORTS, REMOVALS
from tests.simulator.kind import Command, Kind
from tests.simulator.pictures import PICTURES
from tests.simulator.processes import Fault
from tests.simulator.runs import Simulator
from tests.simulator.schedule import AT_REST, Schedule
from tests.simulator.shorter import as_python, shortest
from tests.simulator.training import TRAINING

pytestmark = [
    pytest.mark.skipif(sys.version_info < (3, 11), reason="pathlib of 3.10 keeps functions of os of its own"),
    # Python ends the blocks of a simulated process that was killed once it collects them.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


KINDS = {kind.name: kind for kind in (*CURATE, *EXPORTS, *REMOVALS, *TRAINING, *PICTURES, *METADATA, *CLUSTERING)}

FLIPS = 300  # of a kind


@pytest.fixture(scope="module")
def simulator():
    memory = Path("/dev/shm")  # where there is one: each run opens some hundred files
    cores = pa.cpu_count()
    pa.set_cpu_count(1)  # threads cost more than such small tables take
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Simulator(Path(folder))
    pa.set_cpu_count(cores)


def require(simulator: Simulator, kinds: Sequence[Kind], seeds: range) -> Counter[str]:
    """Run seeds; return how many faults of each kind came."""
    met = Counter()
    for seed in seeds:
        schedule = Schedule.of(seed, kinds, simulator.operations)
        try:
            faults = simulator.run(schedule)
        except Exception:
            found, how = shortest(schedule, simulator.failure)
            raise AssertionError(f"seed {seed}:\n{as_python(found)}\n{how}") from None
        met.update(fault.split()[2] for fault in faults)
    return met


@pytest.mark.slow
def test_faults_cost_no_byte(simulator):
    require(simulator, [*KINDS.values()], range(50))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_process_may_end_between_the_last_file_and_the_removal_of_the_work_folder(simulator, kind):
    for before_end in (2, 9, 16, 23):
        at = simulator.operations(kind, False) - before_end
        schedule = Schedule(0, kind, False, (Command(kind.most), Command(kind.most)), (Fault(0, "end", at, 0.5),))
        assert simulator.failure(schedule) == "", at


@pytest.mark.soak
@pytest.mark.parametrize("is_remote", [False, True])
def test_a_process_may_end_before_any_operation(simulator, is_remote):
    for kind in (kind for kind in KINDS.values() if is_remote in kind.places):
        for at in range(simulator.operations(kind, is_remote)):
            schedule = Schedule(0, kind, is_remote, (Command(), Command()), (Fault(0, "end", at, 0.5),))
            assert simulator.failure(schedule) == "", (kind.name, at)


@pytest.mark.soak
@pytest.mark.parametrize("is_remote", [False, True])
def test_a_flipped_bit_of_any_file_is_found_or_does_no_harm(simulator, is_remote):
    for kind in (kind for kind in KINDS.values() if is_remote in kind.places):
        found = 0
        for number in range(FLIPS):
            fault = Fault(0, AT_REST, number, Random(number).random())
            simulator.run(Schedule(0, kind, is_remote, (Command(kind.most), Command(kind.most)), (fault,)))
            found += simulator.remedies > kind.refuses_finished  # which is a sentence without any flip
        print(f"{kind.name:<28}{FLIPS} flips, {found} found, {FLIPS - found} harmless, 0 silent")
        assert found


@pytest.mark.soak
def test_many_faults_cost_no_byte(simulator):
    print(require(simulator, [*KINDS.values()], range(300, 10_000)))


def test_the_shortest_schedule_has_only_what_makes_it_fail_and_is_replayed_from_its_text():
    faults = tuple(Fault(command, kind, 7, 0.5) for command in (0, 1) for kind in ("end", "full", "late"))
    commands = (Command(1, hosts=2), Command(2, cores=4, is_other=True), Command())
    long = Schedule(0, KINDS["plain"], True, commands, faults, Command(overwrite=True))

    def failure(schedule: Schedule) -> str:
        return "with 4 cores and a full disk" * any(
            fault.kind == "full" and schedule.commands[fault.command].cores == 4 for fault in schedule.faults
        )

    found, how = shortest(long, failure)
    assert found == Schedule(
        0, KINDS["plain"], False, (Command(1, 4), Command(1, 1)), (Fault(0, "full", 7, 0.5),), Command()
    )
    simulator = Namespace(run=lambda schedule: schedule)
    assert how
    assert eval(as_python(found), globals() | {"simulator": simulator}) == found
