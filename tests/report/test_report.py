"""The report of a run: what it says, that it says it of any run, and that nothing of the crawl can act in it."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files
from itertools import dropwhile, takewhile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.balancing.counts import EntryCounts
from curation.balancing.thresholds import Distribution, Thresholds, rates_of
from curation.config import CurationConfig
from curation.exclusion import REASONS as EXCLUDED
from curation.inputs import limits
from curation.report import charts
from curation.report.facts import Run
from curation.report.funnel import DROPPED, warnings
from curation.report.page import render, summary, write_report
from curation.report.reasons import SHOWN_CHARACTERS, SHOWN_ROWS, Match, highlighted, in_turns
from curation.report.sections import UNREMARKABLE, notices
from metadata.entries import Entries
from metadata.languages import LANGUAGES
from runtime.tallies import Tallies

LISTS = {"en": ["dog", "cat", "the", "red dog", "<script>alert(1)</script>"], "he": ["כלב", "חתול"], "ja": ["犬", "猫"]}
COUNTS = [900, 40, 12_000, 7, 3, 500, 2, 60, 0]
REFERENCES = {"src", "srcset", "action", "data", "background", "xlink:href", "ping", "formaction"}
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u202e"


def tallies(of_language=None, **sums) -> Tallies:
    rows = [{"name": name.replace("__", "."), "language": None, "value": value} for name, value in sums.items()]
    for code, named in (of_language or {}).items():
        rows += [{"name": f"language.{name}", "language": code, "value": value} for name, value in named.items()]
    return Tallies(rows)


def finished(
    lists=LISTS, counts=COUNTS, english_threshold=20, inputs=(), dropped=(("not_http", 1_234),)
) -> tuple[Run, np.ndarray]:
    entries = Entries.build(lists)
    counts = EntryCounts(np.array(counts, np.int64), entries.digest)
    thresholds = Thresholds.of(counts.by_language(entries.languages), english_threshold)
    of_language = {"en": {"texts": 20_000, "identified": 20_000, "matched": 12_500, "score": 18_000.0}}
    of_language["he"] = {"texts": 1_000, "identified": 0, "matched": 501}
    reasons = {f"dropped__{reason}": number for reason, number in dropped}
    matched = tallies(of_language, files=2, pages=70, pairs=30_000, images=20_500, texts=21_000, **reasons)
    kept = {"en": {"kept": 300, "expected": 310.5}, "he": {"kept": 12, "expected": 11.0}}
    curated = tallies(kept, images=13_000, kept=312, expected=321.5, variance=289)
    run = Run(
        CurationConfig(), {"inputs": list(inputs), "metadata": "d1"}, entries, counts, thresholds, matched, curated
    )
    return run, rates_of(counts.values, entries.languages, thresholds)


def nothing_read() -> tuple[Run, np.ndarray]:
    run, _ = finished(counts=[0] * 9)
    none = Run(run.config, run.made_from, run.entries, run.counts, run.thresholds, Tallies(), Tallies())
    return none, np.ones(9, np.float32)


def row(text, entries, **other) -> dict:
    address = {"url": "http://a.example/1.jpg", "page_url": "http://a.example/"}
    common = {"uid": "0" * 32, "language": "en", "lid_score": 0.9, "probability": 0.5, **address}
    return {**common, "text": text, "entries": entries, **other}


class Page(HTMLParser):
    """Elements with their attributes, in order; what they hold; and whether each was closed."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.text, self.scripts = [], [], "", []
        self.feed(html)
        self.close()

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in ("meta", "input"):
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if "script" in self.open:
            self.scripts.append(data)
        elif "style" not in self.open:
            self.text += data

    def named(self, name):
        return [attributes for own, attributes in self.elements if own == name]


def page(run, rates, samples=()) -> Page:
    return Page(render(run, rates, list(samples)))


def cells(line: str) -> list[tuple[int, str]]:
    """Return end and content of the cells of a line: what two spaces or more stand between."""
    return [(match.end(), match.group()) for match in re.finditer(r"\S+(?: \S+)*", line)]


# --- the console ---


