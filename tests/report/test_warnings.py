"""Warnings: which runs have them, and what they say on page, console and in run.json."""

import pytest

from curation.report.page import render, summary
from curation.report.warnings import warnings
from metadata.languages import LANGUAGES
from tests.report.runs import Page, finished, page
from tests.support.hostile_strings import ONE


def said(facts: dict) -> list[str]:
    return ["".join(parts) for parts in warnings(facts)]


def facts_of(**changes) -> dict:
    """Return the facts of a run of one language in which nothing is remarkable, but for `changes` of its row."""
    facts = finished()[0].run_json
    usual = {"texts": 1_000, "identified": 1_000, "mean_score": 0.9, "matched": 600, "entries": 50, "matches": 900}
    top = [{"id": 0, "entry": "dog", "count": 300}]
    facts |= {"languages": {"sw": facts["languages"]["en"] | usual | {"t": 20, "top": top} | changes}}
    return facts | {"warnings": said(facts)}


def top(count: int, entry: str = "dog") -> list[dict]:
    return [{"id": 0, "entry": entry, "count": count}]


def test_a_run_in_which_nothing_is_remarkable_has_no_warning():
    facts = facts_of()
    assert said(facts) == []
    assert facts["warnings"] == []
    assert "warning" not in summary(facts)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"t": 300}, "Not balanced, because no entry is in more than t texts: Swahili (t = 300)"),
        ({"top": top(451)}, "One entry has most of the matches: Swahili (dog, 50.1 % of 900 matches)"),
        ({"mean_score": 0.49}, "Low mean language score: Swahili (0.49 over 1,000 texts)"),
        ({"kept_doubtful": 91}, "Many kept rows have a score below 0.5: Swahili (30.3 % of 300)"),
        (
            {"kept_without_letters": 91},
            "Many rows are kept for numbers or single letters alone: Swahili (30.3 % of 300)",
        ),
        (
            {"other_script": 101},
            "Texts in scripts in which the language is not written: Swahili (10.1 % of 1,000 texts)",
        ),
        ({"matched": 199}, "Few texts match: Swahili (19.9 % with 50 entries)"),
        (
            {"entries": 0, "matches": 0, "top": []},
            "No entries, so all texts are lost: Swahili (1,000 texts, mean score 0.90)",
        ),
    ],
)
def test_a_language_that_calls_for_a_second_look_is_warned_of(changes, expected):
    facts = facts_of(**changes)
    (warning,) = said(facts)
    assert warning.startswith(expected)
    assert facts["warnings"] == [warning]
    assert f"warning: {warning}" in summary(facts).splitlines()


@pytest.mark.parametrize(
    "changes",
    [
        {"t": 299},
        {"top": top(450)},
        {"mean_score": 0.5},
        {"matched": 200},
        {"kept_doubtful": 90, "kept_without_letters": 90, "other_script": 100},
        {"kept": 19, "kept_doubtful": 19, "kept_without_letters": 19},
        {"identified": 0, "mean_score": None},
        {"texts": 19, "identified": 19, "matched": 0, "matches": 0, "mean_score": 0.1, "top": []},
        {"matches": 19, "t": 20, "top": top(19)},
    ],
)
def test_a_language_at_the_border_or_of_few_texts_is_not_warned_of(changes):
    assert said(facts_of(**changes)) == []


def test_one_text_is_no_plural():
    changes = {"entries": 0, "texts": 1, "identified": 1, "matches": 0}
    (warning,) = said(facts_of(**changes))
    assert "(1 text," in warning


def test_many_languages_with_one_fault_are_named_in_one_warning():
    facts = facts_of(mean_score=0.1)
    facts["languages"] = {language.code: facts["languages"]["sw"] for language in LANGUAGES[:40]}
    (warning,) = said(facts)
    assert warning.count("over 1,000 texts") == 6
    assert " and 34 more." in warning


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"records": 0, "texts": 0, "matched": 0, "kept": 0}, "the inputs hold no rows ("),
        ({"records": 7, "texts": 0, "matched": 0, "kept": 0}, "of 7 records none has a text and the URL of an image ("),
        ({"matched": 0, "kept": 0}, "none of 21,000 texts contains an entry: are the entries words"),
        ({"matched": 7, "kept": 0}, "7 images have a match, but the draw took none"),
    ],
)
def test_a_run_that_kept_nothing_says_why(rows, expected):
    facts = facts_of()
    (warning,) = said(facts | {"rows": facts["rows"] | rows})
    assert expected in warning


