"""Random processes of a run are killed at random moments until it ends: the bytes are those of a quiet run.

A run whose driver lives ends well or in one sentence; nothing that is half done looks whole. A killed worker of the
local engine, at work or idle, costs nothing.
"""

import random
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.soak.test_faults import EAGER
from tests.support.cluster import children, kill, running
from tests.support.faults import begin, curate_arguments, ended
from tests.support.sample_runs import curated

pytestmark = [
    pytest.mark.spark,
    pytest.mark.soak,
    pytest.mark.usefixtures("afterwards"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
WORKER_KILLS = 6  # of each state
KILLS = {"processes": 50}  # of a kind of run; of the others 17
MOST_KILLS = 3  # of one output: the next run is left in peace


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.mark.parametrize("kind", ["processes", "local", "cluster", "speculation"])
def test_random_kills_cost_no_byte(kind, sample, tmp_path, whole, request):
    chance, began = random.Random(f"kills/{kind}"), time.monotonic()
    cluster = request.getfixturevalue("cluster") if kind in ("cluster", "speculation") else None
    masters = {"processes": None, "local": "local[2]"}
    master, conf = cluster.master if cluster else masters[kind], EAGER if kind == "speculation" else ()

    def start(output: Path):
        return begin(master, *curate_arguments(sample, output), conf=conf)

    quiet = time.monotonic()
    assert ended(start(tmp_path / "quiet"))[0] == 0
    quiet = time.monotonic() - quiet
    kills, outputs, statuses = 0, 0, []
    while kills < KILLS.get(kind, 17):
        output, outputs, status = tmp_path / f"out{outputs}", outputs + 1, None
        for _ in range(MOST_KILLS):
            job = start(output)
            time.sleep(chance.uniform(0, quiet))
            victims = descendants(job.pid) + (executors(cluster.folder) if cluster else [])
            victim = chance.choice(victims)
            with suppress(ProcessLookupError):
                kill(victim)
                kills += 1
            status, last = ended(job)
            statuses.append(status)
            if status == 0:
                break
            if (output / "run.json").exists():  # killed when all was done
                assert curated(output) == whole
            assert status < 0 or status in (1, 137, 143) or "another run is writing" in last, (status, last)
            if status == 1:
                assert last.startswith("clip-curate: "), last
        if status != 0:
            finish(start, output)
        assert curated(output) == whole
        assert not (output / ".work").exists()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{kind}: {kills} kills, {outputs} outputs, statuses {statuses}, {time.monotonic() - began:.0f} s, "
          f"largest process {peak:,.0f} MB")  # fmt: skip


@pytest.mark.parametrize("state", ["busy", "idle"])
def test_a_killed_worker_of_this_machine_costs_neither_a_byte_nor_the_status(state, sample, tmp_path, whole):
    chance, kills = random.Random(f"workers/{state}"), 0
    while kills < WORKER_KILLS:
        job, killed = begin(None, *curate_arguments(sample, tmp_path / "out"), "--overwrite", "--cores", 2), 0
        pause = chance.uniform(0, 1.5)
        while job.poll() is None and killed < MOST_KILLS - 1:  # a task begins three times at most
            if victims := [pid for pid in workers(job.pid) if state_of(pid) == state]:
                time.sleep(pause)
                with suppress(ProcessLookupError):
                    kill(chance.choice(victims))
                    killed, pause = killed + 1, chance.uniform(0, 0.3)
            time.sleep(0.005)
        kills += killed
        assert ended(job)[0] == 0
        assert curated(tmp_path / "out") == whole
    print(f"{kills} {state} workers")


def workers(pid: int) -> list[int]:
    """Return the ids of the processes that a driver's fork server has forked."""
    return [worker for child in children(pid) if "forkserver" in command_of(child) for worker in children(child)]


def state_of(pid: int) -> str:
    """Return whether a process sleeps (`idle`) or not (`busy`)."""
    with suppress(OSError):
        return "idle" if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S" else "busy"
    return "ended"


def command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def finish(start, output: Path) -> None:
    """Run once more, after what an orphan of the last run may still hold is free."""
    for _ in range(10):
        status, last = ended(start(output))
        if status == 0:
            return
        assert "another run is writing" in last, last
        time.sleep(2)
    raise AssertionError(last)


def descendants(pid: int) -> list[int]:
    """Return the ids of a process and of all that it started, in the order of their start."""
    return [pid, *(each for child in children(pid) for each in descendants(child))]


def executors(folder: Path) -> list[int]:
    """Return the ids of the cluster's executors and of the Python processes that they started."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and b"CoarseGrainedExecutorBackend" in (process / "cmdline").read_bytes():
                if str(folder) in str((process / "cwd").readlink()):
                    found += descendants(int(process.name))
    return found