def test_the_summary_tells_each_step_with_its_share():
    lines = [[cell for _, cell in cells(line)] for line in summary(finished()[0].run_json()).splitlines()]
    assert ["pairs", "30,000"] in lines
    assert ["matched texts", "13,001", "61.9 % of texts"] in lines
    assert ["kept images", "312", "2.4 % of matched images; 322 ± 17 expected"] in lines
    assert ["not_http", "1,234"] in lines
    assert ["English (en)", "20,000", "62.5 %", "0.90", "20", "0.077 %", "300"] in lines
    assert ["Hebrew (he)", "1,000", "50.1 %", "–", "2", "0.0 %", "12"] in lines


def test_after_a_download_summary_and_page_say_which_images_exist():
    run, rates = finished()
    by_status = {"success": 13_000, "failed_to_download": 4_000, "<b>": 1_000, "not_tried": 2_000}
    run = replace(run, downloads={"folders": ["images é"], "images": by_status})
    rows = run.run_json()["rows"]
    assert (rows["matched"], rows["existing"], rows["kept"]) == (20_000, 13_000, 312)
    lines = [[cell for _, cell in cells(line)] for line in summary(run.run_json()).splitlines()]
    failures = "4,000 failed_to_download, 1,000 <b>, 2,000 not_tried"
    assert ["existing images", "13,000", f"65.0 % of matched images; {failures}"] in lines
    assert ["kept images", "312", "2.4 % of existing images; 322 ± 17 expected"] in lines
    shown = page(run, rates)
    assert f"65.0 % of matched images; {failures}" in shown.text
    assert "of existing images" in shown.text
    assert "images é" in shown.text


def test_the_figures_of_a_column_end_below_each_other():
    lines = summary(finished()[0].run_json()).splitlines()
    heads, *rows = takewhile(bool, dropwhile(lambda line: not line.startswith("language"), lines))
    assert len(rows) == 2
    for line in rows:
        assert [end for end, _ in cells(line)][1:] == [end for end, _ in cells(heads)][1:]


def test_the_summary_of_many_languages_and_reasons_stays_short():
    lists = {language.code: ["x"] for language in LANGUAGES}
    run, _ = finished(lists, range(len(LANGUAGES)), dropped=[(reason, 5) for reason in DROPPED])
    for language in LANGUAGES:
        run.matched.add("language.texts", 3, language.code)
    run.matched.add("dropped.bad_json", 1)
    lines = summary(run.run_json()).splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 100
    reasons, languages = ([cell for _, cell in cells(line)] for line in lines if "more" in line)
    assert reasons == [f"{len(DROPPED) - 4} more", f"{5 * (len(DROPPED) - 4)}"]
    assert languages[:2] == [f"{len(LANGUAGES) - 7} more", f"{3 * (len(LANGUAGES) - 7)}"]


def test_the_summary_can_be_made_from_run_json_as_it_was_written():
    facts = finished()[0].run_json()
    assert summary(json.loads(json.dumps(facts))) == summary(facts)


def test_the_summary_ends_with_the_notes():
    facts = finished()[0].run_json() | {"notes": ["Something worth knowing. " * 8]}
    assert summary(facts).splitlines()[-1].startswith("Something worth knowing.")
    assert max(map(len, summary(facts).splitlines())) <= 100


def test_a_run_that_read_nothing_has_a_summary_and_a_report():
    run, rates = nothing_read()
    assert "kept images" in summary(run.run_json())
    text = page(run, rates).text
    assert "Nothing was dropped." in text
    assert "Nothing was kept." in text
    assert "No text has a match." in text


# --- the page ---


def test_what_stands_in_the_crawl_is_text_and_nothing_else():
    inputs = [{"path": f"/data/{HOSTILE}.wat.gz", "size": 5}]
    run, rates = finished({"en": [HOSTILE, "dog"]}, [3, 9], inputs=inputs, dropped=[(HOSTILE, 1)])
    hostile = row(f"a dog {HOSTILE} and more", [0, 1], url=HOSTILE, page_url=HOSTILE, uid=HOSTILE, language=HOSTILE)
    clean, attacked = page(*finished({"en": ["x", "dog"]}, [3, 9])), page(run, rates, [hostile])
    assert attacked.scripts == clean.scripts
    assert attacked.text.count("<script>alert(1)</script>") >= 8
    assert not attacked.named("img")
    assert not [name for _, attributes in attacked.elements for name in attributes if name.startswith("on")]
    assert attacked.open == []


