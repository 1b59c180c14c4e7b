"""The page: what it says of any run, and that nothing of the crawl can act in it."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from curation.config import CurationConfig
from curation.exclusion import REASONS as EXCLUDED
from curation.images.combining import OVER_LIMIT
from curation.images.grouping import DUPLICATE
from curation.inputs import limits
from curation.inputs.candidates import CHECKS
from curation.inputs.crawl import warc, wat
from curation.inputs.crawl.page_candidates import BAD_URL
from curation.language.label_decisions import REASONS as JUDGED
from curation.plugins.report_sections.alignment import Classes, alignment, section
from curation.report.charts import DROPPED, UNDETERMINED
from curation.report.facts import Observed
from curation.report.page import render, write_report
from tests.report.runs import Page, finished, hostile, page, row
from tests.support.hostile_strings import EVERY, YAML

REFERENCES = {"src", "srcset", "action", "data", "background", "xlink:href", "ping", "formaction"}


def test_what_comes_from_outside_is_text_and_nothing_else():
    run, rates, rows = hostile()
    classes = Classes(tuple(EVERY), tuple((text,) for text in EVERY))
    counts = {"pool": np.arange(len(EVERY) + 2), "manifest": np.arange(len(EVERY) + 2)}
    figures = section({"en": alignment(classes, counts)})
    attacked = page(replace(run, observed={"alignment": Observed(section=figures)}), rates, rows)
    assert attacked.scripts == page(*finished()).scripts
    for text in EVERY:
        assert attacked.text.count(text) >= 8 or text in YAML.values(), text
    assert not [name for name, _ in attacked.elements if name in ("img", "iframe", "link", "base")]
    assert not [name for _, attributes in attacked.elements for name in attributes if name.startswith("on")]
    assert attacked.open == []


def test_alignment_is_shown_where_classes_are_given():
    run, rates = finished()
    assert not [each for each in page(run, rates).named("h2") if each.get("id") == "alignment"]
    classes = Classes(("dog", "cat", "cow"), ())
    counts = {"pool": np.array([200, 94, 90, 5, 0]), "manifest": np.array([50, 25, 20, 5, 0])}
    both = {"en": alignment(classes, counts), "ja": alignment(classes, counts | {"pool": counts["pool"] * 0})}
    shown = page(replace(run, observed={"alignment": Observed(section=section(both))}), rates)
    assert (
        len(shown.named("figure")) == len(page(run, rates).named("figure")) + 1
    )  # no chart of a language without texts
    assert all(figure in shown.text for figure in ("2 (66.7 %)", "47.0 %", "50.0 %"))


def test_the_page_names_nothing_outside_itself():
    run, rates = finished()
    html = render(run, rates, [row("the dog", [0, 2], url="javascript:alert(1)")])
    elements = Page(html).elements
    assert all(attributes["href"].startswith("#") for _, attributes in elements if "href" in attributes)
    assert not {name for _, attributes in elements for name in attributes} & REFERENCES
    assert "url(" not in html
    assert "@import" not in html


def test_the_browser_may_run_the_pages_own_script_only():
    read = page(*finished())
    policy = next(each["content"] for each in read.named("meta") if "http-equiv" in each)
    digest = b64encode(sha256("".join(read.scripts).encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert len(read.named("script")) == 1


def test_texts_entries_and_addresses_have_a_direction_of_their_own():
    run, rates = finished()
    html = render(run, rates, [row("כלב אדום", [5], language="he")])
    assert '<p class="text" lang="he" dir="auto"><mark' in html
    assert re.search('<bdi dir="auto"[^>]*>כלב</bdi>', html)
    assert '<code dir="auto">http://a.example/1.jpg</code>' in html


def test_a_path_that_is_no_utf8_is_written_escaped(tmp_path):
    run, rates = finished(inputs=[{"path": "/data/caf\udce9.csv", "size": 5}])
    write_report(tmp_path / "report.html", run, rates, [])
    assert r"/data/caf\udce9.csv" in (tmp_path / "report.html").read_text("utf-8")


def test_the_table_of_languages_holds_the_numbers_it_is_sorted_by():
    table = render(*finished(), []).partition('<table id="languages"')[2].partition("</table>")[0]
    english, hebrew, japanese, sums = table.split("<tr>")[2:]
    values = [re.findall('<td(?: data-value="([^"]*)")?>', each) for each in (english, hebrew, japanese, sums)]
    share = str(10 / 12_950)
    assert values[0][:10] == ["20000", "300", "20", share, "12500", "0.625", "0.9", "310.5", "20000", "5"]
    assert values[1][:9] == ["1000", "12", "2", "0.0", "501", "0.501", "", "11", "0"]
    assert values[2][:9] == ["0", "0", "60", "0.0", "0", "", "", "0", "0"]
    assert values[3][:10] == ["21000", "312", "", "", "13001", str(13001 / 21000), "", "321.5", "20000", "9"]


def test_the_table_of_doubts_has_the_languages_with_texts():
    table = render(*finished(), []).partition('<h2 id="doubtful">')[2].partition("</table>")[0]
    english, hebrew, sums = table.split("<tr>")[2:]
    values = [re.findall('<td(?: data-value="([^"]*)")?>', each) for each in (english, hebrew, sums)]
    assert values[0] == ["20000", "20000", "0.25", "40", "300", "30", "4"]
    assert values[1] == ["1000", "0", "", "0", "12", "0", "0"]
    assert values[2] == ["21000", "20000", "0.25", "40", "312", "30", "4"]


def test_the_largest_languages_have_plots_and_lists():
    text = page(*finished()).text
    assert "English 5 entries seen, 12,950 matches, tail share 0.077 %" in text
    assert "Japanese 1 entries seen" in text
    assert re.search(r"the\s*12,000\s*4,000", text)


def test_head_and_tail_are_summed_up_beside_what_is_expected():
    run, rates = finished({"en": ["a", "b", "c", "d"]}, [1, 2, 7, 10], english_threshold=5)
    text = page(run, rates).text
    assert "head102 entries in t texts or more" in text  # 5 texts each for c and d
    assert "tail32 rarer entries seen" in text  # 1 + 2
    assert "head + tail130.0 times the expected images" in text
    assert "expected322images" in text


def test_the_page_says_how_long_to_train_for_english_to_be_seen_as_often():
    text = " ".join(page(*finished()).text.split())
    assert "96.2 % of the images are kept with an English text." in text  # 300 of 312
    assert "training needs 1.04 times as many pairs" in text


def test_many_inputs_are_named_by_number():
    run, rates = finished(inputs=[{"path": f"/data/{i}.parquet", "size": 1_000 * i} for i in range(1_020)])
    text = page(run, rates).text
    assert "/data/19.parquet 19,000 bytes" in text
    assert "and 1,000 more" in text
    assert "/data/20.parquet" not in text


def test_every_reason_to_drop_has_an_explanation():
    sources = [path.read_text("utf-8") for path in Path(str(files("curation"))).rglob("*.py")]
    keys = [key for source in sources for key in re.findall(r'\["dropped", (.+?)\]', source)]
    reasons = {reason for key in keys for reason in re.findall(r'"(\w+)"', key)}
    reasons |= {*re.findall(r'return "(\w+)"', Path(warc.__file__).read_text("utf-8"))}
    assert len(reasons) > 10
    assert reasons | {*CHECKS, *wat.REASONS, BAD_URL, OVER_LIMIT, DUPLICATE, *EXCLUDED} == set(DROPPED)


def test_every_reason_for_which_a_text_is_undetermined_has_a_meaning_and_is_shown():
    assert set(UNDETERMINED) == set(JUDGED)
    run, rates = finished()
    run.matched.add("undetermined", 1_734, item="script")
    text = page(run, rates).text
    assert UNDETERMINED["script"] in text
    assert "1,734" in text
    assert "Undetermined texts" not in page(*finished()).text


def test_every_reason_that_counts_as_damage_has_an_explanation():
    assert {*limits.BAD_FILES, *limits.BAD_RECORDS} <= set(DROPPED)


def test_cut_texts_repeated_requests_and_damaged_inputs_are_named():
    run, rates = finished()
    run.matched.count({"cut_text": 1_003, "retries": 7, ("dropped", "truncated"): 1})
    run.matched.note(limits.DAMAGED, ["/data/ü.wat.gz", 12, 0])
    facts = run.run_json
    assert (facts["cut_text"], facts["retries"], facts["damaged"]) == (1_003, 7, {"/data/ü.wat.gz": 12})
    text = page(run, rates).text
    assert "Texts longer than 8,192 characters were cut: 1,003." in text
    assert "Requests to servers that had to be repeated: 7." in text
    assert "The files with most damage are /data/ü.wat.gz (12)." in text


def test_links_of_the_page_lead_to_parts_of_it():
    elements = page(*finished()).elements
    names = {attributes["id"] for _, attributes in elements if "id" in attributes}
    wanted = [attributes["href"].removeprefix("#") for name, attributes in elements if name == "a"]
    assert len(wanted) > 8
    assert set(wanted) <= names


def test_the_page_begins_with_the_policy_by_name_and_when_the_run_was_made():
    run, rates = finished()
    gate = {"tables": [], "conditions": [], "texts": [], "policy": ["recommended", "min_words:3"]}
    text = page(replace(run, gate=gate, made={"at": "2026-12-01T21:41:31+00:00"}), rates).text
    assert "seed 0 · policy recommended min_words:3 · made 2026-12-01 at 21:41 UTC with clip-curation " in text


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, "2 files · English threshold 20,000 · rules unicode · seed 0"),
        ({"target_size": 5_000}, "2 files · target size 5,000 images · rules unicode · seed 0"),
        ({"tail_share": 0.06, "rules": "meta", "seed": 7}, "2 files · tail share 6.0 % · rules meta · seed 7"),
    ],
)
def test_the_page_begins_with_what_was_asked_for(parameters, expected):
    run, rates = finished()
    assert expected in page(replace(run, config=CurationConfig(**parameters)), rates).text


def test_every_column_of_the_table_of_languages_is_explained_without_pointing_at_it():
    html = render(*finished(), [])
    legend = html.partition('<details class="legend">')[2].partition("</details>")[0]
    headings = re.findall('<th title="([^"]*)" scope="col"><button type="button">([^<]*)', html)
    assert len(headings) == 12
    assert re.findall("<dt>([^<]*)</dt><dd>([^<]*)</dd>", legend) == [(name, hint) for hint, name in headings]
