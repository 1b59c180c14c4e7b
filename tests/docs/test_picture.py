"""The picture of README has the numbers of the demo."""

import json

import pytest

from curation.commands import clip_curate as curate
from metadata import commands
from tests.support.checkout import ROOT


@pytest.mark.slow
def test_the_text_of_the_picture_has_the_numbers_of_the_demo(sample, tmp_path):
    sources = [word for name in ("wordnet", "wikipedia", "pageviews") for word in (f"--{name}", str(sample / name))]
    commands.main([*sources, "--output", str(tmp_path / "metadata")])
    inputs = ["--input", str(sample / "crawl"), str(sample / "pairs"), "--metadata", str(tmp_path / "metadata")]
    curate.main([*inputs, "--english-threshold", "20", "--output", str(tmp_path / "curated")])
    rows = json.loads((tmp_path / "curated" / "run.json").read_text("utf-8"))["rows"]
    numbers = f"{rows['kept']:,} images kept of {rows['matched']:,} matched ones"
    assert f"![The head of report.html: {numbers}, " in (ROOT / "README.md").read_text("utf-8")
