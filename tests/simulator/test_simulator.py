"""Seeds of whole runs with faults; a failing one prints the shortest schedule that still fails."""

from collections import Counter

import pytest

from tests.simulator.runs import Schedule, Simulator


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    return Simulator(tmp_path_factory.mktemp("simulator"))


def require(simulator: Simulator, seeds: range) -> Counter[str]:
    """Run seeds; return how many faults of each kind came."""
    met = Counter()
    for seed in seeds:
        schedule = Schedule.of(seed, simulator.operations)
        try:
            faults = simulator.run(schedule)
        except Exception:
            shortest, how = simulator.shortest(schedule)
            lines = "\n".join(map(str, shortest.faults))
            raise AssertionError(f"seed {seed}, {shortest.kind}, {shortest.commands}:\n{lines}\n{how}") from None
        met.update(fault.split()[2] for fault in faults)
    return met


def test_faults_cost_no_byte(simulator):
    require(simulator, range(100))


@pytest.mark.soak
def test_many_faults_cost_no_byte(simulator):
    print(require(simulator, range(300, 10_000)))