def test_the_page_names_nothing_outside_itself():
    run, rates = finished()
    html = render(run, rates, [row("the dog", [0, 2], url="javascript:alert(1)")])
    elements = Page(html).elements
    assert all(attributes["href"].startswith("#") for _, attributes in elements if "href" in attributes)
    assert not {name for _, attributes in elements for name in attributes} & REFERENCES
    assert "url(" not in html
    assert "@import" not in html


def test_the_browser_is_told_to_run_the_pages_own_script_only():
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
    assert values[0][:6] == ["20000", "20000", "0.9", "12500", "0.625", "5"]
    assert values[1][:5] == ["1000", "0", "", "501", "0.501"]
    assert values[2][:5] == ["0", "0", "", "0", ""]
    assert values[3][:6] == ["21000", "20000", "", "13001", str(13001 / 21000), "9"]


def test_the_largest_languages_have_plots_and_lists():
    text = page(*finished()).text
    assert "English 5 entries seen, 12,950 matches, tail share 0.077 %" in text
    assert "Japanese 1 entries seen" in text
    assert re.search(r"the\s*12,000\s*0\.00167", text)


def test_head_and_tail_are_summed_up_beside_what_is_expected():
    run, rates = finished({"en": ["a", "b", "c", "d"]}, [1, 2, 7, 10], english_threshold=5)
    text = page(run, rates).text
    assert "head102 entries in t texts or more" in text  # 5 texts each for c and d
    assert "tail32 rarer entries seen" in text  # 1 + 2
    assert "head + tail130.0 times the images expected" in text
    assert "expected322images" in text


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([0, 2, 3], "“red dog” is in 7 texts, not more than t = 20, so it keeps every one."),
        ([2], "the rate of its one entry, “the”."),
        ([0, 2], "2 entries, each a chance; the best is “dog”."),
        ([], "Kept with π = 0.5."),
        (None, "Kept with π = 0.5."),
    ],
)
def test_a_sample_row_says_why_it_was_kept(entries, expected):
    assert expected in page(*finished(), [row("the red dog", entries)]).text


def test_a_row_whose_language_was_given_and_whose_page_is_unknown_says_so():
    text = page(*finished(), [row("the dog", [0], lid_score=None, page_url=None)]).text
    assert "language en, given by the input" in text
    assert "page http" not in text


def test_many_inputs_are_named_by_number():
    run, rates = finished(inputs=[{"path": f"/data/{i}.parquet", "size": 1_000 * i} for i in range(1_020)])
    text = page(run, rates).text
    assert "/data/19.parquet 19,000 bytes" in text
    assert "and 1,000 more" in text
    assert "/data/20.parquet" not in text


def test_every_reason_to_drop_has_an_explanation():
    sources = [path.read_text("utf-8") for path in files("curation").iterdir() if path.name.endswith(".py")]
    reasons = {reason for source in sources for reason in re.findall(r'"dropped\.(\w+)"', source)}
    assert len(reasons) > 10
    assert reasons | set(EXCLUDED) == set(DROPPED)


def test_every_reason_that_counts_as_damage_has_an_explanation():
    assert {*limits.BAD_FILES, *limits.BAD_RECORDS} <= set(DROPPED)


def test_texts_that_were_cut_tries_and_damaged_inputs_are_told():
    run, rates = finished()
    for name, value in {"cut_text": 1_003, "retries": 7, "damaged./data/ü.wat.gz": 12, "dropped.truncated": 1}.items():
        run.matched.add(name, value)
    facts = run.run_json()
    assert (facts["cut_text"], facts["retries"], facts["damaged"]) == (1_003, 7, {"/data/ü.wat.gz": 12})
    text = page(run, rates).text
    assert "Texts longer than 8,192 characters were cut: 1,003." in text
    assert "Servers had to be asked once more: 7 times." in text
    assert "The worst: /data/ü.wat.gz (12)." in text


def test_links_of_the_page_lead_to_parts_of_it():
    elements = page(*finished()).elements
    names = {attributes["id"] for _, attributes in elements if "id" in attributes}
    wanted = [attributes["href"].removeprefix("#") for name, attributes in elements if name == "a"]
    assert len(wanted) > 8
    assert set(wanted) <= names


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


def test_languages_take_turns_in_the_sample_rows_the_largest_first():
    languages = ["en", "he", "en", "en", "ja", "en", "he"]
    rows = in_turns([row(str(i), [], language=code) for i, code in enumerate(languages)])
    assert [each["text"] for each in rows] == ["0", "1", "4", "2", "6", "3", "5"]


