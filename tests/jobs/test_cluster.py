"""curate on a cluster whose processes are killed writes the bytes of a local run."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pyarrow as pa
import pytest

from runtime.buckets import BLOCKS_ENDING
from tests.support.checkout import ROOT
from tests.support.cluster import can_mount, executor_of, kill, mapped, running
from tests.support.faults import Hold, begin, curate_arguments, ended, leave_nothing
from tests.support.sample_runs import curated
from tests.support.spark_jobs import run_here

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
PACK = "tar -czf packages.tar.gz curation metadata runtime"  # as docs/how-to/cluster.md says
PACKAGES = PACK.split()[3:]
UNPACKED = "--archives packages.tar.gz#packages --conf spark.executorEnv.PYTHONPATH=packages"

SENDING = ("curation.run.tasks", "_read_pairs")
GROUPING = ("curation.images.grouping", "ImageGrouping.write")


@pytest.fixture(autouse=True)
def afterwards():
    yield
    leave_nothing()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder for all files of these tests; workers see nothing below `hidden` in it."""
    folder = tmp_path_factory.mktemp("größe")
    (folder / "hidden").mkdir()
    return folder


@pytest.fixture(scope="module")
def cluster(folder):
    with running(folder / "cluster", hidden=folder / "hidden" if can_mount() else None) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def whole(sample, folder) -> dict[str, bytes]:
    """What processes of this machine write."""
    assert run_here(*curate_arguments(sample, folder / "local")) == 0
    return curated(folder / "local")


@pytest.mark.soak
def test_an_executor_that_is_killed_while_it_matches_costs_no_byte(cluster, sample, folder, whole):
    hold = Hold.at(folder / "hold", "runtime.folders.stamps", "Stamps.write")
    job = begin(cluster.master, *curate_arguments(sample, folder / "killed"), hold=hold)
    worker = hold.reached()
    arrays = {path for path in mapped(worker) if path.endswith(".npy")}
    kill(executor_of(worker))
    assert ended(job)[0] == 0
    assert curated(folder / "killed") == whole
    assert arrays
    assert all(any(path.startswith(f"{disk}/clip-curation-") for disk in cluster.disks) for path in arrays)


@pytest.mark.soak
def test_an_executor_that_is_killed_while_images_are_grouped_costs_no_byte(cluster, sample, folder, whole):
    output = folder / "killed_grouping"
    hold = Hold.at(folder / "hold_grouping", *GROUPING)
    job = begin(cluster.master, *curate_arguments(sample, output), hold=hold)
    kill_executor(hold, job, output)
    assert curated(output) == whole


def kill_executor(hold: Hold, job: subprocess.Popen, output: Path) -> None:
    """Kill the executor that the hold stops while pairs come together; the job ends well and reads no input again."""
    worker = hold.reached()
    before = written(output / "pairs")
    kill(executor_of(worker))
    assert ended(job)[0] == 0
    assert len([name for name in before if name.endswith(BLOCKS_ENDING)]) > 1
    assert written(output / "pairs") == before


def written(folder: Path) -> dict[str, tuple[int, int]]:
    """Return which file each name in a folder stands for, and when it was written."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.soak
def test_each_machine_has_one_copy_of_each_artefact_after_two_executors_and_two_runs(cluster, bare_run):
    for disk in cluster.disks:
        (cache,) = disk.glob("clip-curation-*")
        names = sorted(path.name.partition("-")[0] for path in cache.iterdir() if path.is_dir())
        assert [name for name in names if name not in ("lettered", "rates")] == ["lid.176", "matchers"]
        assert len(names) == len({*names})  # there may be one task alone that needs the other two


@pytest.fixture(scope="module")
def bare_run(cluster, sample, folder, whole):
    """A run with packages from an archive of a checkout where one ran before, in a Python that lacks them.

    An executor is killed while pairs come together.
    """
    copy_packages(folder / "checkout")
    subprocess.run(PACK.replace("packages", str(folder / "packages")).split(" "), cwd=folder / "checkout", check=True)
    hold = Hold.at(folder / "sending", *SENDING)
    venv.create(folder / "bare", symlinks=True)
    python = folder / "python"
    python.write_text(
        f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{hold.folder}:{site_packages()}" exec "{folder}/bare/bin/python" "$@"\n'
    )
    python.chmod(0o755)
    conf = [
        f"spark.archives={folder}/packages.tar.gz#packages",
        "spark.executorEnv.PYTHONPATH=packages",
        f"spark.pyspark.python={python}",
        f"spark.pyspark.driver.python={sys.executable}",
    ]
    job = begin(cluster.master, *curate_arguments(sample, folder / "bare_run"), conf=conf)
    kill_executor(hold, job, folder / "bare_run")
    return folder / "bare_run"


def copy_packages(folder: Path) -> None:
    """Copy the packages with what is compiled of them, to which tests beside this one add theirs all the while."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("*.tmp.*", "*.pyc.*"))


def site_packages() -> str:
    """Return the folder of installed packages; on PYTHONPATH it does not bring those that are installed as links."""
    return str(Path(pa.__file__).parents[1])


@pytest.mark.slow
def test_packages_from_an_archive_and_an_executor_that_is_killed_give_the_same_bytes(bare_run, whole):
    assert curated(bare_run) == whole


def test_kernels_come_compiled_with_the_archive(cluster, folder, bare_run):
    packed = compiled(folder / "checkout")
    assert packed
    unpacked = [compiled(path) for path in cluster.folder.glob("worker*/work/app-*/*/packages")]
    assert unpacked
    assert all(each == packed for each in unpacked)


def compiled(folder: Path) -> set[str]:
    """Return the names of Numba's compiled kernels, which name Python, function and version of the source."""
    return {path.name for package in PACKAGES for path in (folder / package).rglob("*.nbc")}


def test_commands_are_those_of_the_documentation():
    text = (ROOT / "docs" / "how-to" / "cluster.md").read_text()
    assert PACK in text
    assert UNPACKED in " ".join(text.replace("\\\n", " ").split())


@pytest.mark.soak
@pytest.mark.skipif(not can_mount(), reason="may not mount what hides a folder")
def test_an_output_that_workers_do_not_see_is_refused_before_any_work(cluster, sample, folder):
    status, sentence = ended(begin(cluster.master, *curate_arguments(sample, folder / "hidden" / "out")))
    assert (status, sentence.split(" on ")[0]) == (2, f"clip-curate: {folder}/hidden/out is not seen by the workers")
    assert "pass a folder that all machines share" in sentence
    assert list((folder / "hidden" / "out").iterdir()) == [folder / "hidden" / "out" / ".work"]
