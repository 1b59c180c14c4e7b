"""What several test modules share: the folder of real data, the sample, and command lines run as a user runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.storage.paths import as_path
from tests.sample.make_sample import make_sample
from tests.support.checkout import ROOT, SHARED

# Jobs of a few seconds end before it pays to compile the JVM's code well: half of its time, a second of each run.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it skip where it is missing."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data at {SHARED}; set SHARED_DATA")
    return SHARED


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Path:
    """The embedded sample, made once."""
    folder = tmp_path_factory.mktemp("sample")
    make_sample(folder)
    return folder


@pytest.fixture(scope="session")
def s3_server():
    """A server of S3, which this process and those it starts find in their environment."""
    from tests.support.s3_server import serving_s3  # moto takes a second, which tests without it need not wait

    with serving_s3() as (app, environment), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield app


@pytest.fixture
def s3_folder(s3_server, tmp_path):
    """A folder of S3 in which nothing is."""
    bucket = as_path("s3://outputs")
    if not bucket.fs.exists("outputs"):
        bucket.fs.mkdir("outputs")
    yield bucket / "häß [1]" / tmp_path.name
    s3_server.reset()


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path):
    """An empty folder, once local and once of S3."""
    return tmp_path if request.param == "local" else request.getfixturevalue("s3_folder")


@pytest.fixture(scope="session")
def submit():
    """Run spark-submit on a job with these arguments; return the finished process."""

    def run(*arguments, master: str = "local[2]") -> subprocess.CompletedProcess:
        command = ["spark-submit", "--master", master, *map(str, arguments)]
        here = str(Path(sys.executable).parent)
        environment = os.environ | {"PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "LANG": "C.UTF-8"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)

    return run
