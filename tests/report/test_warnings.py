"""Warnings: which runs have them, and what they say on page, console and in run.json."""

import pytest

from curation.report.page import aim, render, summary
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
    top = [{"id": 0, "entry": "dog", "count": 150}]
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
    ("changes", "expected", "remedy"),
    [
        (
            {"t": 150},
            "Some languages were not balanced, because none of their entries is in more than t texts: Swahili (t = ",
            "A lower English threshold",
        ),
        (
            {"top": [*top(301), *top(250, "cat"), *top(200, "cow")]},
            "Some entries are in an implausible share of the texts: Swahili (1,000 texts: “dog” 30.1 %, “cat” 25.0 %).",
            "--policy max_images_per_text:10",
        ),
        (
            {"kept_doubtful": 91},
            "Many kept rows have a language score below 0.5: Swahili (30.3 % of 300).",
            "--min-language-score 0.5",
        ),
        (
            {"kept_without_letters": 91},
            "Many rows are kept only for numbers or single letters: Swahili (30.3 % of 300).",
            "--evidence letters",
        ),
        (
            {"other_script": 101},
            "Some texts are in scripts in which their language is not written: Swahili (10.1 % of 1,000 texts).",
            "Check the language",
        ),
        ({"matched": 199}, "Few texts match: Swahili (19.9 % with 50 entries).", "Give more entries"),
        (
            {"entries": 0, "matches": 0, "top": []},
            "Some languages have no entries, so all their texts are lost: Swahili (1,000 texts, mean score 0.90).",
            "clip-metadata",
        ),
    ],
)
def test_a_language_that_calls_for_a_second_look_is_warned_of_with_what_to_do(changes, expected, remedy):
    facts = facts_of(**changes)
    (warning,) = said(facts)
    assert warning.startswith(expected)
    assert remedy in warning
    assert facts["warnings"] == [warning]
    assert f"warning: {warning}" in summary(facts).splitlines()


@pytest.mark.parametrize(
    "changes",
    [
        {"t": 149},
        {"top": top(200)},
        {"mean_score": 0.1},
        {"matched": 200},
        {"kept_doubtful": 90, "kept_without_letters": 90, "other_script": 100},
        {"kept": 19, "kept_doubtful": 19, "kept_without_letters": 19},
        {"identified": 0, "mean_score": None},
        {"texts": 19, "identified": 19, "matched": 0, "matches": 0, "mean_score": 0.1, "top": []},
        {"texts": 19, "matches": 19, "t": 20, "top": top(19)},
        {"texts": 19, "entries": 0, "matches": 0, "top": []},
    ],
)
def test_a_language_at_the_border_or_of_few_texts_is_not_warned_of(changes):
    assert said(facts_of(**changes)) == []


def test_many_languages_with_one_fault_are_named_in_one_warning_those_with_the_most_rows_first():
    facts = facts_of(matched=10)
    row = facts["languages"]["sw"]
    codes = [language.code for language in LANGUAGES[:40]]
    facts["languages"] = {code: row | {"texts": 1_000 + number} for number, code in enumerate(codes)}
    (warning,) = said(facts)
    assert warning.count(" with 50 entries") == 6
    assert warning.startswith(f"Few texts match: {LANGUAGES[39].name} (")
    assert " and 34 more." in warning


def test_warnings_are_ranked_by_the_rows_that_they_concern_and_seven_are_shown():
    facts = facts_of(matched=199, kept_doubtful=91, kept_without_letters=150, other_script=101, t=301, top=top(301))
    facts |= {
        "unknown_languages": {"rows": 9_000, "labels": {}},
        "shared_uids": {"uids": 4, "example": "u"},
        "passed_over": {"FIFO": 0},
    }
    warned = said(facts)
    begin = ["9,000 rows state", "Few texts match", "Some entries are", "Some languages were not", "Many rows are kept"]
    assert [line[: len(start)] for line, start in zip(warned, begin, strict=False)] == begin
    assert len(warned) == 7
    assert not any("The input gives" in line for line in warned)


