"""The picture of README has the numbers of a run over real data."""

import json

import pytest

from curation.commands import clip_curate as curate
from metadata import commands
from tests.support.checkout import ROOT


@pytest.mark.slow
def test_the_text_of_the_picture_has_the_numbers_of_a_run_over_real_data(shared_data, tmp_path):
    metadata, output = str(tmp_path / "metadata"), tmp_path / "run"
    commands.main(["--wordnet", str(shared_data / "wordnet"), "--output", metadata])
    inputs = ["--input", str(shared_data / "wat"), str(shared_data / "pairs" / "web_1000.parquet")]
    curate.main([*inputs, "--metadata", metadata, "--english-threshold", "3", "--output", str(output)])
    rows = json.loads((output / "run.json").read_text("utf-8"))["rows"]
    numbers = f"{rows['kept']:,} images kept of {rows['matched']:,} matched ones"
    assert f"![Parts of report.html for a run over real pages: {numbers}, " in (ROOT / "README.md").read_text("utf-8")
