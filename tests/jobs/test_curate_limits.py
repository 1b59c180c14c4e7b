"""The curate job over lists of exclusions, long texts and damage, with its tasks run here, one after the other."""

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.commands import clip_curate as curate
from curation.matching.finders import open_matchers
from runtime import shipping
from runtime.engine.local import Local
from tests.naive.exclusion import naive_excluded


@pytest.fixture(scope="module")
def job():
    """Run the job on a command line in this process; return the status with which it ended, 0 if it did not."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(curate, "engine_for", lambda args, name: Local(1))

        def run(*arguments) -> int:
            for opened in (shipping._opened, open_matchers):
                opened.cache_clear()  # as in workers of its own
            try:
                curate.main([str(argument) for argument in arguments])
            except SystemExit as end:
                return end.code
            return 0

        yield run


@pytest.fixture(scope="module")
def command(sample) -> list:
    """The beginning of a command line over some of the sample."""
    entries = [f"{path.stem}={path}" for path in sorted((sample / "entries").glob("*.txt"))]
    return ["--input", sample / "pairs", "--entries", *entries, "--english-threshold", "20", "--output"]


@pytest.fixture(scope="module", params=["images", "unique images"])
def kind(request) -> list[str]:
    return ["--unique-images"] if request.param == "unique images" else []


@pytest.fixture(scope="module")
def first(job, command, kind, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("run") / "out"
    assert job(*command, output, *kind) == 0
    return output


def facts(output: Path) -> dict:
    return json.loads((output / "run.json").read_text("utf-8"))


def matched(output: Path) -> dict:
    return {row["uid"]: row for row in pq.read_table(output / "matched").to_pylist()}


def test_with_lists_of_exclusions_the_same_folder_is_matched_again_without_what_they_name(
    job, command, kind, first, tmp_path
):
    output = shutil.copytree(first, tmp_path / "out")
    before = matched(first)
    some = sorted(before)[::10]
    host = before[some[0]]["url"].split("/")[2]
    pq.write_table(pa.table({"uid": some[1:]}), tmp_path / "uids.parquet")
    (tmp_path / "lists.txt").write_text(f"# of someone who asked\n{host}\nregex:7\\.jpg$\n")
    lists = ["--exclude", tmp_path / "uids.parquet", tmp_path / "lists.txt"]
    assert job(*command, output, *kind, *lists) == 0
    excluded = dict(uids=some[1:], domains=[host], regexes=[r"7\.jpg$"])
    assert matched(output) == {uid: row for uid, row in before.items() if not naive_excluded(row, **excluded)}
    told, earlier = facts(output), facts(first)
    out = sum(n for reason, n in told["dropped"].items() if reason.startswith("excluded_"))
    assert told["rows"]["pairs"] == earlier["rows"]["pairs"] - out
    assert 0 < max(row["found"] for row in told["exclusion_lists"]) <= out
    assert 0 < told["rows"]["matches"] < earlier["rows"]["matches"]
    assert told["made_from"]["exclusion"] != earlier["made_from"]["exclusion"] is None
    assert not (output / ".work").exists()

    times = {path: path.stat().st_mtime_ns for path in output.glob("matched/*")}
    assert job(*command, output, *kind, *reversed_lists(lists)) == 0
    assert {path: path.stat().st_mtime_ns for path in output.glob("matched/*")} == times
    assert facts(output)["exclusion_lists"] == told["exclusion_lists"][::-1]

    assert job(*command, output, *kind) == 0
    assert matched(output) == before
    assert (output / "curated/00000.parquet").read_bytes() == (first / "curated/00000.parquet").read_bytes()


def reversed_lists(lists: list) -> list:
    return [lists[0], *lists[:0:-1]]


def test_texts_are_cut_before_they_are_matched(job, first, kind, tmp_path):
    long = "x " * 5_000
    (tmp_path / "pairs.csv").write_text(f"url,text\nhttps://a.org/1,dog {long}\nhttps://a.org/2,{long} dog\n")
    (tmp_path / "en.txt").write_text("dog\n")
    given = ["--input", tmp_path / "pairs.csv", "--entries", f"en={tmp_path / 'en.txt'}", *kind]
    assert job(*given, "--output", tmp_path / "out") == 0
    (texts,) = (row["candidates"] for row in matched(tmp_path / "out").values())
    assert [len(text["text"]) for text in texts] == [8_191]  # without the space at its end
    assert (facts(tmp_path / "out")["cut_text"], facts(first)["cut_text"]) == (2, 0)


def test_progress_counts_pairs_and_no_tallies(first):
    read = json.loads((first / "times.json").read_text())["stages"]
    assert [stage["rows"] for stage in read if stage["stage"].startswith("match ")] == [facts(first)["rows"]["pairs"]]


def test_a_run_of_broken_files_stops_before_anything_looks_whole(job, command, kind, tmp_path, capsys):
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("one.wat.gz", "zwei ü.wat.gz"):
        (folder / name).write_bytes(b"no archive at all")
    broken, output = ["--input", folder, *command[2:]], tmp_path / "out"
    assert job(*broken, output, *kind) == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert "2 of 2 files are damaged (2 bad_file)" in sentence
    assert f"{folder}/zwei ü.wat.gz (1)" in sentence
    assert {path.name for path in output.iterdir()} <= {"pairs", ".work"}
    assert job(*broken, output, *kind, "--set", "max_bad_files=1", "--allow-empty") == 0
    assert facts(output)["damaged"] == {f"{folder}/one.wat.gz": 1, f"{folder}/zwei ü.wat.gz": 1}


def test_uids_of_several_urls_are_named_and_many_of_them_end_the_run_in_a_sentence(job, tmp_path, capsys):
    (tmp_path / "entries").write_text("dog\n")
    for shard in "ab":
        rows = [{"uid": str(n), "url": f"https://{shard}.example/{n}.jpg", "text": f"a dog {shard}"} for n in range(4)]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{shard}.parquet")
    inputs = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    command = ["--entries", f"en={tmp_path / 'entries'}", "--english-threshold", 20, "--input", *inputs, "--output"]
    assert job(*command, tmp_path / "refused") == 2
    said = " ".join(capsys.readouterr().err.split())
    example = (
        r"4 of 4 uids belong to several URLs, such as (\d) \(https://a.example/\1.jpg and https://b.example/\1.jpg\);"
    )
    assert re.search(example, said)
    assert "--uid-column none" in said
    assert job(*command, tmp_path / "urls", "--uid-column", "none") == 0
    facts = json.loads((tmp_path / "urls" / "run.json").read_text())
    assert (facts["rows"]["images"], "shared_uids" in facts) == (8, False)
    assert job(*command, tmp_path / "refused", "--set", "max_shared_uids=1") == 0
    facts = json.loads((tmp_path / "refused" / "run.json").read_text())
    assert (facts["rows"]["images"], facts["shared_uids"]["uids"]) == (4, 4)
    assert any("The input gives 4 uids to several URLs, such as" in warning for warning in facts["warnings"])
