"""A target size below what t = 1 keeps is never said to be reached."""

from dataclasses import replace

import pytest

from curation.balancing.thresholds import SizedThreshold
from curation.config import CurationConfig
from curation.report.page import render, summary
from tests.report.runs import Page, finished

REACHED = "is the smallest whole number that is expected to give the target size"


def run_for(target: int, found: SizedThreshold):
    return replace(finished()[0], config=CurationConfig(target_size=target), sized=found)


def test_console_page_and_run_json_say_what_the_smallest_size_is_and_why():
    run = run_for(5_000, SizedThreshold(1, 12_834.2, reached=True))
    facts = run.run_json
    (warning,) = [each for each in facts["warnings"] if each.startswith("The target size")]
    assert "target size 5,000 is below the smallest size that balancing gives, 12,834: the English" in warning
    assert "cannot go below 1, where each entry still keeps about one text" in warning
    assert facts["least_size"] == 12_834
    page = Page(render(run, finished()[1], [])).text
    for shown in (summary(facts), page):
        assert "below the smallest size that balancing gives, 12,834" in " ".join(shown.split())
        assert REACHED not in shown


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (12_834, SizedThreshold(1, 12_834.2, reached=True)),
        (5_000, SizedThreshold(2, 5_011.0, reached=True)),
    ],
)
def test_a_size_that_is_reached_is_said_to_be(target, found):
    facts = run_for(target, found).run_json
    assert "least_size" not in facts
    assert any(REACHED in note for note in facts["notes"])


@pytest.mark.parametrize(
    ("target", "found", "said"),
    [
        (
            300,
            SizedThreshold(1, 321.5, reached=True),
            "The run kept 312 images: 12 (4.0 %) more than the target size 300. The English threshold is 1 and cannot "
            "go below 1.",
        ),
        (
            250,
            SizedThreshold(2, 321.5, reached=True),
            "The run kept 312 images: 62 (24.8 %) more than the target size 250. The English threshold 2 is the "
            "smallest whole number that is expected to give the target size.",
        ),
        (
            400,
            SizedThreshold(9, 321.5, reached=False),
            "The run kept 312 images: 88 (22.0 %) fewer than the target size 400. No threshold keeps more.",
        ),
    ],
)
def test_summary_and_page_say_by_how_much_the_target_size_was_missed(target, found, said):
    run = run_for(target, found)
    page = Page(render(run, finished()[1], [])).text
    for shown in (summary(run.run_json), page):
        assert said in " ".join(shown.split())


def test_a_size_out_of_reach_has_no_smallest_one():
    assert "least_size" not in run_for(5_000, SizedThreshold(1, 7.0, reached=False)).run_json
