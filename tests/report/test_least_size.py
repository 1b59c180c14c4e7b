"""A target size below what t = 1 keeps is never said to be reached."""

from dataclasses import replace

import pytest

from curation.balancing.thresholds import SizedThreshold
from curation.config import CurationConfig
from curation.report.page import render, summary
from tests.report.runs import Page, finished

REACHED = "is the smallest that gives the target size"


def run_for(target: int, found: SizedThreshold):
    return replace(finished()[0], config=CurationConfig(target_size=target), sized=found)


def test_console_page_and_run_json_say_what_the_smallest_size_is_and_why():
    run = run_for(5_000, SizedThreshold(1, 12_834.2, reached=True))
    facts = run.run_json
    (warning,) = [each for each in facts["warnings"] if each.startswith("The target size")]
    assert "target size 5,000 is below the smallest size that balancing gives, 12,834: at t = 1, which" in warning
    assert "each entry still keeps about one text" in warning
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


def test_a_size_out_of_reach_has_no_smallest_one():
    assert "least_size" not in run_for(5_000, SizedThreshold(1, 7.0, reached=False)).run_json
