"""The command line of clip-score: its help, and what it refuses before a model is loaded."""

import pytest

from curation.plugins.scoring import clip_score as command
from curation.plugins.scoring.scorer import ScoringConfig
from tests.support.refusals import refusal


def test_the_defaults_are_those_of_the_config():
    args = command.parse(["--input", "a.tar", "--model", "m", "--output", "out"])
    assert (args.batch_size, args.device, args.precision) == (256, "auto", "fp32")
    assert args.workers == ScoringConfig.workers


def test_a_missing_package_is_named_with_the_extra_that_brings_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("runtime.packages.find_spec", lambda name: name == "open_clip" or None)
    said = refusal(capsys, command.main, "--input", "a.tar", "--model", "m", "--output", tmp_path / "out")
    assert said.startswith("clip-score: transformers is not installed: pip install 'clip-curation[score]'")


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        ("--device", "gpu", "--device is 'gpu'; expected auto, cpu, cuda, or"),
        ("--device", "cuda:", "--device is 'cuda:'; expected auto, cpu, cuda, or"),
        ("--batch-size", 0, "--batch-size is 0; it must be at least 1"),
        ("--workers", -1, "--workers is -1; it must be at least 1"),
    ],
)
def test_a_wrong_number_or_device_is_refused(capsys, monkeypatch, tmp_path, flag, value, sentence):
    monkeypatch.setattr("runtime.packages.find_spec", lambda name: True)
    arguments = ("--input", "a.tar", "--model", "m", "--output", tmp_path / "out", flag, value)
    assert sentence in refusal(capsys, command.main, *arguments)
