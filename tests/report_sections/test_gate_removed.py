"""Of what a gate removed the report shows texts of each rule and thinned entries; nothing of the crawl acts there."""

import random
from dataclasses import replace

import numpy as np
import pyarrow as pa

from curation.plugins.report_sections.text_sections import (
    ENTRIES_SHOWN,
    PURPOSE,
    ROWS_SHOWN,
    THINNED_SHARE,
    first_rows,
    removed_section,
    some_of_each,
    thinned,
)
from curation.report.facts import Observed
from curation.report.page import render
from curation.schemas import GATE_REMOVED
from runtime.draws import draws
from runtime.storage.own_files import own_files
from tests.report.runs import Page, finished, hostile
from tests.support.finished_run import write_parts
from tests.support.hostile_strings import EVERY
from tests.support.in_turn import in_turn

RULES = [("conditions", "clip > 0.3"), ("conditions", "html"), ("domains", "at most 2 images of a registered domain")]


def gone(number: int, **more: str) -> dict:
    common = {"uid": f"{number:032x}", "url": f"http://a.example/{number}", "text": f"text {number % 7}"}
    step, rule = RULES[number % 3] if number % 100 else RULES[1]
    return common | {"language": "en", "page_url": None, "step": step, "rule": rule, "why": None} | more


def naive_first(rows: list[dict], seed: int) -> list[dict]:
    by_rule = {key: [row for row in rows if (row["step"], row["rule"]) == key] for key in RULES}
    return [row for key in RULES for row in sorted(by_rule[key], key=lambda row: _order(row, seed))[:ROWS_SHOWN]]


def _order(row: dict, seed: int) -> tuple:
    return draws(seed, PURPOSE, [row["uid"]])[0], row["uid"], row["text"]


def test_ten_texts_of_each_rule_are_drawn_however_rows_are_cut(tmp_path):
    rows = [gone(number // 2, text=f"text {number}") for number in range(500)]
    random.Random(1).shuffle(rows)
    for seed, files in ((0, 1), (0, 7), (3, 2)):
        folder = tmp_path / f"{seed}-{files}"
        write_parts(folder / "gate_removed", pa.RecordBatch.from_pylist(rows, GATE_REMOVED), files)
        (folder / "shown").mkdir()
        found = some_of_each(in_turn(), own_files(folder / "gate_removed", None, ""), seed, folder / "shown")
        assert found == naive_first(rows, seed)
    batches = pa.Table.from_pylist(rows, GATE_REMOVED).to_batches(9)
    assert first_rows(batches, 3).to_pylist() == naive_first(rows, 3)
    assert first_rows([batches[0].slice(0, 0)], 0).num_rows == 0
    assert some_of_each(in_turn(), [], 0, tmp_path / "none") == []


def test_entries_are_thinned_that_have_few_texts_left_and_the_largest_are_listed():
    run, _ = finished({"en": [f"e{number}" for number in range(60)], "ja": ["犬"]}, [*range(60), 5])
    chance = random.Random(2)
    before = np.array([chance.choice([0, number, 10 * number, 10 * number + 1, 500 - number]) for number in range(61)])
    before = np.append(np.maximum(before, run.counts.values)[:60], 50)
    found = thinned(before, run)
    left = run.counts.values
    few = [number for number in range(60) if before[number] and left[number] < THINNED_SHARE * before[number]]
    assert found.keys() == {"en"}
    assert found["en"]["seen"] == sum(each > 0 for each in before[:60])
    assert found["en"]["none"] + found["en"]["few"] == len(few)
    assert found["en"]["none"] == sum(run.counts.values[number] == 0 for number in few)
    assert (found["en"]["matches"], found["en"]["left"]) == (before[:60].sum(), sum(range(60)))
    top = sorted(few, key=lambda number: (-before[number], number))[:ENTRIES_SHOWN]
    assert [each["entry"] for each in found["en"]["top"]] == [f"e{number}" for number in top]
    assert [each["after"] for each in found["en"]["top"]] == top


def shown(run, rates, rows: list[dict], entries: dict) -> str:
    return render(
        replace(run, observed={"gate_removed": Observed(section=removed_section(rows, entries, run))}), rates, []
    )


def test_the_page_shows_rules_in_the_order_of_the_gate_and_nothing_of_the_crawl_acts_in_it():
    run, _, _ = hostile()
    columns = ("step", "rule", "url", "page_url", "uid", "language", "text", "why")
    rows = [gone(1, **dict.fromkeys(columns, text)) for text in EVERY]
    read = Page(removed_section(rows, thinned(20_000 + run.counts.values, run), run).html)
    assert not {tag for tag, _ in read.elements} & {"script", "style", "iframe", "img", "svg", "a", "link", "base"}
    assert not any(name.startswith("on") for _, attributes in read.elements for name in dict(attributes))
    order = [text for text in EVERY if text.strip()]
    assert [read.text.index(text) for text in order] == sorted(read.text.index(text) for text in order)


def test_texts_are_cut_and_a_gate_that_removed_nothing_says_so():
    run, rates = finished()
    text = Page(shown(run, rates, [gone(1, text="x" * 700)], {})).text
    assert "x" * 500 + "…" in text
    assert "x" * 501 not in text
    assert "None: the sample has no removed texts." in Page(shown(run, rates, [], {})).text
