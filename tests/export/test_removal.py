"""A list is taken out of a finished manifest: the other rows stay, and a record says what went."""

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.exclusion import Exclusion
from curation.export.forms import export
from curation.export.huggingface import HuggingFace
from curation.export.removal import REMOVED, remove
from curation.run.results import Results
from curation.schemas import CURATED
from metadata import InputError
from runtime.storage.own_files import part_files
from tests.naive.exclusion import naive_excluded
from tests.support.checkout import ROOT, program
from tests.support.finished_run import finished_run, image

DOMAIN = "bücher.example"


@pytest.fixture
def run(tmp_path):
    """A run over 60 images, every third of them below DOMAIN."""
    urls = [f"https://{f'img.{DOMAIN}' if number % 3 == 0 else 'é.example'}/{number}.jpg" for number in range(60)]
    return finished_run(tmp_path / "run", [image(number, url) for number, url in enumerate(urls)], files=3)


def rows(folder: Path) -> list[list[dict]]:
    """The rows of each curated file."""
    return [pq.read_table(path).to_pylist() for path in part_files(folder / "curated")]


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def facts(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text("utf-8"))


def submit(*arguments) -> subprocess.CompletedProcess:
    command = [program("clip-remove"), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_what_stays_is_what_the_list_does_not_name_in_the_same_files_and_order(run, tmp_path):
    listed = {"uids": [run.kept[1]["uid"]], "domains": [DOMAIN]}
    remove(run.path, Exclusion.of(**listed), tmp_path / "new")
    before, after = rows(run.path), rows(tmp_path / "new")
    assert after == [[row for row in file if naive_excluded(row, **listed) is None] for file in before]
    assert sum(map(len, after)) < sum(map(len, before))
    assert [path.name for path in part_files(tmp_path / "new" / "curated")] == [
        path.name for path in part_files(run.path / "curated")
    ]


def test_what_went_is_listed_with_the_reason(run, tmp_path):
    listed = {"uids": [run.kept[1]["uid"]], "domains": [DOMAIN]}
    remove(run.path, Exclusion.of(**listed), tmp_path / "new")
    removed = pq.read_table(tmp_path / "new" / "removed.parquet")
    reasons = [(row, naive_excluded(row, **listed)) for file in rows(run.path) for row in file]
    assert removed.schema.equals(REMOVED)
    assert removed.to_pylist() == [{"uid": row["uid"], "url": row["url"], "why": why} for row, why in reasons if why]


def test_where_nothing_goes_the_files_are_the_same_byte_for_byte(run, tmp_path):
    remove(run.path, Exclusion.of(uids=["nobody"]), tmp_path / "new")
    assert all_bytes(tmp_path / "new" / "curated") == all_bytes(run.path / "curated")
    assert pq.read_table(tmp_path / "new" / "removed.parquet").num_rows == 0
    assert pq.read_metadata(part_files(tmp_path / "new" / "curated")[0]).row_group(0).num_rows == 10


def test_where_all_goes_the_files_are_empty_ones(run, tmp_path):
    remove(run.path, Exclusion.of(regexes=["."]), tmp_path / "new")
    assert rows(tmp_path / "new") == [[], [], []]
    assert pq.read_schema(part_files(tmp_path / "new" / "curated")[0]).equals(CURATED)
    assert facts(tmp_path / "new")["rows"]["kept"] == 0
    assert remove(tmp_path / "new", Exclusion.of(regexes=["."]), tmp_path / "newer").startswith("removed 0 of 0 pairs;")


def test_removing_again_gives_the_same_bytes(run, tmp_path):
    for name in ("one", "other"):
        remove(run.path, Exclusion.of(domains=[DOMAIN]), tmp_path / name)
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "other")


def test_the_figures_tell_what_is_kept_and_what_was_removed(run, tmp_path):
    exclusion = Exclusion.of(domains=[DOMAIN], uids=[run.kept[1]["uid"]])
    remove(run.path, exclusion, tmp_path / "new")
    old, new = facts(run.path), facts(tmp_path / "new")
    left = [row for file in rows(tmp_path / "new") for row in file]
    reasons = Counter(pq.read_table(tmp_path / "new" / "removed.parquet")["why"].to_pylist())
    assert new["rows"] == old["rows"] | {"kept": len(left)}
    languages = Counter(row["language"] for row in left)
    assert {code: row["kept"] for code, row in new["languages"].items()} == {c: languages[c] for c in old["languages"]}
    [removal] = new["removals"]
    assert (removal["exclusion"], removal["reasons"]) == (exclusion.digest, dict(reasons))
    assert removal["removed"] == old["rows"]["kept"] - len(left) == reasons.total()
    assert new["made_from"] == old["made_from"]
    assert (tmp_path / "new" / "counts.parquet").read_bytes() == (run.path / "counts.parquet").read_bytes()


