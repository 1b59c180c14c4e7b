"""The curate job: what it writes, that it writes the same bytes every time, and how it refuses."""

import json
import shutil
from collections import defaultdict
from hashlib import md5
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.balancing.thresholds import EntryCounts
from curation.inputs.files import find, read
from curation.plugins.report_sections.alignment import align, read_classes
from curation.run.results import Results
from curation.schemas import COUNTS, CURATED, MATCHED, SIGNALS
from runtime.storage.paths import names
from tests.naive.export import naive_existing
from tests.support.checkout import ROOT
from tests.support.in_turn import in_turn
from tests.support.sample_runs import break_off, curated, facts, inputs_done, regroup, times, unique_pairs, written
from tests.support.spark_jobs import run_here

CLASSES = ROOT / "tests" / "cases" / "classes"
AT_20 = ("--english-threshold", 20)


def arguments(sample: Path, output: Path, *more, inputs=None) -> list:
    entries = [f"{path.stem}={path}" for path in sorted((sample / "entries").glob("*.txt"))]
    inputs = inputs or [sample / "crawl", sample / "pairs"]
    return ["jobs/curate.py", "--input", *inputs, "--entries", *entries, "--output", output, *more]


@pytest.fixture(scope="module")
def run(sample, tmp_path_factory):
    """Curate the sample, or other inputs, into a new folder or the one given; return the folder."""

    def curate_sample(*more, output=None, cores=2, inputs=None) -> Path:
        output = output or tmp_path_factory.mktemp("run") / "out"
        flags = (*AT_20, "--cores", cores, *more)
        assert run_here(*arguments(sample, output, *flags, inputs=inputs)) == 0
        return output

    return curate_sample


@pytest.fixture(scope="module")
def first(run) -> Path:
    """The sample curated by two processes."""
    return run()


def test_the_output_is_what_the_format_says(first):
    assert pq.read_schema(first / "curated" / "00000.parquet").equals(CURATED)
    assert pq.read_table(first / "matched").schema.equals(MATCHED)
    assert pq.read_schema(first / "counts.parquet").equals(COUNTS)
    assert not (first / ".work").exists()
    assert (first / "report.html").read_text().lower().startswith("<!doctype html>")


def test_images_carry_what_any_of_their_pages_says(first, sample):
    said, pairs = defaultdict(int), 0
    for batch in (batch for source in find([str(sample / "crawl")]) for batch in read(source)):
        for row in (row for row in batch.to_pylist() if row["signals"]):
            said[md5(row["url"].encode()).hexdigest()] |= row["signals"]
            pairs += 1
    assert facts(first)["signals"] == {name: pairs if bit <= 2 else 0 for name, bit in SIGNALS.items()}
    images = pq.read_table(first / "matched").to_pylist()
    assert {row["uid"]: row["signals"] for row in images} == {row["uid"]: said[row["uid"]] for row in images}
    assert {row["signals"] for row in images} == {0, 3}


def test_the_figures_agree_with_the_files(first):
    rows, counts = facts(first)["rows"], EntryCounts.open(first / "counts.parquet").values
    matched = pq.read_table(first / "matched")
    entries = matched["candidates"].combine_chunks().flatten().field("entries")
    assert rows["kept"] == pq.read_table(first / "curated").num_rows
    assert rows["matched"] == matched.num_rows
    assert rows["matched_texts"] == len(entries)
    expected = np.bincount(entries.flatten().to_numpy(), minlength=len(counts))
    np.testing.assert_array_equal(counts, expected)
    ids = pq.read_table(first / "counts.parquet")["id"].to_numpy()
    np.testing.assert_array_equal(ids, np.flatnonzero(expected))


def test_the_kept_images_are_near_the_expected(first):
    expected = facts(first)["expected"]
    assert abs(facts(first)["rows"]["kept"] - expected["kept"]) < 4 * expected["standard_deviation"]


def test_each_curated_row_is_one_of_its_image_s_candidates(first):
    candidates = {row["uid"]: row["candidates"] for row in pq.read_table(first / "matched").to_pylist()}
    for row in pq.read_table(first / "curated").to_pylist():
        assert [row["text"], row["entries"]] in [[c["text"], c["entries"]] for c in candidates[row["uid"]]]


