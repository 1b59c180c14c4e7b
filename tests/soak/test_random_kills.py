"""Random processes of a run are killed at random moments until it ends: the bytes are those of a quiet run.

A run whose driver lives ends well or in one sentence; nothing that is half done looks whole.
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
