"""The tool that trains the judge gives the shipped weights, and a judge of one's own rows."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from curation.plugins.gate.judge.judge import Judge, standard
from tests.support.captions import rows_of, run, write_pairs
from tests.support.crawl_records import PAGE, warc
from tests.support.refusals import refusal

pytest.importorskip("scipy")

from tools.train_judge import LABELS, SCHEMA, WEIGHTS, main

IMAGES = "https://example.org/news/"
ALTS = [
    ("logo", "j"),
    ("menu icon", "j"),
    ("a dog in a garden", "d"),
    ("Minister resigns", "h"),
    ("a cat on a sofa", "d"),
]
COLUMNS = ["label", "url", "text", "page_url"]


def write_rows(path: Path, rows: list[list[str]], columns: list[str] = COLUMNS) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def ten_rows(page: str) -> list[list[str]]:
    """Return five rows of a page, four of tables, and one whose page is in no file; and one that nobody labels."""
    of_page = [[label, f"{IMAGES}{number}.jpg", text, page] for number, (text, label) in enumerate(ALTS)]
    of_tables = [[label, f"http://a.example/{number}.png", text, ""] for number, (text, label) in enumerate(ALTS[:4])]
    lost = ["d", f"{IMAGES}9.jpg", "a horse", "http://lost.example/"]
    return [*of_page, *of_tables, lost, ["?", "http://a.example/x.png", "a fish", ""]]


def write_page(path: Path) -> Path:
    images = "".join(f'<img src="{n}.jpg" alt="{text}" width=9{n} height=90>' for n, (text, _) in enumerate(ALTS))
    path.write_bytes(warc(f"<html><body><article>{images}<img src=1.jpg alt=again></article></body></html>"))
    return path


@pytest.mark.soak
def test_the_shipped_judge_is_learnt_from_the_rows_of_the_repository(tmp_path, capsys):
    main(["--output", str(tmp_path / "judge.json")])
    learnt = Judge.read(tmp_path / "judge.json")
    facts = standard().facts
    assert learnt.facts == facts
    # Processors round sums of floats differently, so some of 92,000 weights are one step apart.
    apart = np.abs(learnt.weights.astype(int) - standard().weights)
    assert apart.max() <= 1
    assert np.count_nonzero(apart) < 200
    assert learnt.step == pytest.approx(standard().step, rel=1e-3)
    assert learnt.bias == pytest.approx(standard().bias, rel=1e-2)
    assert f"trained on {facts['rows']:,} rows of {facts['sites']:,} sites" in capsys.readouterr().out


def test_a_judge_of_ten_rows_is_used_by_a_run(engine, tmp_path):
    rows, page = write_rows(tmp_path / "rows.csv", ten_rows(PAGE)), write_page(tmp_path / "page.warc.gz")
    asked = [
        str(rows),
        str(page),
        "--alone",
        "--output",
        str(tmp_path / "my.json"),
        "--rows",
        str(tmp_path / "rows.parquet"),
    ]
    main(asked)
    judge = Judge.read(tmp_path / "my.json")
    assert judge.facts["labels"] == {"d": 4, "h": 2, "j": 4}
    assert (judge.facts["rows"], judge.facts["of_pages"], judge.facts["sites"]) == (10, 5, 3)
    learnt = pq.read_table(tmp_path / "rows.parquet")
    assert learnt.schema == SCHEMA
    assert [{*row["label"]} <= {*LABELS} for row in learnt.to_pylist()] == [True] * 10
    for row in learnt.to_pylist():  # a page has places, a size and a site
        assert (row["features"] == row["features_alone"]) != row["of_page"]
    first = (tmp_path / "my.json").read_bytes()
    main(asked)
    assert (tmp_path / "my.json").read_bytes() == first
    write_pairs(tmp_path / "pairs.parquet")
    results = run(engine, tmp_path, policy=["junk:99"], judge=str(tmp_path / "my.json"))
    assert results.facts["gate"]["judge"] == judge.digest
    assert rows_of(tmp_path / "run" / "gated")


def test_rows_of_pages_see_what_the_pages_state(tmp_path):
    rows, page = write_rows(tmp_path / "rows.csv", ten_rows(PAGE)), write_page(tmp_path / "page.warc.gz")
    tables = []
    for pages in ([str(page)], []):
        main(
            [
                str(rows),
                *pages,
                "--alone",
                "--output",
                str(tmp_path / "my.json"),
                "--rows",
                str(tmp_path / "rows.parquet"),
            ]
        )
        tables.append(pq.read_table(tmp_path / "rows.parquet").to_pylist())
    for with_page, without in zip(*tables, strict=True):
        assert without["features"] == without["features_alone"] == with_page["features_alone"]
        assert not without["of_page"]


def test_rows_of_others_are_learnt_beside_those_of_the_repository_in_any_alphabet(tmp_path, monkeypatch):
    few = pq.read_table(Path(WEIGHTS.parents[4]) / "tools" / "judge_rows.parquet").slice(0, 40)
    pq.write_table(few, tmp_path / "few.parquet")
    monkeypatch.setattr("tools.train_judge.ROWS", tmp_path / "few.parquet")
    rows = [["j", "関係/画像.png", "ロゴ", "", "ja"], ["d", "http://é.example", "", "", ""]]
    path = write_rows(tmp_path / "rows.csv", rows, [*COLUMNS, "language"])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as spreadsheets write it
    main([str(path), "--output", str(tmp_path / "my.json")])
    facts = json.loads((tmp_path / "my.json").read_bytes())["learnt_from"]
    assert facts["rows"] == 42
    assert facts["languages"]["ja"] == few["language"].to_pylist().count("ja") + 1
    assert sum(facts["languages"].values()) == 41


@pytest.mark.parametrize(
    ("rows", "columns", "sentence"),
    [
        (
            [["j", "http://a.example/b.png", "a"]],
            COLUMNS[:3],
            "rows.csv has no column page_url; it has label, url, text: ",
        ),
        ([["j", "u", "a", ""]], ["lable", *COLUMNS[1:]], "rows.csv has no column label; it has "),
        ([], COLUMNS, "rows.csv has no row with a label j, h, d: junk, a headline, or a description"),
        ([["x", "http://a.example/b.png", "a", ""]], COLUMNS, "has no row with a label j, h, d"),
        ([["j", "http://a.example/b.png", text, ""] for text in "abc"], COLUMNS, "all 3 rows of "),
        ([], [], "rows.csv has no column label or url or text or page_url; it has "),
    ],
)
def test_rows_from_which_nothing_can_be_learnt_are_refused(rows, columns, sentence, tmp_path, capsys):
    path = write_rows(tmp_path / "rows.csv", rows, columns)
    said = refusal(capsys, main, path, "--alone", "--output", tmp_path / "my.json")
    assert said.startswith("train_judge: ")
    assert sentence in said
    assert "\n" not in said
    assert not (tmp_path / "my.json").exists()


def test_files_that_cannot_be_read_are_refused(tmp_path, capsys):
    rows = write_rows(tmp_path / "rows.csv", ten_rows(PAGE))
    (tmp_path / "latin.csv").write_bytes("label,url,text,page_url\nj,u,ß,\n".encode("latin-1"))
    out = ["--alone", "--output", tmp_path / "my.json"]
    assert "none.csv cannot be read as CSV (" in refusal(capsys, main, tmp_path / "none.csv", *out)
    assert "latin.csv cannot be read as CSV (" in refusal(capsys, main, tmp_path / "latin.csv", *out)
    assert "none.warc.gz cannot be read (" in refusal(capsys, main, rows, tmp_path / "none.warc.gz", *out)
    assert not (tmp_path / "my.json").exists()


def test_without_scipy_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("runtime.packages.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    rows = write_rows(tmp_path / "rows.csv", ten_rows(PAGE))
    said = refusal(capsys, main, rows, "--alone", "--output", tmp_path / "my.json")
    assert said == "train_judge: scipy is not installed: pip install scipy"


def test_equal_rows_of_all_labels_give_a_judge_that_knows_nothing(tmp_path):
    rows = [[label, "http://a.example/b.png", "a dog", ""] for label in LABELS]
    main([str(write_rows(tmp_path / "rows.csv", rows)), "--alone", "--output", str(tmp_path / "my.json")])
    assert not Judge.read(tmp_path / "my.json").weights.any()