def test_each_removal_is_added_to_those_before(run, tmp_path):
    remove(run.path, Exclusion.of(uids=[run.kept[0]["uid"]]), tmp_path / "one")
    remove(tmp_path / "one", Exclusion.of(uids=[run.kept[1]["uid"]]), tmp_path / "two")
    both = facts(tmp_path / "two")["removals"]
    assert [removal["removed"] for removal in both] == [1, 1]
    assert both[0]["from"] != both[1]["from"]
    assert facts(tmp_path / "two")["rows"]["kept"] == len(run.kept) - 2


def test_what_went_is_a_list_that_takes_the_same_out_again(run, tmp_path):
    remove(run.path, Exclusion.of(domains=[DOMAIN]), tmp_path / "one")
    remove(run.path, Exclusion.read([tmp_path / "one" / "removed.parquet"]), tmp_path / "other")
    assert all_bytes(tmp_path / "one" / "curated") == all_bytes(tmp_path / "other" / "curated")


def test_a_manifest_with_rows_removed_is_a_finished_run_for_other_programs(run, tmp_path):
    remove(run.path, Exclusion.of(domains=[DOMAIN]), tmp_path / "new")
    assert Results.open(tmp_path / "new").kept().num_rows == facts(tmp_path / "new")["rows"]["kept"]
    export(tmp_path / "new", tmp_path / "card", HuggingFace())
    assert (
        f"{facts(tmp_path / 'new')['rows']['kept']:,} image-text pairs" in (tmp_path / "card" / "README.md").read_text()
    )


def test_an_interrupted_removal_leaves_nothing(run, tmp_path, monkeypatch):
    calls = []

    def interrupt(exclusion, batch):
        calls.append(batch)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return pa.nulls(batch.num_rows, pa.string())

    monkeypatch.setattr(Exclusion, "excluded", interrupt)
    with pytest.raises(KeyboardInterrupt):
        remove(run.path, Exclusion.of(), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_is_not_empty_or_in_the_run_is_refused_and_left_alone(run, tmp_path):
    before, exclusion = all_bytes(run.path), Exclusion.of(domains=[DOMAIN])
    for to, why in ((run.path, "is the output folder"), (run.path / "curated" / "new", "is in the input")):
        with pytest.raises(InputError, match=why):
            remove(run.path, exclusion, to)
    with pytest.raises(InputError, match="no local folder"):
        remove(run.path, exclusion, run.path / "run.json")
    assert all_bytes(run.path) == before


def test_what_is_no_whole_run_is_refused(run, tmp_path):
    with pytest.raises(InputError, match="no run.json of a finished run"):
        remove(tmp_path, Exclusion.of(), tmp_path / "new")
    part_files(run.path / "curated")[0].unlink()
    with pytest.raises(InputError, match=r"holds \d+ images, \d+ were written"):
        remove(run.path, Exclusion.of(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_disk_without_room_is_told_in_a_sentence(run, tmp_path, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", no_room)
    with pytest.raises(InputError, match=r"new cannot be written \(.*No space left on device\)"):
        remove(run.path, Exclusion.of(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command_writes_the_folder_and_says_what_went(run, tmp_path):
    (tmp_path / "list.txt").write_text(f"# on request\n{DOMAIN}\n", "utf-8")
    done = submit(run.path, "--exclude", tmp_path / "list.txt", "--output", tmp_path / "new")
    assert (done.returncode, done.stdout) == (0, "")
    removed = len(run.kept) - facts(tmp_path / "new")["rows"]["kept"]
    assert done.stderr.startswith(f"removed {removed} of {len(run.kept)} pairs ({removed} excluded_domain); ")
    assert removed > 0


def test_the_command_refuses_a_bad_list_in_one_sentence_and_writes_nothing(run, tmp_path):
    (tmp_path / "list.txt").write_text("example.org\nregex:[\n")
    done = submit(run.path, "--exclude", tmp_path / "list.txt", "--output", tmp_path / "new")
    assert done.returncode == 2
    assert done.stderr.startswith(f"remove: {tmp_path / 'list.txt'}, line 2: 'regex:[' is no regular expression")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()
