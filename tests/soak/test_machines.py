"""curate on two machines that share nothing but a server of S3 writes the bytes of a local run."""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from runtime.storage.paths import as_path
from tests.support.cluster import can_mount, executor_of, kill, running_on
from tests.support.faults import Hold, begin, curate_arguments, ended, leave_nothing
from tests.support.machines import can_make_machines, two_machines
from tests.support.s3_server import listening
from tests.support.sample_runs import curated

pytestmark = [
    pytest.mark.spark,
    pytest.mark.soak,
    pytest.mark.usefixtures("afterwards"),
    pytest.mark.skipif(
        sys.platform != "linux" or not can_mount() or not can_make_machines(),
        reason="may not make network and mount namespaces",
    ),
]
MATCHING = ("runtime.folders.stamps", "Stamps.write")  # pairs are written, their stamp is not
SAMPLING = ("curation.balancing.sampling", "sampled")
WRITING = ("curation.balancing.sampling", "in_order")


@pytest.fixture(scope="module")
def bucket(s3_server, sample):
    """A bucket with the inputs of the sample."""
    bucket = as_path("s3://machines")
    bucket.fs.mkdir("machines")
    for name in ("crawl", "pairs"):
        bucket.fs.put(str(sample / name), (bucket / name).path, recursive=True)
    return bucket


@pytest.fixture(scope="module")
def machines(s3_server, bucket, sample, tmp_path_factory):
    """The master's URL, and the host of the driver; a worker runs on its machine and one on the other.

    Only the machine of the driver has the entries.
    """
    with two_machines(tmp_path_factory.mktemp("machines")) as (both, listener), listening(s3_server, listener) as s3:
        hosts = [machine.host(s3) for machine in both]
        folders = [machine.folder / "worker" for machine in both]
        shutil.copytree(sample / "entries", both[0].folder / "entries")
        workers = dict(zip(folders, hosts, strict=True))
        with running_on(hosts[0], both[0].folder / "master", workers) as master:
            yield master, hosts[0], both


def arguments(machines, bucket, output) -> list:
    inputs = [bucket / "crawl", bucket / "pairs"]
    return curate_arguments(machines[2][0].folder, output, *inputs)


def test_two_machines_that_share_only_s3_write_the_bytes_of_a_local_run(machines, bucket, whole):
    master, host, both = machines
    output = bucket / "quiet"
    status, last = ended(begin(master, *arguments(machines, bucket, output), host=host))
    assert status == 0, last
    assert curated(output) == whole
    for machine in both:
        assert list(machine.folder.glob("worker/disk/clip-curation-*/*")), machine  # it has worked, with its own copies
        assert not list(machine.folder.rglob("run.json"))


@pytest.mark.parametrize("place", [MATCHING, SAMPLING, WRITING])
def test_an_executor_that_is_killed_costs_no_byte(machines, bucket, whole, place):
    master, host, _ = machines
    output = bucket / f"killed-{place[1]}"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # both machines see it: the test's lever, no data
        hold = Hold.at(Path(folder, "hold"), *place)
        job = begin(master, *arguments(machines, bucket, output), hold=hold, host=host)
        kill(executor_of(hold.reached()))
        status, last = ended(job)
        leave_nothing()
    assert status == 0, last
    assert curated(output) == whole
