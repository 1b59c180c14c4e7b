"""The report counts probabilities of texts by language, and shows the texts next to the number of a judging rule."""

from collections import Counter

import pyarrow as pa

from curation.plugins.gate.filters import ImageBatch
from curation.plugins.gate.judge.judge import JudgedOutput, standard
from curation.plugins.gate.judge.report_section import (
    DRAW_OF_SHOWN,
    PROBABILITY_STEPS,
    SHOWN_TEXTS,
    count_probabilities,
    histograms,
    nearest,
    note_passed,
    note_removed,
    spaced,
)
from curation.schemas import GATE_REMOVED, MATCHED
from runtime.draws import draws
from runtime.storage.own_files import own_files
from tests.support.checkout import ROOT
from tests.support.finished_run import write_parts

RULES = {"junk:40": JudgedOutput("junk", 40), "headline:30": JudgedOutput("headline", 30)}
WORDS = (
    "logo",
    "icon",
    "a black dog on the sofa",
    "Prime minister resigns over budget",
    "menu",
    "dog",
    "avatar of Kim",
)


def image(number: int) -> dict:
    texts = [f"{WORDS[(number + more) % 7]}{' x' * (number % 5)}" for more in range(number % 3 + 1)]
    candidates = [
        {"text": text, "kind": "alt", "language": "en" if number % 4 else "de", "entries": []} for text in texts
    ]
    stated = {"stated_width": 10 * number + 1, "stated_height": 90, "signals": number % 9}
    return {"uid": f"{number:032x}", "url": f"https://a.example/{WORDS[number % 7][:4]}{number}.png", **stated,
            "page_url": f"https://b.example/{number}" if number % 2 else None, "candidates": candidates}  # fmt: skip


def naive_percents(batch: pa.RecordBatch, rule: JudgedOutput) -> list[tuple[int, dict, dict]]:
    rows = [(batch.slice(at, 1), row) for at, row in enumerate(batch.to_pylist())]
    return [
        (int(100 * share), row, text)
        for one, row in rows
        for share, text in zip(
            rule.probabilities(ImageBatch.of(one)),
            row["candidates"],
            strict=True,
        )
    ]


def test_probabilities_are_counted_by_language_and_the_nearest_texts_below_the_number_are_noted(tmp_path):
    batch = pa.RecordBatch.from_pylist([image(number) for number in range(80)], MATCHED)
    write_parts(tmp_path / "matched", batch, 1)
    (file,) = own_files(tmp_path / "matched", None, "")
    counts, noted = count_probabilities(file, RULES), note_passed(file, RULES, 3)
    for name, rule in RULES.items():
        percents = naive_percents(batch, rule)
        steps = Counter((text["language"], percent * PROBABILITY_STEPS // 100) for percent, _, text in percents)
        expected = {code: [steps[code, step] for step in range(PROBABILITY_STEPS)] for code in ("en", "de")}
        assert histograms(counts, name, ["en", "fr", "de"]) == expected
        below = [(-percent, draws(3, DRAW_OF_SHOWN, [row["uid"]])[0], row["uid"], text["text"])
                 for percent, row, text in percents if percent < rule.percent]  # fmt: skip
        assert len(below) > SHOWN_TEXTS
        shown = nearest(noted.noted(name), rule.percent)
        assert [(row["uid"], row["percent"]) for row in shown] == [
            (row[2], -row[0]) for row in sorted(below)[:SHOWN_TEXTS]
        ]
        assert all(row["why"].startswith(f"{row['percent']} %: ") for row in shown)


def test_removed_texts_are_those_of_the_rule_with_the_smallest_probabilities(tmp_path):
    common = {"url": "https://a.example/a.png", "language": "en", "step": "conditions"}
    rows = [
        {
            **common,
            "uid": f"{at:032x}",
            "text": "x" * 700,
            "rule": [*RULES, "html"][at % 3],
            "why": f"{99 - at} %: words 1",
        }
        for at in range(50)
    ]
    write_parts(tmp_path / "gate_removed", pa.RecordBatch.from_pylist(rows, GATE_REMOVED), 1)
    (file,) = own_files(tmp_path / "gate_removed", None, "")
    shown = nearest(note_removed(file, RULES, 0).noted("junk:40"), 40)
    assert [row["percent"] for row in shown] == [*range(51, 51 + 3 * SHOWN_TEXTS, 3)]
    assert {row["text"] for row in shown} == {"x" * 500}


def test_of_many_files_some_are_read_evenly_spaced():
    assert spaced([]) == []
    assert spaced([*range(5)]) == [*range(5)]
    assert spaced([*range(640)])[::21] == [0, 213, 426, 639]


def test_the_page_says_from_which_rows_the_weights_were_learnt():
    facts, page = standard().facts, (ROOT / "docs" / "how-to" / "judge.md").read_text("utf-8")
    labels, tables = facts["labels"], facts["rows"] - facts["of_pages"]
    rows = f"{facts['rows']:,} rows of {facts['sites']:,} sites in {len(facts['languages'])} languages"
    assert rows in page
    assert f"{tables:,} of them of tables" in page
    assert f"{labels['j']:,} junk, {labels['h']:,} headlines, {labels['d']:,} that describe" in page
