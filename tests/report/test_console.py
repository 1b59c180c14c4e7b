"""The summary on the console: steps, dropped rows, languages, warnings and notes."""

import json
from dataclasses import replace
from itertools import dropwhile, takewhile

from curation.report.charts import DROPPED
from curation.report.page import summary
from metadata.languages import LANGUAGES
from runtime.terminal import plain
from tests.report.runs import cells, finished, hostile, nothing_read, page
from tests.support.hostile_strings import ACTING, EVERY


def test_the_summary_names_each_step_with_its_share():
    lines = [[cell for _, cell in cells(line)] for line in summary(finished()[0].run_json).splitlines()]
    assert ["pairs", "30,000"] in lines
    assert ["matched texts", "13,001", "61.9 % of texts"] in lines
    assert ["kept images", "312", "2.4 % of matched images; 322 expected (standard deviation 17)"] in lines
    assert ["not_http", "1,234"] in lines
    assert ["English (en)", "20,000", "62.5 %", "0.90", "20", "0.077 %", "300"] in lines
    assert ["Hebrew (he)", "1,000", "50.1 %", "–", "2", "0.0 %", "12"] in lines


def test_after_a_download_summary_and_page_say_which_images_exist():
    run, rates = finished()
    by_status = {"success": 13_000, "failed_to_download": 4_000, "<b>": 1_000, "not_tried": 2_000}
    downloaded = {"text": "status = 'success'", "failed": 7_000, "alone": 6_500, "removed": 7_000}
    tables = [{"name": "images é", "found": 18_000}]
    gate = {"tables": tables, "conditions": [downloaded | {"removed_texts": {"en": 5_000}}], "texts": []}
    run.matched.add("matched_images", 20_000)
    run = replace(run, downloads={"folders": ["images é"], "images": by_status}, gate=gate)
    rows = run.run_json["rows"]
    assert (rows["matched"], rows["gated"], rows["kept"]) == (20_000, 13_000, 312)
    lines = [[cell for _, cell in cells(line)] for line in summary(run.run_json).splitlines()]
    failures = "4,000 failed_to_download, 1,000 <b>, 2,000 not_tried"
    assert ["status = 'success'", "13,000", f"7,000 removed, 6,500 only by this condition; {failures}"] in lines
    assert ["images past the gate", "13,000", "65.0 % of matched images"] in lines
    assert ["kept images", "312", "2.4 % of images past the gate; 322 expected (standard deviation 17)"] in lines
    shown = page(run, rates)
    assert f"7,000 removed, 6,500 only by this condition; {failures}" in shown.text
    assert "of images past the gate" in shown.text
    assert "images é has 18,000 of the matched images" in shown.text
    assert "40.0 %" in shown.text  # of the matched texts in English
    assert "images é" in shown.text


def test_the_figures_of_a_column_end_below_each_other():
    lines = summary(finished()[0].run_json).splitlines()
    heads, *rows = takewhile(bool, dropwhile(lambda line: not line.startswith("language"), lines))
    assert len(rows) == 2
    for line in rows:
        assert [end for end, _ in cells(line)][1:] == [end for end, _ in cells(heads)][1:]


def test_undetermined_texts_are_counted_by_reason():
    run, _ = finished()
    run.matched.add("undetermined", 1_734, item="script")
    lines = [line.split() for line in summary(run.run_json).splitlines()]
    assert lines[lines.index(["undetermined"]) + 1] == ["script", "1,734"]


def test_the_summary_of_many_languages_and_reasons_stays_short():
    lists = {language.code: ["x"] for language in LANGUAGES}
    run, _ = finished(lists, range(len(LANGUAGES)), dropped=[(reason, 5) for reason in DROPPED])
    for language in LANGUAGES:
        run.matched.add("texts", 3, language=language.code)
    run.matched.add("dropped", item="bad_json")
    lines = summary(run.run_json).splitlines()
    warned = [line for line in lines if line.startswith("warning: ")]
    assert len(warned) == len(run.run_json["warnings"])
    lines = [line for line in lines if line not in warned]
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 100
    reasons, languages = ([cell for _, cell in cells(line)] for line in lines if "more" in line)
    assert reasons == [f"{len(DROPPED) - 4} more", f"{5 * (len(DROPPED) - 4)}"]
    assert languages[:2] == [f"{len(LANGUAGES) - 7} more", f"{3 * (len(LANGUAGES) - 7)}"]


def test_the_summary_can_be_made_from_run_json_as_it_was_written():
    facts = finished()[0].run_json
    assert summary(json.loads(json.dumps(facts))) == summary(facts)


def test_the_summary_ends_with_the_notes():
    facts = finished()[0].run_json | {"warnings": [], "notes": ["Something worth knowing. " * 8]}
    assert summary(facts).splitlines()[-1].startswith("Something worth knowing.")
    assert max(map(len, summary(facts).splitlines())) <= 100


def test_a_run_that_read_nothing_has_a_summary_and_a_report():
    run, rates = nothing_read()
    assert "kept images" in summary(run.run_json)
    text = page(run, rates).text
    assert "Nothing was dropped." in text
    assert "Nothing was kept." in text
    assert "No text has a match." in text


def test_nothing_that_comes_from_outside_acts_on_a_terminal_or_breaks_a_line():
    shown, usual = (summary(hostile(texts)[0].run_json) for texts in (EVERY, [f"x{i}" for i in range(len(EVERY))]))
    assert ACTING.findall(plain(shown)) == []
    assert len(shown.splitlines()) == len(usual.splitlines())
