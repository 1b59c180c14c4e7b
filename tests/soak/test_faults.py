"""Processes die and disks fill while curate works: the bytes are those of a quiet run, or nothing looks whole."""

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.cluster import can_mount, children, executor_of, kill, running
from tests.support.faults import Hold, begin, curate_arguments, ended, looks_whole
from tests.support.sample_runs import curated

pytestmark = [
    pytest.mark.spark,
    pytest.mark.soak,
    pytest.mark.usefixtures("afterwards"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
MATCHING = ("runtime.folders.stamps", "Stamps.write")  # pairs are written, their stamp is not
SENDING = ("curation.run.tasks", "_read_pairs")
GROUPING = ("curation.images.grouping", "ImageGrouping.write")
COUNTING = ("curation.balancing.thresholds", "EntryCounts.count")
SAMPLING = ("curation.balancing.sampling", "sampled")
WRITING = ("curation.balancing.sampling", "_in_order")
REPORTING = ("curation.report.page", "write_report")  # in the driver
LOCAL = "local[2]"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


def test_metadata_from_a_cluster_are_those_of_a_local_run(cluster, sample, tmp_path):
    sources = [flag for name in ("wordnet", "wikipedia", "pageviews") for flag in (f"--{name}", sample / name)]
    built = {}
    for name, master in (("local", LOCAL), ("cluster", cluster.master)):
        status, last = ended(begin(master, "jobs/build_metadata.py", *sources, "--output", tmp_path / name))
        assert status == 0, last
        built[name] = (tmp_path / name / "entries.parquet").read_bytes()
    assert built["cluster"] == built["local"]


@pytest.mark.parametrize("place", [MATCHING, SENDING, GROUPING, COUNTING, SAMPLING, WRITING, REPORTING])
def test_the_command_goes_on_after_its_driver_was_killed(sample, tmp_path, whole, place):
    output, hold = tmp_path / "out", Hold.at(tmp_path / "hold", *place)
    job = begin(LOCAL, *curate_arguments(sample, output), hold=hold)
    hold.reached()
    for pid in (*children(job.pid), job.pid):
        kill(pid)
    hold.go()
    job.communicate(timeout=60)
    assert not (output / "run.json").exists()
    assert ended(begin(LOCAL, *curate_arguments(sample, output)))[0] == 0
    assert curated(output) == whole
    assert not (output / ".work").exists()


@pytest.mark.parametrize(
    ("place", "victim"),
    [(GROUPING, "executor"), (SAMPLING, "executor"), (COUNTING, "worker"), (WRITING, "worker")],
)
def test_a_task_that_loses_its_executor_or_its_python_is_done_again(cluster, sample, tmp_path, whole, place, victim):
    hold = Hold.at(tmp_path / "hold", *place)
    job = begin(cluster.master, *curate_arguments(sample, tmp_path / "out"), hold=hold)
    worker = hold.reached()
    kill(executor_of(worker) if victim == "executor" else worker)
    assert ended(job)[0] == 0
    assert curated(tmp_path / "out") == whole


SPECULATION = ["speculation=true", "speculation.interval=100ms", "speculation.multiplier=1", "speculation.quantile=0.1"]
EAGER = [f"spark.{each}" for each in (*SPECULATION, "speculation.minTaskRuntime=0")]


def test_a_copy_of_a_task_may_write_beside_the_original(cluster, sample, tmp_path, whole):
    output, hold = tmp_path / "out", Hold.at(tmp_path / "hold", *MATCHING)
    job = begin(cluster.master, *curate_arguments(sample, output), conf=EAGER, hold=hold)
    hold.reached(tasks_of(sample))  # one call more than there are tasks
    hold.go()
    assert ended(job)[0] == 0
    assert curated(output) == whole


def test_a_copy_of_a_task_may_end_while_the_original_hangs(cluster, sample, tmp_path, whole):
    output, hold = tmp_path / "out", Hold.at(tmp_path / "hold", *SAMPLING)
    duration = "spark.speculation.task.duration.threshold=1s"  # a stage of one task has no other to compare it with
    job = begin(cluster.master, *curate_arguments(sample, output), conf=[*EAGER, duration], hold=hold)
    assert ended(job)[0] == 0
    assert hold.calls() >= 2
    assert curated(output) == whole


def tasks_of(sample: Path) -> int:
    """Return the number of tasks in which the sample is matched on two cores."""
    from curation.inputs import files
    from runtime.folders.stamps import Ledger, Stamps

    found = files.find([str(sample / "crawl"), str(sample / "pairs")])
    return len(Ledger.of(Stamps(sample, ""), found).tasks(2))


@pytest.mark.parametrize(
    ("victim", "what"), [("executor", "lost with its executor 4 times"), ("worker", "killed 4 times")]
)
def test_a_task_that_kills_whoever_takes_it_ends_the_command_in_one_sentence(cluster, sample, tmp_path, victim, what):
    hold = Hold.at(tmp_path / "hold", *SAMPLING, waiting=4)
    job = begin(cluster.master, *curate_arguments(sample, tmp_path / "out"), hold=hold)
    for number in range(4):
        worker = hold.reached(number)
        kill(executor_of(worker) if victim == "executor" else worker)
    status, sentence = ended(job)
    assert status == 1
    assert what in sentence
    assert sentence.endswith("run the same command again to resume")
    assert not looks_whole(tmp_path / "out")


def test_a_killed_worker_ends_a_local_run_in_one_sentence(sample, tmp_path):
    hold = Hold.at(tmp_path / "hold", *SAMPLING)
    job = begin(LOCAL, *curate_arguments(sample, tmp_path / "out"), hold=hold)
    kill(hold.reached())
    status, sentence = ended(job)
    assert (status, sentence.partition(":")[0]) == (1, "curate")
    assert "a Python worker was killed 1 times" in sentence
    assert not looks_whole(tmp_path / "out")


@pytest.fixture
def disk(tmp_path):
    """A disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not can_mount() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "none", disk]).returncode:
        pytest.skip("may not mount a disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(path: Path) -> None:
    """Write zeros until the disk is full."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 12))


@pytest.mark.parametrize("place", [MATCHING, SAMPLING, REPORTING])
def test_a_disk_that_fills_ends_in_one_sentence_and_room_lets_the_command_go_on(sample, tmp_path, whole, disk, place):
    output, hold = disk / "out", Hold.at(tmp_path / "hold", *place)
    job = begin(LOCAL, *curate_arguments(sample, output), hold=hold)
    hold.reached()
    fill(disk / "other")
    hold.go()
    status, sentence = ended(job)
    assert status == 1
    assert "no space left" in sentence or "a disk is full" in sentence
    assert not (output / "run.json").exists()
    (disk / "other").unlink()
    assert ended(begin(LOCAL, *curate_arguments(sample, output)))[0] == 0
    assert curated(output) == whole


@pytest.mark.parametrize(
    ("change", "what"), [("vanishes", "has vanished"), ("grows", "has changed since it was listed")]
)
def test_an_input_that_changes_under_the_job_ends_it_in_one_sentence(sample, tmp_path, change, what):
    path = tmp_path / "pairs.parquet"
    shutil.copy(next((sample / "pairs").iterdir()), path)
    hold = Hold.at(tmp_path / "hold", "curation.run.tasks", "_match")
    job = begin(LOCAL, *curate_arguments(sample, tmp_path / "out", path), hold=hold)
    hold.reached()
    if change == "vanishes":
        path.unlink()
    else:
        table = pq.read_table(path)
        pq.write_table(pa.concat_tables([table, table]), path)
    hold.go()
    status, sentence = ended(job)
    assert (status, sentence.partition(" has ")[0]) == (2, f"clip-curate: {path}")
    assert what in sentence
    assert not looks_whole(tmp_path / "out")
