"""The sample curated with each ablation: what is matched, which rates follow, and what run.json says of it."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from metadata.entries import read_lists
from tests.naive.ablations import naive_found, naive_rates_at
from tests.support.sample_runs import curated, facts
from tests.support.spark_jobs import run_here

T = 20


@pytest.fixture(scope="module")
def lists(sample) -> dict[str, str]:
    return {path.stem: str(path) for path in sorted((sample / "entries").glob("*.txt"))}


@pytest.fixture(scope="module")
def run(sample, lists, tmp_path_factory):
    """Curate the sample with switches, into one folder for each way of matching."""
    folder = tmp_path_factory.mktemp("ablations")

    def curate_sample(name: str, *switches) -> Path:
        if "balance=false" not in switches:
            switches = (*switches, "--english-threshold", T)
        entries = [f"{code}={path}" for code, path in lists.items()]
        output = folder / name
        inputs = ["--input", sample / "pairs", "--entries", *entries, "--output", output]
        assert run_here("jobs/curate.py", *inputs, *switches) == 0
        return output

    return curate_sample


def rows_of(output: Path, part: str) -> list[dict]:
    return pq.read_table(output / part).to_pylist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("switches", "variant", "words"),
    [
        pytest.param(
            ("--set", "metadata_of=en"),
            {"metadata_of": "en"},
            "every text against the entries of en",
            marks=pytest.mark.soak,  # takes the same way as the other
        ),
        (("--set", "merge_languages=true"), {"merge_languages": True}, "one list of all entries"),
    ],
)
def test_texts_of_all_languages_are_matched_against_one_list(run, lists, switches, variant, words):
    output = run(switches[1], *switches)
    counts = pq.read_table(output / "counts.parquet").to_pylist()
    assert len({row["language"] for row in counts}) == 1
    entries = {row["id"]: row["entry"] for row in counts}
    known = read_lists([f"{code}={path}" for code, path in lists.items()])
    texts = [text for row in rows_of(output, "matched") for text in row["candidates"]]
    assert len({text["language"] for text in texts}) > 3
    for text in texts[:: len(texts) // 200]:
        found = {entries[id] for id in text["entries"]}
        assert found == naive_found(text["text"], text["language"], known, **variant)
    rates = naive_rates_at({"one": [row["count"] for row in counts]}, T)["one"]
    assert np.allclose([row["rate"] for row in counts], rates)
    said = facts(output)
    assert said["parameters"].items() >= variant.items()
    assert said["made_from"].items() >= variant.items()
    assert words in (output / "report.html").read_text("utf-8")
    assert not any("No entries" in warning for warning in said["warnings"])


@pytest.mark.slow
def test_the_same_threshold_and_no_balance_start_from_what_is_matched(run):
    plain = run("own lists")
    kept = curated(plain)
    before = (plain / "matched" / "_folder.json").stat().st_mtime_ns
    same = facts(run("own lists", "--set", "threshold_per_language=same"))
    assert {row["t"] for row in same["languages"].values() if row["entries"]} == {T}
    assert same["parameters"]["threshold_per_language"] == "same"
    everything = facts(run("own lists", "--set", "balance=false"))
    assert everything["rows"]["kept"] == everything["rows"]["matched"]
    assert everything["expected"]["kept"] == pytest.approx(everything["rows"]["kept"])
    assert set(pq.read_table(plain / "counts.parquet")["rate"].to_pylist()) == {1.0}
    assert everything["parameters"]["balance"] is False
    assert "every match kept" in (plain / "report.html").read_text("utf-8")
    assert (plain / "matched" / "_folder.json").stat().st_mtime_ns == before
    assert curated(run("own lists")) == kept