def test_no_more_than_some_sample_rows_are_shown():
    read = page(*finished(), [row(f"the dog {i}", [0, 2]) for i in range(1_000)])
    assert len(read.named("article")) == SHOWN_ROWS


# --- warnings ---


def facts_of(**changes) -> dict:
    """Return the facts of a run of one language in which nothing is remarkable, but for `changes` of its row."""
    facts = finished()[0].run_json()
    usual = {"texts": 1_000, "identified": 1_000, "mean_score": 0.9, "matched": 600, "entries": 50, "matches": 900}
    top = [{"id": 0, "entry": "dog", "count": 300}]
    return facts | {"languages": {"sw": facts["languages"]["en"] | usual | {"t": 20, "top": top} | changes}}


def top(count: int, entry: str = "dog") -> list[dict]:
    return [{"id": 0, "entry": entry, "count": count}]


def test_a_run_in_which_nothing_is_remarkable_has_no_warning():
    assert warnings(facts_of()) == []
    assert "warnings" not in summary(facts_of())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"t": 300}, "Kept everything, as no entry is in more than t texts: Swahili (t = 300)"),
        ({"top": top(451)}, "One entry holds most matches: Swahili (dog, 50.1 % of 900 matches)"),
        ({"mean_score": 0.49}, "Low mean identification score: Swahili (0.49 over 1,000 texts)"),
        ({"matched": 199}, "Few texts match: Swahili (19.9 % with 50 entries)"),
        ({"entries": 0, "matches": 0, "top": []}, "No entries for Swahili (1,000 texts)"),
    ],
)
def test_a_language_that_calls_for_a_second_look_is_warned_of(changes, expected):
    facts = facts_of(**changes)
    (warning,) = warnings(facts)
    assert Page(warning).text.startswith(expected)
    assert "warnings  1, in the report" in summary(facts)


@pytest.mark.parametrize(
    "changes",
    [
        {"t": 299},
        {"top": top(450)},
        {"mean_score": 0.5},
        {"matched": 200},
        {"identified": 0, "mean_score": None},
        {"texts": 19, "identified": 19, "matched": 0, "matches": 0, "mean_score": 0.1, "top": []},
        {"matches": 19, "t": 20, "top": top(19)},
    ],
)
def test_a_language_at_the_border_or_of_few_texts_is_not_warned_of(changes):
    assert warnings(facts_of(**changes)) == []


def test_many_languages_with_one_fault_are_named_in_one_warning():
    facts = facts_of(mean_score=0.1)
    facts["languages"] = {language.code: facts["languages"]["sw"] for language in LANGUAGES[:40]}
    (warning,) = warnings(facts)
    assert warning.count("over 1,000 texts") == 6
    assert " and 34 more." in warning


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"texts": 0, "matched": 0, "kept": 0}, "the inputs hold no text"),
        ({"matched": 0, "kept": 0}, "no text holds an entry"),
        ({"matched": 7, "kept": 0}, "of 7 matched images"),
    ],
)
def test_a_run_that_kept_nothing_is_told_why(rows, expected):
    facts = facts_of()
    (warning,) = warnings(facts | {"rows": facts["rows"] | rows})
    assert expected in warning


def test_input_that_was_not_read_whole_is_warned_of():
    facts = facts_of() | {"dropped": {"truncated": 2, "bad_file": 1, "not_http": 500}}
    (warning,) = warnings(facts)
    assert warning.startswith("The input was not read whole: 3 of its files or their parts")


def test_a_warning_shows_a_hostile_entry_as_text_in_a_direction_of_its_own():
    (warning,) = warnings(facts_of(top=top(800, HOSTILE)))
    assert HOSTILE in Page(warning).text
    assert [name for name, _ in Page(warning).elements] == ["bdi"]


def test_a_page_without_warnings_says_so():
    assert Page(notices(facts_of())).text == UNREMARKABLE
    assert UNREMARKABLE not in Page(notices(facts_of(mean_score=0.1))).text


# --- marks ---


def marks(text: str, *entries: str) -> list[str]:
    html = highlighted(text, [Match(entry, 5, 0.5, 3) for entry in entries])
    return re.findall("<mark[^>]*>([^<]*)</mark>", html)


def test_an_entry_is_marked_where_it_is_a_word_rather_than_inside_of_one():
    assert highlighted("concatenate a cat", [Match("cat", 5, 0.5, 3)]).startswith("concatenate a <mark")


