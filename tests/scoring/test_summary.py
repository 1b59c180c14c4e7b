"""Quantiles of scores are those of the sorted scores, rounded down, so that a cut at one keeps what was promised."""

import numpy as np
import pytest

from curation.plugins.scoring.clip_score import SHARES, Histogram, score_lines
from runtime.folders.folder import FinishedFolder


@pytest.mark.parametrize("number", [1, 2, 7, 1000])
def test_quantiles_are_those_of_the_sorted_scores(number):
    scores = np.random.default_rng(number).normal(0.25, 0.08, number).clip(-1, 1).astype(np.float32)
    histogram = Histogram()
    for part in np.array_split(scores, 3):
        histogram.add(part)
    facts = histogram.facts()
    assert facts["images"] == number
    assert facts["mean"] == pytest.approx(scores.mean(), abs=1e-4)
    for share in SHARES:
        exact, cut = np.sort(scores)[int(share * (number - 1))], facts["quantiles"][str(share)]
        assert exact - 0.00011 < cut <= exact + 1e-7
        assert (scores >= cut).mean() >= 1 - share


def test_scores_at_the_ends_and_none_at_all():
    histogram = Histogram()
    assert histogram.facts() == {"images": 0, "mean": None, "quantiles": {}}
    histogram.add(np.array([-1.0000001, 1.0000001], np.float32))
    assert set(histogram.facts()["quantiles"].values()) == {-1}


def test_the_table_has_a_line_for_each_language_and_says_why_scores_are_missing(tmp_path):
    histogram = Histogram()
    histogram.add(np.array([0.1, 0.2, 0.3], np.float32))
    facts = {
        "tars": 12,
        "damaged": {},
        "statuses": {"ok": 3, "no_text": 1200},
        "scores": histogram.facts(),
        "languages": {"ja": histogram.facts()},
    }
    lines = score_lines(FinishedFolder(tmp_path, facts)).splitlines()
    assert lines[0] == "3 images scored; without a score: 1,200 no_text"
    assert lines[1].split()[:3] == ["clip_score", "images", "mean"]
    assert [line.split()[0] for line in lines[2:]] == ["all", "Japanese", "scores:"]
    assert "0.2000" in lines[3]
    empty = facts | {"statuses": {"no_text": 1}, "scores": Histogram().facts(), "languages": {}}
    assert score_lines(FinishedFolder(tmp_path, empty)).splitlines()[0] == "0 images scored; without a score: 1 no_text"
