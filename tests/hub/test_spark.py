"""Tables of the Hub are read by tasks of Spark: the bytes are those of a local run, and no log has the token."""

import shutil
from pathlib import Path

import pytest

from tests.support.faults import begin, leave_nothing
from tests.support.hub_runs import Searched, entries, ran, tables, written
from tests.support.hub_server import TOKEN
from tests.support.sample_runs import curated

pyspark = pytest.importorskip("pyspark")
pytestmark = pytest.mark.spark
CORES = 2


@pytest.fixture(autouse=True)
def _afterwards():
    yield
    leave_nothing()


def test_tasks_of_spark_read_a_private_dataset_and_show_no_token(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "spark"))
    hub.dataset("o/pairs", tables(), private=True)
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path / "conf"))
    (tmp_path / "events").mkdir()
    shutil.copytree(Path(pyspark.__file__).parent / "conf", tmp_path / "conf")  # what makes it start on any Java

    def command(inputs, output):
        return ["--input", inputs, "--entries", *entries(tmp_path), "--english-threshold", 20, "--output", output]

    ran("clip-curate", *command(written(tables(), tmp_path / "local"), tmp_path / "of_local"))
    conf = ["spark.eventLog.enabled true", f"spark.eventLog.dir file://{tmp_path / 'events'}"]
    conf.append(f"spark.executorEnv.HF_TOKEN {TOKEN}")
    (tmp_path / "conf" / "spark-defaults.conf").write_text("\n".join(conf))
    job = begin(f"local[{CORES}]", "jobs/curate.py", *command("hf://datasets/o/pairs", tmp_path / "out"))
    searched = Searched()
    said = searched.while_running(job, str(tmp_path), ["cmdline"])
    assert job.returncode == 0, said
    assert curated(tmp_path / "out") == curated(tmp_path / "of_local")
    assert hub.most_at_once <= 16
    for folder in ("out", "events", "spark"):
        searched.folder(tmp_path / folder)
    assert any("/events/" in place for place in searched.places)
    assert any("/cmdline" in place for place in searched.places)
    assert searched.with_secret == set()
