"""curate on Ceph's radosgw, a server of S3 that was not made for tests, writes the bytes of a local run."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from runtime.folders.descriptor import DESCRIPTOR
from runtime.storage.json_files import read_json, write_json
from runtime.storage.paths import as_path, files, files_below, move_files, names, read_bytes, remove
from runtime.storage.whole import whole
from tests.support.cluster import children, kill
from tests.support.downloaded import all_bytes
from tests.support.faults import Hold, begin, curate_arguments, ended, leave_nothing
from tests.support.online_run import image, write_tar
from tests.support.radosgw import missing, serving_radosgw
from tests.support.sample_runs import curated

pytestmark = [pytest.mark.soak, pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A bucket of radosgw, which this process and those it starts find in their environment."""
    with serving_radosgw(tmp_path_factory.mktemp("ceph")) as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        bucket = as_path("s3://radosgw")
        bucket.fs.clear_instance_cache()
        bucket = as_path("s3://radosgw")
        bucket.fs.mkdir("radosgw")
        yield bucket
        bucket.fs.clear_instance_cache()


def test_files_are_written_moved_read_in_parts_and_removed(bucket):
    folder = bucket / "häß [1]"
    for number in range(20):
        with whole(folder / "from" / f"ü{number}") as file:
            file.write_text(f"0123456789 {number}")
    move_files(files(folder / "from"), folder / "to")
    assert names(folder) == {"to"}
    assert {read_bytes(path).decode() for path in files(folder / "to")} == {f"0123456789 {n}" for n in range(20)}
    write_json(folder / "to" / "a.json", {"a": "犬"})
    assert read_json(folder / "to" / "a.json") == {"a": "犬"}
    assert read_json(folder / "none.json") is None
    remove(folder)
    assert names(folder) == set()


def test_more_files_than_a_listing_holds_are_listed_and_removed(bucket):
    folder = bucket / "many"
    for number in range(1001):
        folder.fs.pipe_file((folder / f"{number:04}").path, b"")
    assert [path.name for path in files(folder)] == [f"{number:04}" for number in range(1001)]
    remove(folder)
    assert files(folder) == []


def test_a_file_that_is_uploaded_in_parts_is_read_as_it_was_written(bucket):
    content = b"".join(b"%015d\n" % number for number in range(7 << 20))  # 112 MB; s3fs sends parts from 100 MB
    with whole(bucket / "large") as file:
        file.write_bytes(content)
    assert read_bytes(bucket / "large") == content
    move_files([bucket / "large"], bucket / "moved")
    assert read_bytes(bucket / "moved" / "large") == content


@pytest.mark.spark
def test_curated_files_are_those_of_a_local_run_and_the_command_goes_on(bucket, sample, tmp_path):
    for name in ("crawl", "pairs"):
        bucket.fs.put(str(sample / name), (bucket / name).path, recursive=True)
    output = bucket / "out"
    try:
        for to, inputs in ((tmp_path / "local", ()), (output, (bucket / "crawl", bucket / "pairs"))):
            status, last = ended(begin("local[2]", *curate_arguments(sample, to, *inputs)))
            assert status == 0, last
        assert curated(output) == curated(tmp_path / "local")
        remove(output / "curated")
        remove(output / "run.json")
        status, last = ended(begin("local[2]", *curate_arguments(sample, output, bucket / "crawl", bucket / "pairs")))
        assert status == 0, last
    finally:
        leave_nothing()
    assert curated(output) == curated(tmp_path / "local")
    assert json.loads(read_bytes(output / "run.json"))["rows"]["pairs"] > 0


INDEX = """import sys
from curation.plugins.online import build
build(*sys.argv[1:])"""
STAMPING = ("runtime.folders.stamps", "Stamps.write")  # a task has written its files, but not that they are there


@pytest.fixture(scope="module")
def finished(bucket, sample, tmp_path_factory) -> Path:
    """A run of several files, which is in the bucket, too, and tars of some of its images."""
    folder = tmp_path_factory.mktemp("finished")
    status, last = ended(begin("local[2]", *curate_arguments(sample, folder / "run"), "--set", "rows_per_file=3000"))
    assert status == 0, last
    bucket.fs.put(str(folder / "run"), (bucket / "run").path, recursive=True)
    (folder / "tars").mkdir()
    uids = pq.read_table(folder / "run" / "curated" / "00000.parquet")["uid"].to_pylist()
    for number in range(3):
        rows = [image(each, []) | {"uid": uid} for each, uid in enumerate(uids[number * 9 : number * 9 + 9])]
        write_tar(folder / "tars" / f"{number}.tar", rows)
    (folder / "index.py").write_text(INDEX)
    return folder


EXPORT, REMOVE = ("jobs/run.py", "clip-export"), ("jobs/run.py", "clip-remove")
COMMANDS = {
    "export": lambda folder, run, output: [*EXPORT, run, "--format", "huggingface", "--output", output],
    "removal": lambda folder, run, output: [*REMOVE, run, "--exclude", folder / "list", "--output", output],
    "index": lambda folder, run, output: [folder / "index.py", folder / "tars", run, output],
}


@pytest.mark.spark
@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_made_of_a_run_and_killed_in_the_middle_is_gone_on_with(bucket, finished, tmp_path, name):
    (finished / "list").write_text("domain:de4.example\n")
    output = tmp_path / "out" if name == "index" else bucket / name  # training maps an index into memory
    arguments = COMMANDS[name](finished, bucket / "run", output)
    hold = Hold.at(tmp_path / "hold", *STAMPING, first=1)
    try:
        job = begin("local[1]", *arguments, hold=hold)
        hold.reached(1)
        for pid in (*children(job.pid), job.pid):
            kill(pid)
        hold.go()
        job.communicate(timeout=60)
        assert ".work" in names(output)
        for to, source in ((output, bucket / "run"), (tmp_path / "quiet", finished / "run")):
            status, last = ended(begin("local[2]", *COMMANDS[name](finished, source, to)))
            assert status == 0, last
    finally:
        leave_nothing()
    written = {name: read_bytes(output / name) for name in files_below(output)}
    quiet = all_bytes(tmp_path / "quiet")
    for content in (written, quiet):
        content.pop(DESCRIPTOR, None)  # whose digest of what they are made from depends on where inputs lie
    assert written == quiet