def test_an_entry_of_a_script_without_spaces_is_marked_inside_of_running_text():
    assert marks("美味しいラーメンです", "ラーメン") == ["ラーメン"]


def test_a_longer_entry_is_marked_before_one_inside_of_it():
    assert marks("a red dog, a dog", "dog", "red dog") == ["red dog", "dog"]


def test_an_entry_that_normalisation_found_is_not_marked():
    assert marks("Ｄｏｇ", "Dog") == []


def test_a_long_text_is_cut():
    html = highlighted("x" * SHOWN_CHARACTERS + " dog", [Match("dog", 5, 0.5, 3)])
    assert html == "x" * SHOWN_CHARACTERS + "…"


@given(st.text("ab <é犬", max_size=30), st.lists(st.text("ab <é犬", min_size=1, max_size=3), max_size=5))
def test_marking_changes_no_character_and_marks_entries_only(text, entries):
    html = highlighted(text, [Match(entry, 5, 0.5, 3) for entry in entries])
    assert Page(html).text == text
    for marked in re.findall("<mark[^>]*>([^<]*)</mark>", html):
        assert marked.replace("&lt;", "<") in entries


# --- plots ---


def points(svg: str, name: str) -> list[tuple[float, float]]:
    drawn = re.search(f'<polyline points="([^"]*)" class="line {name}"', svg).group(1)
    return [tuple(map(float, point.split(","))) for point in drawn.split()]


def test_a_logarithmic_axis_gives_each_decade_the_same_room():
    axis = charts.LogAxis(1_000, 0, 300)
    assert axis.place(np.array([1, 10, 100, 1_000])).tolist() == [0, 100, 200, 300]
    assert axis.ticks() == [(0, "1"), (100, "10"), (200, "100"), (300, "1k")]


def test_an_axis_may_begin_at_the_decade_of_its_smallest_value():
    axis = charts.LogAxis(10_000, 0, 200, low=250)
    assert axis.place(1_000) == 100
    assert [label for _, label in axis.ticks()] == ["100", "1k", "10k"]


def test_an_axis_of_many_decades_labels_some_of_them():
    assert len(charts.LogAxis(10**15, 0, 300).ticks()) <= 8


def test_the_lines_of_cumulative_mass_are_those_of_the_definition():
    counts, t = [1, 2, 7, 10], 5
    svg = charts.cumulative_mass(np.array(counts), t)
    height = charts.BOTTOM - charts.TOP
    for name, masses in (("before", [10, 7, 2, 1]), ("after", [5, 5, 2, 1])):
        shares = [sum(masses[: i + 1]) / sum(masses) for i in range(4)]
        drawn = [(charts.BOTTOM - y) / height for _, y in points(svg, name)]
        assert drawn == pytest.approx(shares, abs=0.001)
    assert "2 in the head" in svg


def test_the_line_of_counts_crosses_that_of_t_where_the_head_ends():
    counts = np.arange(1, 101)
    svg = charts.counts_by_rank(counts, 30)
    level = float(re.search('<line x1="[^"]*" y1="([^"]*)" x2="[^"]*" y2="[^"]*" class="t"', svg).group(1))
    border = charts.LogAxis(100, charts.LEFT, charts.RIGHT).place(71)  # the 71 counts from 30 to 100
    assert all((y <= level) == (x <= border + 0.1) for x, y in points(svg, "before"))


@pytest.mark.parametrize("counts", [[1], [5], [3, 3, 3], [1, 10**12]])
@pytest.mark.parametrize("t", [1, 4, 20_000, 10**13])
def test_plots_of_any_counts_stay_between_their_axes(counts, t):
    ascending = Distribution.of(counts).ascending
    for svg in (charts.counts_by_rank(ascending, t), charts.cumulative_mass(ascending, t)):
        for x, y in points(svg, "before"):
            assert charts.LEFT - 0.1 <= x <= charts.RIGHT + 0.1
            assert charts.TOP - 0.1 <= y <= charts.BOTTOM + 0.1


def test_the_plot_of_thresholds_has_a_dot_for_each_language_and_labels_that_do_not_meet():
    svg = charts.thresholds([("en", 9_000, 20), ("de", 8_900, 20), ("ja", 100, 3)])
    assert svg.count("<circle") == 3
    assert re.findall(">(en|de|ja)</text>", svg) == ["en", "ja"]