def test_a_language_at_t_1_is_not_told_to_take_a_lower_threshold():
    assert said(facts_of(t=1, top=top(1)) | {"tail_share": 0.0}) == []


def gated(removed: dict[str, int], matched: dict[str, int]) -> dict:
    facts = facts_of()
    row = facts["languages"]["sw"]
    rules = [
        {"text": "url_words", "removed_texts": removed},
        {"text": "junk:70", "removed_texts": dict.fromkeys(removed, 1)},
    ]
    rows = facts["rows"] | {"matched": 10_000, "gated": 8_800}
    languages = {code: row | {"matched": texts} for code, texts in matched.items()}
    return facts | {"rows": rows, "languages": languages, "gate": {"conditions": rules[:1], "texts": rules[1:]}}


def test_a_gate_that_removes_a_large_share_of_a_languages_texts_is_warned_of():
    (warning,) = said(gated({"de": 3_299, "en": 9_999, "fr": 98}, {"en": 90_000, "de": 8_718, "fr": 1_000}))
    assert warning.startswith(
        "The gate removed 12.0 % of the matched images, and a large share of the texts of some languages: "
        "English (11.1 % of 90,000 texts, 11.1 % by url_words), German (37.9 % of 8,718 texts, 37.8 % by url_words)."
    )
    assert "leave out a rule" in warning


@pytest.mark.parametrize(("removed", "matched"), [(98, 1_000), (18, 19)])
def test_a_gate_that_removes_little_or_of_few_texts_is_not_warned_of(removed, matched):
    facts = gated({"fr": removed}, {"fr": matched})
    facts["languages"]["fr"] |= {"texts": matched}
    assert [line for line in said(facts) if line.startswith("The gate")] == []


def without_tails(*codes: str, **changes) -> dict:
    """Return the facts of a run in which these languages have t = 1, but English and Japanese have tails."""
    facts = facts_of() | {"tail_share": 0.06} | changes
    row = facts["languages"]["sw"]
    flat = row | {"t": 1, "tail_share": 0.0}
    facts["languages"] = {"en": row, "ja": row} | {code: flat for code in codes}
    return facts


def test_most_languages_without_a_tail_are_warned_of_and_the_head_of_the_page_says_how_many():
    facts = without_tails("de", "fr", "it")
    (warning,) = said(facts)
    assert warning.startswith(
        "3 of 5 languages have no tail (t = 1), although the run aims at a tail share of 6.0 %: German (600 matched "
        "texts), French (600 matched texts), Italian (600 matched texts). In these languages t is as low as possible, "
        "so balancing removes as many texts as it can."
    )
    assert "--english-threshold" in warning
    assert aim(facts) == "the aim; 3 of 5 languages have no tail (t = 1)"


def test_few_languages_without_a_tail_or_an_aim_of_none_are_not_warned_of():
    assert said(without_tails("de", "fr")) == []
    assert said(without_tails("de", "fr", "it", tail_share=0.0)) == []
    assert aim(without_tails()) == "the aim in every language"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"records": 0, "texts": 0, "matched": 0, "kept": 0}, "the inputs hold no rows ("),
        ({"records": 7, "texts": 0, "matched": 0, "kept": 0}, "none of 7 records has a text and the URL of an image ("),
        ({"matched": 0, "kept": 0}, "none of 21,000 texts contains an entry: check that the entries are words"),
        (
            {"matched": 7, "gated": 0, "kept": 0},
            "none of 7 matched images passes the gate (failed: 7 secure); relax it",
        ),
        ({"matched": 7, "kept": 0}, "7 images have a match, but the draw kept none"),
    ],
)
def test_a_run_that_kept_nothing_says_why(rows, expected):
    facts = facts_of()
    facts["gate"] = facts["gate"] | {"conditions": [{"text": "secure", "failed": 7, "removed_texts": {}}]}
    (warning,) = said(facts | {"rows": facts["rows"] | rows})
    assert expected in warning


