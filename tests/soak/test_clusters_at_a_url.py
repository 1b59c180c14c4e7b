"""Clusters are the same in a local folder and on an object store."""

import json
from functools import partial

import pyarrow as pa
import pytest

from runtime.folders.verify import verify
from runtime.storage.paths import read_bytes
from tests.support import spark_jobs
from tests.support.embeddings import embeddings_of, uids_of, write_embeddings
from tests.support.finished_run import finished_run, image

clip_cluster = partial(spark_jobs.run_here, "jobs/run.py", "clip-cluster")

pytestmark = pytest.mark.soak


def test_clusters_on_s3_are_those_of_a_local_folder(s3_folder, tmp_path):
    run = finished_run(tmp_path / "run", [image(number) for number in range(120)], files=2)
    table = write_embeddings(tmp_path / "embeddings", embeddings_of(uids_of(run)), 3, pa.list_(pa.float32()))
    flags = ("--fine", 5, "--coarse", 2, "--embeddings", table)
    for output in (tmp_path / "out", s3_folder / "out"):
        assert clip_cluster(run.path, "--output", str(output), *flags) == 0
    local, remote = (json.loads(read_bytes(folder / "out" / "clusters.json")) for folder in (tmp_path, s3_folder))
    assert local == remote
    assert verify(s3_folder / "out").endswith("files are as they were written")
    assert clip_cluster(run.path, "--output", str(s3_folder / "out"), *flags) == 2
    assert clip_cluster(run.path, "--output", str(s3_folder / "out"), *flags, "--overwrite") == 0
    assert json.loads(read_bytes(s3_folder / "out" / "clusters.json")) == local
