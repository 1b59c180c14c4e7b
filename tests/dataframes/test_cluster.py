"""The steps on a cluster whose workers do not see the driver's folder: artefacts reach them, or a sentence says why."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.dataframes import partitions as tasks
from curation.language.engines import default_model
from curation.matching.finders import save_matchers
from curation.run.tasks import Artefacts, MatchPlan
from metadata import Entries
from runtime.shipping import Shipped
from tests.dataframes.steps import CONFIG
from tests.sample.texts import entries
from tests.support.checkout import ROOT
from tests.support.cluster import can_mount, environment, running
from tests.support.frame_pairs import ANY_PORT, FIELDS, has_connect, nasty_rows

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.skipif(not can_mount(), reason="may not mount what hides a folder"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with pairs and metadata; workers see nothing below `hidden` in it."""
    folder = tmp_path_factory.mktemp("cluster")
    for name in ("hidden", "pairs"):
        (folder / name).mkdir()
    pq.write_table(
        pa.Table.from_pylist(nasty_rows(), pa.schema([(f, pa.string()) for f in FIELDS])), folder / "pairs" / "a"
    )
    Entries.build({code: entries(code) for code in ("en", "de", "ja")}).save(folder / "metadata")
    return folder


@pytest.fixture(scope="module")
def cluster(folder):
    with running(folder / "cluster", hidden=folder / "hidden") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def expected(folder) -> list[dict]:
    """The matched images, from the tasks alone."""
    save_matchers(Entries.open(folder / "metadata"), CONFIG.rules, folder / "matchers")
    plan = MatchPlan(Artefacts(Shipped(folder / "matchers"), Shipped(default_model()), None), CONFIG)
    blocks = tasks.match_pairs(pq.read_table(folder / "pairs").to_batches(), plan)
    return [row for batch in tasks.grouped_images(blocks, CONFIG.max_texts) for row in batch.to_pylist()]


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["classic", "connect"])
def test_artefacts_reach_workers_that_do_not_see_the_driver(cluster, folder, expected, kind):
    if kind == "connect" and not has_connect():
        pytest.skip("no Spark Connect: the extra `connect` is not installed")
    command = [sys.executable, "-m", "tests.dataframes.steps_on_cluster", kind, cluster.master, str(folder)]
    own = environment(TMPDIR=folder / "hidden", **ANY_PORT)
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = pq.read_table(folder / f"cluster-{kind}" / "steps" / "matched.parquet").to_pylist()
    assert by_uid(found) == by_uid(expected)
    assert len(found) > 2
    refused = json.loads((folder / f"cluster-{kind}" / "refused.json").read_text())
    assert refused.pop("hidden").startswith(f"{folder / 'hidden'} is not seen by the workers on ")
    if kind == "connect":
        assert "name a folder that they see as `artefacts`, or a URL" in refused.pop("none")
    assert not refused


def by_uid(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda row: row["uid"])
