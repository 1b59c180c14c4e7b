"""Kept rows of a low score are shown, the first ten of each language in the order of draws."""

from dataclasses import replace

import pyarrow as pa

from curation.plugins.report_sections.text_sections import ROWS_SHOWN, doubtful_section, first_doubtful
from curation.report.facts import Observed
from curation.report.page import render
from curation.schemas import CURATED
from tests.report.runs import Page, finished, row
from tests.support.hostile_strings import ONE


def with_counts(**doubtful):
    run, rates = finished()
    for code, more in doubtful.items():
        before = run.curated.by_language("kept_doubtful").get(code, 0)
        run.curated.add("kept_doubtful", more - before, language=code)
    return run, rates


def kept(number: int, code: str, score: float | None) -> dict:
    return row(f"text {number}", [0], language=code, lid_score=score, uid=str(number))


def batches(rows: list[dict], size: int = 7) -> list[pa.RecordBatch]:
    return pa.Table.from_pylist(rows, CURATED).to_batches(size)


def test_the_first_rows_of_each_language_are_found_however_they_are_cut():
    rows = [kept(i, "he" if i % 9 == 0 else "en", (0.4, None, 0.5, 0.9)[i % 4]) for i in range(200)]
    low = {
        code: [each for each in rows if each["language"] == code and each["lid_score"] == 0.4] for code in ("en", "he")
    }
    run, _ = with_counts(en=len(low["en"]), he=len(low["he"]))
    for size in (1, 7, 500):
        found = first_doubtful(batches(rows, size), run)
        assert {code: [each["uid"] for each in own] for code, own in found.items()} == {
            code: [each["uid"] for each in own[:ROWS_SHOWN]] for code, own in low.items()
        }


def test_no_more_is_read_than_needed():
    def reading():
        yield from batches([kept(0, "en", 0.4)])
        raise AssertionError

    assert [each["uid"] for each in first_doubtful(reading(), with_counts(en=1)[0])["en"]] == ["0"]
    assert first_doubtful(reading(), with_counts(en=0)[0]) == {}


def test_a_language_of_which_fewer_are_found_than_counted_shows_these():
    assert len(first_doubtful(batches([kept(i, "en", 0.1) for i in range(3)]), with_counts(en=9)[0])["en"]) == 3


def shown(run, rates, rows):
    return render(replace(run, observed={"doubtful": Observed(section=doubtful_section(rows, run))}), rates, [])


def test_the_page_shows_text_score_and_entries_and_nothing_of_the_crawl_acts_in_it():
    run, rates = with_counts(en=30)
    rows = [kept(0, "en", 0.41) | {"text": ONE + "x" * 160, "entries": [0, 4]}]
    html = shown(run, rates, {"en": rows})
    assert "<script>" not in html.partition('<h2 id="doubtful-rows">')[2].partition("<h2")[0]
    text = Page(html).text
    assert "English 30 of 300 kept rows, 10.0 %" in text
    assert "0.41" in text
    assert "dog, <script>alert(1)</script>" in text
    assert "xx…" in text
    assert "None: no row with a score below 0.5" in Page(shown(run, rates, {})).text
