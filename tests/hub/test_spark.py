"""Tables of the Hub are read by tasks of Spark: the bytes are those of a local run, and no log has the token."""

import pytest

from tests.support.faults import begin, ended, leave_nothing
from tests.support.hub_runs import entries, ran, tables, written
from tests.support.hub_server import SIGNATURE, TOKEN
from tests.support.sample_runs import curated

pytestmark = pytest.mark.spark
CORES = 2


@pytest.fixture(autouse=True)
def _afterwards():
    yield
    leave_nothing()


def test_tasks_of_spark_read_a_private_dataset_and_show_no_token(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "spark"))
    hub.dataset("o/pairs", tables(), private=True)
    (tmp_path / "events").mkdir()

    def command(inputs, output):
        return ["--input", inputs, "--entries", *entries(tmp_path), "--english-threshold", 20, "--output", output]

    ran("clip-curate", *command(written(tables(), tmp_path / "local"), tmp_path / "of_local"))
    conf = ["spark.eventLog.enabled=true", f"spark.eventLog.dir=file://{tmp_path / 'events'}"]
    conf.append(f"spark.executorEnv.HF_TOKEN={TOKEN}")
    job = begin(f"local[{CORES}]", "jobs/curate.py", *command("hf://datasets/o/pairs", tmp_path / "out"), conf=conf)
    status, last = ended(job)
    assert status == 0, last
    assert curated(tmp_path / "out") == curated(tmp_path / "of_local")
    assert hub.most_at_once <= 16
    kept = [path for folder in ("out", "events", "spark") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert any("events" in path.parts for path in kept)
    for path in kept:
        assert TOKEN.encode() not in path.read_bytes(), path
        assert SIGNATURE.encode() not in path.read_bytes(), path