def test_input_that_was_not_read_whole_is_warned_of():
    facts = facts_of() | {"dropped": {"truncated": 2, "bad_file": 1, "not_http": 500}}
    (warning,) = said(facts)
    assert warning.startswith("The input was not read completely: 3 files or parts of files are damaged")


def test_what_is_no_regular_file_is_warned_of():
    (warning,) = said(facts_of() | {"passed_over": {"broken link": 2, "FIFO": 1}})
    assert warning == "Not read, because they are no regular files or hold no pairs: 2 broken links, 1 FIFO."


def test_lists_that_exclude_nothing_are_warned_of():
    facts = facts_of()
    facts["made_from"] = facts["made_from"] | {"exclusion": "0f"}
    (warning,) = said(facts)
    assert warning.startswith("The lists of --exclude name nothing that was read: no pair was removed.")
    assert said(facts | {"dropped": {"excluded_uid": 1}}) == []


def with_entry(entry: str):
    """Return a run in which this entry has most of the matches of English."""
    return finished({"en": [entry, "dog"]}, [900, 30])


def test_a_warning_shows_a_hostile_entry_as_text_in_a_direction_of_its_own():
    html = render(*with_entry(ONE), []).partition('<h2 id="warnings">Warnings</h2>')[2].partition("<h2")[0]
    assert f"English ({ONE}, 96.8 % of 930 matches)" in Page(html).text
    assert [name for name, _ in Page(html).elements if name != "p"] == ["bdi"]


def test_a_hostile_entry_neither_breaks_nor_turns_its_line_of_the_console():
    facts = with_entry("a\x1b[2J\n\u202eb\u2028")[0].run_json
    lines = [line for line in summary(facts).split("\n") if "matches" in line]
    assert r"English (a\u001b[2J\u000a\u202eb\u2028, 96.8 %" in lines[-1]
    assert lines[-1].endswith("template?")


def test_other_is_no_language_that_could_have_a_low_score():
    facts = facts_of()
    low = {"identified": 100, "mean_score": 0.3}
    facts["languages"] = {code: facts["languages"]["sw"] | low for code in ("sw", "other")}
    (warning,) = [each for each in said(facts) if "Low mean" in each]
    assert "Other" not in warning


def test_evaluation_sets_without_hashes_of_mirror_images_are_warned_of():
    facts = facts_of() | {"gate": {"unmirrored": {"flowers": 1_030, "<b>": 1}}}
    (warning,) = said(facts)
    assert warning == (
        "Mirrored copies of pictures were not looked for, because evaluation sets have no phash_mirrored: flowers "
        "(1,030), <b> (1). Hash these sets again by clip-hash, with --overwrite."
    )


def test_the_page_has_every_warning_of_run_json():
    run, rates = with_entry("dog & cat")
    text = page(run, rates).text
    assert len(run.run_json["warnings"]) > 1
    assert [warning for warning in run.run_json["warnings"] if warning not in text] == []


def test_a_page_without_warnings_says_so():
    run, rates = finished({"en": ["dog", "cat", "the"], "he": ["כלב", "חתול", "של"]}, [300, 290, 400, 30, 31, 25])
    assert run.run_json["warnings"] == []
    assert "None: no language has" in page(run, rates).text
    assert "None: no language has" not in page(*finished()).text


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"t": 300}, {"balance": False}),
        ({"entries": 0, "matches": 0, "top": []}, {"metadata_of": "en"}),
        ({"entries": 0, "matches": 0, "top": []}, {"merge_languages": True}),
    ],
)
def test_what_an_ablation_asks_for_is_not_warned_of(changes, asked):
    facts = facts_of(**changes)
    assert len(said(facts)) == 1
    assert said(facts | {"parameters": facts["parameters"] | asked}) == []