def test_no_language_with_matches_vanishes(first):
    languages = json.loads((first / "thresholds.json").read_text())["languages"]
    kept = set(pq.read_table(first / "curated")["language"].to_pylist())
    assert {code for code, row in languages.items() if row["matches"] > 100} <= kept


@pytest.mark.slow
def test_bytes_are_the_same_on_one_core_and_from_one_file_or_sixteen(first, run, sample, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    regroup(sample, whole, files=1)
    regroup(sample, parts, files=16)
    assert curated(run(cores=1, inputs=[whole])) == curated(first)
    assert curated(run(inputs=[parts])) == curated(first)


@pytest.mark.slow
def test_a_new_seed_or_threshold_costs_no_matching(first, run):
    before = {path: path.stat().st_mtime_ns for path in (first / "matched").iterdir()}
    bytes_before = curated(first)
    run("--seed", 1, output=first)
    assert curated(first) != bytes_before
    run(output=first)
    assert curated(first) == bytes_before
    assert {path: path.stat().st_mtime_ns for path in (first / "matched").iterdir()} == before


@pytest.mark.slow
def test_after_a_download_counting_and_sampling_run_over_the_images_that_exist(first, run, tmp_path):
    output = shutil.copytree(first, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (output / "matched").iterdir()}
    images = pq.read_table(output / "matched").to_pylist()
    words = ("failed_to_download", "success", "success")
    tried = [{"uid": image["uid"], "status": words[n % 3]} for n, image in enumerate(images[6:])]
    there = naive_existing(images, tried)
    (tmp_path / "images").mkdir()
    pq.write_table(pa.Table.from_pylist(tried), tmp_path / "images" / "00000.parquet")
    classes = [f"{code}={CLASSES / code}.txt" for code in ("en", "ja")]
    run("--status", tmp_path / "images", "--classes", *classes, output=output)
    assert {path: path.stat().st_mtime_ns for path in (output / "matched").iterdir()} == before
    assert pq.read_table(output / "gated").to_pylist() == there
    counts = np.zeros(facts(output)["metadata"]["entries"], np.int64)
    for text in (text for image in there for text in image["candidates"]):
        counts[text["entries"]] += 1
    assert EntryCounts.open(output / "counts.parquet").values.tolist() == counts.tolist()
    rows = facts(output)["rows"]
    assert (rows["matched"], rows["gated"], rows["matches"]) == (len(images), len(there), counts.sum())
    assert facts(output)["downloads"]["images"]["not_tried"] == 6
    kept = pq.read_table(output / "curated")["uid"].to_pylist()
    assert rows["kept"] == len(set(kept) & {image["uid"] for image in there}) == len(kept) > 0
    assert "6 not_tried" in (output / "report.html").read_text()
    assert facts(output)["alignment"] == align(in_turn(), Results.open(output), read_classes(classes))


@pytest.mark.slow
def test_a_target_size_is_met(sample, tmp_path):
    assert run_here(*arguments(sample, tmp_path / "out", "--target-size", 5000)) == 0
    expected = facts(tmp_path / "out")["expected"]
    assert expected["kept"] >= 5000
    assert abs(facts(tmp_path / "out")["rows"]["kept"] - 5000) < 4 * expected["standard_deviation"] + 100


@pytest.mark.slow
def test_both_engines_give_the_same_bytes_under_the_meta_rules(run):
    assert curated(run("--rules", "meta")) == curated(run("--rules", "meta", "--set", "matcher=ahocorasick"))


@pytest.mark.slow
def test_broken_files_are_counted_and_the_rest_is_kept(sample, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    first, second, third = sorted((sample / "crawl").glob("*.wat.gz"))
    (folder / "cut.wat.gz").write_bytes(first.read_bytes()[:-100_000])
    damaged = bytearray(second.read_bytes())
    damaged[200_000:200_100] = bytes(100)
    (folder / "damaged.wat.gz").write_bytes(damaged)
    (folder / "no_archive.wat.gz").write_bytes(b"no archive at all")
    (folder / "whole.wat.gz").write_bytes(third.read_bytes())
    table = pa.table({"url": ["http://a/1.jpg", None, "http://a/3.jpg"], "text": [None, "a dog", "a dog"]})
    pq.write_table(table, folder / "nulls.parquet")
    assert run_here(*arguments(sample, tmp_path / "out", inputs=[folder])) == 0
    dropped = facts(tmp_path / "out")["dropped"]
    assert {"truncated", "corrupt_gzip", "bad_file", "bad_json", "empty_text", "empty_url"} <= set(dropped)
    assert facts(tmp_path / "out")["rows"]["files"] == 5
    assert facts(tmp_path / "out")["rows"]["pages"] > 1500


@pytest.fixture(scope="module")
def extended(run, sample) -> tuple[Path, dict]:
    """A run over two archives and then over all inputs; with the times of its files of pairs before the second."""
    output = run(inputs=sorted((sample / "crawl").glob("*.wat.gz"))[:2])
    before = times(output / "pairs", "*.zst")
    return run(output=output), before


@pytest.mark.slow
def test_inputs_that_are_added_give_the_bytes_of_a_run_over_all_and_the_others_are_not_read_again(extended, first):
    output, before = extended
    assert curated(output) == curated(first)
    after = times(output / "pairs", "*.zst")
    assert {name: after[name] for name in before} == before
    assert len(after) > len(before) > 0
    assert facts(output)["dropped"] == facts(first)["dropped"]
    assert facts(output)["rows"] == facts(first)["rows"]


@pytest.mark.slow
def test_lineage_says_which_inputs_came_when(extended, first, sample):
    wats = [str(path) for path in sorted((sample / "crawl").glob("*.wat.gz"))]
    (all_at_once,) = facts(first)["lineage"]
    some, rest = facts(extended[0])["lineage"]
    assert some == {"inputs": 2, "first": wats[0], "last": wats[1]}
    assert (rest["inputs"], rest["last"]) == (all_at_once["inputs"] - 2, str(sample / "pairs" / "pairs.parquet"))


@pytest.mark.slow
def test_a_run_that_broke_off_goes_on_and_gives_the_same_bytes(extended, run, first, tmp_path):
    output = shutil.copytree(extended[0], tmp_path / "out")
    lost, *kept = break_off(output)
    before = times(output / "pairs")
    run(output=output)
    assert curated(output) == curated(first)
    after = times(output / "pairs")
    assert {path.name: after[path.name] for path in kept} == {path.name: before[path.name] for path in kept}
    assert inputs_done(output) == inputs_done(extended[0])
    assert facts(output)["dropped"] == facts(first)["dropped"]


@pytest.mark.slow
def test_unique_images_give_the_same_bytes_without_grouping_and_may_be_added_to(first, run, tmp_path):
    one, two = unique_pairs(first, tmp_path)
    output = run("--unique-images", inputs=[one])
    before = times(output / "matched", "*.parquet")
    run("--unique-images", output=output, inputs=[one, two])
    after = times(output / "matched", "*.parquet")
    assert {name: after[name] for name in before} == before
    assert len(after) > len(before) > 0
    assert not (output / "pairs").exists()
    assert curated(output) == curated(run(inputs=[one, two]))
    assert [each["inputs"] for each in facts(output)["lineage"]] == [1, 1]


@pytest.mark.slow
def test_s3_gives_the_bytes_of_a_local_run_though_it_throttles_and_goes_on_after_a_run_that_broke_off(
    first, run, sample, s3_folder, s3_server
):
    s3_folder.fs.put(str(sample / "crawl"), (s3_folder / "crawl").path, recursive=True)
    s3_folder.fs.put(str(sample / "pairs"), (s3_folder / "pairs").path, recursive=True)
    inputs, output = [s3_folder / "crawl", s3_folder / "pairs"], s3_folder / "out"
    s3_server.tenth = True
    run(inputs=inputs, output=output)
    assert s3_server.slowed > 5
    s3_server.reset()
    assert curated(output) == curated(first)
    assert names(output) == names(first)
    assert names(output / "matched") == names(first / "matched")
    assert facts(output)["rows"] == facts(first)["rows"]

    before = written(output / "pairs")
    lost, *kept = break_off(output)
    run(inputs=inputs, output=output)
    assert curated(output) == curated(first)
    after = written(output / "pairs")
    assert {name for name in before if before[name] == after.get(name)} >= {path.name for path in kept}
    assert names(output) == names(first)
