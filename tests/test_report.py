"""The report of a run: what it says, that it says it of any run, and that nothing of the crawl can act in it."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import charts
from curation.balancing import Distribution, Thresholds, rates_of
from curation.config import CurationConfig
from curation.counting import EntryCounts
from curation.funnel import DROPPED
from curation.reasons import SHOWN_CHARACTERS, Match, highlighted
from curation.report import render, summary, write_report
from curation.run import Run
from metadata.entries import Entries
from metadata.languages import LANGUAGES
from metadata.tallies import Tallies

LISTS = {"en": ["dog", "cat", "the", "red dog", "<script>alert(1)</script>"], "he": ["כלב", "חתול"], "ja": ["犬", "猫"]}
COUNTS = [900, 40, 12_000, 7, 3, 500, 2, 60, 0]
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


def test_the_figures_of_a_column_end_below_each_other():
    lines = summary(finished()[0].run_json()).splitlines()
    heads, *rows = lines[next(i for i, line in enumerate(lines) if line.startswith("language")) :]
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
    assert [cell for _, cell in cells(next(line for line in lines if "other reasons" in line))] == [
        "17 other reasons",
        "85",
    ]
    others = next(line for line in lines if "others" in line)
    assert [cell for _, cell in cells(others)][:2] == [f"{len(LANGUAGES) - 7} others", f"{3 * (len(LANGUAGES) - 7)}"]


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
    attributes = {name for _, attributes in Page(html).elements for name in attributes}
    assert not attributes & {"href", "src", "srcset", "action", "data", "background"}
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
    assert "head102 entries with t texts or more" in text  # 5 texts each for c and d
    assert "tail32 rarer entries seen" in text  # 1 + 2
    assert "expected322images" in text


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([0, 2, 3], "“red dog” is in 7 texts, not more than t = 20: all of them are kept."),
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
    assert "language given by the input" in text
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
    assert reasons == set(DROPPED)


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