def test_input_that_was_not_read_whole_is_warned_of():
    facts = facts_of() | {"dropped": {"truncated": 2, "bad_file": 1, "not_http": 500}}
    (warning,) = said(facts)
    assert warning.startswith("The input was not read completely: 3 files or parts of files are damaged")


def test_what_is_no_regular_file_is_warned_of():
    (warning,) = said(facts_of() | {"passed_over": {"broken link": 2, "FIFO": 1}})
    assert warning.startswith(
        "Some inputs were not read, because they are not regular files or hold no pairs: 2 broken links, 1 FIFO."
    )


def test_lists_that_exclude_nothing_are_warned_of():
    facts = facts_of()
    lists = [{"name": name, "values": 2, "found": found} for name, found in (("a.txt", 0), ("b.txt", 3), ("c.txt", 0))]
    lists.append({"name": "says-so.txt", "values": 0, "found": 0})  # a comment alone
    facts["gate"] = facts["gate"] | {"lists": [{"option": "decontaminate_texts", "name": "d.txt", "found": 0}]}
    (warning,) = said(facts | {"exclusion_lists": lists})
    assert warning.startswith(
        "Some lists name nothing that was read: --exclude a.txt, --exclude c.txt, --decontaminate-texts d.txt."
    )
    facts["gate"] = facts["gate"] | {"lists": []}
    assert said(facts | {"exclusion_lists": lists[1:2]}) == []


def with_entry(entry: str):
    """Return a run in which this entry is in an implausible share of the English texts."""
    return finished({"en": [entry, "dog"]}, [4_100, 30])


def test_a_warning_shows_a_hostile_entry_as_text_in_a_direction_of_its_own():
    html = render(*with_entry(ONE), []).partition('<h2 id="warnings">Warnings</h2>')[2].partition("<h2")[0]
    assert f"English (20,000 texts: “{ONE}” 20.5 %)" in Page(html).text
    assert [name for name, _ in Page(html).elements if name != "p"] == ["bdi", "span", "span"]


def test_a_hostile_entry_neither_breaks_nor_turns_its_line_of_the_console():
    facts = with_entry("a\x1b[2J\n\u202eb\u2028")[0].run_json
    (line,) = [line for line in summary(facts).split("\n") if "implausible" in line]
    assert r"English (20,000 texts: “a\u001b[2J\u000a\u202eb\u2028” 20.5 %" in line
    assert line.endswith("max_images_per_domain:1000.")


def test_evaluation_sets_without_hashes_of_mirror_images_are_warned_of():
    facts = facts_of() | {"gate": {"unmirrored": {"flowers": 1_030, "<b>": 1}}}
    (warning,) = said(facts)
    assert warning == (
        "Mirrored copies were not looked for, because these evaluation sets have no column phash_mirrored: flowers "
        "(1,030), <b> (1). Hash these sets again with clip-hash --overwrite."
    )


def test_the_page_has_every_warning_of_run_json():
    run, rates = with_entry("dog & cat")
    text = page(run, rates).text
    assert len(run.run_json["warnings"]) > 1
    assert [warning for warning in run.run_json["warnings"] if warning not in text] == []


def test_a_page_without_warnings_says_so():
    run, rates = finished({"en": ["dog", "cat", "the"], "he": ["כלב", "חתול", "של"]}, [300, 290, 400, 30, 31, 25])
    assert run.run_json["warnings"] == []
    assert "None. No language lacks entries" in page(run, rates).text
    assert "None. No language lacks entries" not in page(*with_entry("cat")).text


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"t": 150}, {"balance": False}),
        ({"entries": 0, "matches": 0, "top": []}, {"metadata_of": "en"}),
        ({"entries": 0, "matches": 0, "top": []}, {"merge_languages": True}),
    ],
)
def test_what_an_ablation_asks_for_is_not_warned_of(changes, asked):
    facts = facts_of(**changes)
    assert len(said(facts)) == 1
    assert said(facts | {"parameters": facts["parameters"] | asked}) == []
