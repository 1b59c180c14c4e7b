"""A finished run, and commands that start no Spark."""

from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.export import clip_export as export
from curation.plugins.export import removal as remove
from curation.plugins.report_sections import alignment as align
from tests.support.finished_run import finished_run, image
from tests.support.in_turn import in_turn
from tests.support.online_run import write_tar

NUMBERS = {"00000": range(0, 25), "00001": range(25, 60), "00002": range(0)}  # of the images in each tar


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "run", [image(number) for number in range(60)])


@pytest.fixture
def tars(run, tmp_path) -> Path:
    """Tars of all images of the run and of some others, in an order that is drawn; one is of others alone."""
    (tmp_path / "images").mkdir()
    for number, stem in enumerate(NUMBERS):
        rows = [*(run.images[each] for each in NUMBERS[stem]), image(90 + number)]
        Random(stem).shuffle(rows)
        write_tar(tmp_path / "images" / f"{stem}.tar", rows, ["ustar", "pax", "gnu"][number])
    return tmp_path / "images"


@pytest.fixture
def captions(run, tmp_path) -> str:
    rows = [{"uid": row["uid"], "caption": f"説明 {row['uid']}"} for row in run.images[::2]]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "captions.parquet")
    return str(tmp_path / "captions.parquet")


@pytest.fixture(autouse=True)
def _without_spark(monkeypatch):
    """Let commands run their tasks in this process."""
    for command in (align, export, remove):
        monkeypatch.setattr(command, "engine_for", lambda args, name: in_turn(), raising=False)
