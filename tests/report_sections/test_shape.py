"""The shape of the counts stands in run.json, and in the report beside that of the paper."""

import re
from dataclasses import replace

import numpy as np
import pytest

from curation.balancing.thresholds import Thresholds
from curation.config import CurationConfig
from curation.plugins.report_sections.text_sections import observe_shape, shape_of, shape_of_run
from curation.report.facts import Observed
from curation.run.request import Observation
from tests.report.runs import finished, nothing_read, page, tallies


def test_the_shape_is_that_of_the_definition():
    shape = shape_of(np.array([0, 3, 20, 0, 77]), t=20, texts=50)
    assert shape == {"never_matched": 0.4, "entries_above_t": 0.4, "matches_above_t": 0.97, "matches_a_text": 2.0}


def observed(run):
    return observe_shape(Observation(None, [], [], run))


def test_it_is_that_of_english():
    run, _ = finished()
    run = replace(run, curated=tallies({"en": {"texts": 6_475}, "ja": {"texts": 9}}, images=1, kept=1, variance=0))
    shape = replace(run, observed={"shape": observed(run)}).run_json["shape"]
    assert shape["language"] == "en"
    assert shape["entries_above_t"] == 3 / 5
    assert shape["matches_a_text"] == 2.0
    assert shape["top"] == ["the", "dog", "cat", "red dog", "<script>alert(1)</script>"]


def test_where_all_texts_are_matched_against_one_list_it_is_that_of_the_list():
    run, _ = finished(lists={"other": ["dog", "犬"]}, counts=[30, 10])
    texts = tallies({"en": {"texts": 15}, "ja": {"texts": 5}}, images=1, kept=1, variance=0)
    config, thresholds = CurationConfig(merge_languages=True), Thresholds.same({"other": [30, 10]}, 20)
    shape = shape_of_run(replace(run, config=config, thresholds=thresholds, curated=texts))
    assert (shape["language"], shape["matches_a_text"], shape["matches_above_t"]) == ("other", 2.0, 0.75)


def test_the_report_shows_it_beside_that_of_the_paper():
    run, rates = finished()
    text = page(replace(run, observed={"shape": observed(run)}), rates).text
    shown = text.partition("Beside the published pool of 1.6 billion English pairs")[2]
    assert "entries that match no text0.0 %22.8 %" in shown
    assert re.search("matches with these.*94.5 %", shown)


@pytest.mark.parametrize("without", ["matches", "English"])
def test_without_english_matches_there_is_none(without):
    run, _ = nothing_read() if without == "matches" else finished(lists={"ja": ["犬"]}, counts=[5])
    assert observed(run).facts == {}
    assert observed(run).section is None


def test_an_observer_replaces_no_number_of_the_run():
    run, _ = finished()
    seen = {"rows": Observed({"kept": 0}), "lengths": Observed({"mean": 3.0})}
    facts = replace(run, observed=seen).run_json
    assert facts["rows"] == run.run_json["rows"]
    assert facts["lengths"] == {"mean": 3.0}
