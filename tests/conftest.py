"""Fixtures of several rooms: the folder of real data, the sample, servers, and engines."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from runtime import terminal
from runtime.engine.local import Local
from runtime.errors import name_flags
from runtime.storage.paths import as_path
from tests.sample.make_sample import make_sample
from tests.support import jvm, spark_jobs
from tests.support.checkout import SHARED
from tests.support.http_server import serving
from tests.support.hub_runs import forget
from tests.support.hub_server import TOKEN, hub_server

os.environ.setdefault("SPARK_SUBMIT_OPTS", jvm.QUICK)

SUBMIT = "PYSPARK_SUBMIT_ARGS"

settings.register_profile("busy machine", deadline=None)  # an example may wait long for its turn
settings.load_profile("busy machine")


def pytest_make_parametrize_id(val, argname: str) -> str | None:
    """Name long bytes by their argument: gzip writes the time into them, and all processes must name tests alike."""
    return argname if isinstance(val, bytes) and len(val) > 8 else None


LONGEST = ("test_plugins.py",)  # of all files; its first test checks types, on one core
LONGEST_SOAK = 3600  # seconds; setup.cfg has the limit of all other tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give soak tests more time. Let the workers of pytest-xdist begin with the longest files, and those of Spark."""
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.timeout(LONGEST_SOAK))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: (item.path.name not in LONGEST, item.get_closest_marker("spark") is None))


@pytest.fixture(autouse=True)
def flags_of_one_test(monkeypatch):
    """Let what flags say of a process, how it speaks and Spark's memory, end with the test that gave them."""
    monkeypatch.setenv(SUBMIT, before := os.environ.get(SUBMIT, ""))
    if not before:
        monkeypatch.delenv(SUBMIT)
    yield
    terminal.write_as("text")
    name_flags(False)


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


@pytest.fixture
def server():
    """A web server on this machine."""
    with serving() as running:
        yield running


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
def running_hub(tmp_path_factory):
    """A Hub on this machine, which this process and those that it starts find in their environment."""
    pytest.importorskip("huggingface_hub")
    with hub_server() as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_DISABLE_XET", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        # Where the client was imported before, it has taken the addresses of the real Hub, or stays offline.
        patch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        patch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield hub


@pytest.fixture
def hub(running_hub, monkeypatch):
    """A Hub without datasets, for a user who has logged in."""
    from curation.plugins.hub import answers

    running_hub.reset()
    forget()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(answers, "wait", lambda *_: 0.0)
    return running_hub


@pytest.fixture(scope="module")
def engine():
    """An engine whose tasks run in this process."""
    return Local(1)


@pytest.fixture(scope="module")
def spark():
    """The session of Spark that tests share."""
    return spark_jobs.shared_session()
