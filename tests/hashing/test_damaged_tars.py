"""A damaged tar is hashed up to its damage and named; it ends a run only where most tars are damaged."""

import json
import random
from contextlib import nullcontext, suppress

import pyarrow.parquet as pq
import pytest

from curation.plugins.hashing.clip_hash import main
from curation.plugins.scoring.clip_score import ScoreRequest, score_images
from runtime.storage.own_files import part_files
from tests.docs.test_docs import require_documented
from tests.fuzz.tars import make, wholes
from tests.support.pictures import downloaded_tar, picture, stored
from tests.support.plain_scorer import PlainScorer
from tests.support.refusals import refusal
from tests.support.without_spark import without_spark


@pytest.fixture
def images(tmp_path):
    """Four tars of three pictures."""
    for number in range(4):
        downloaded_tar(tmp_path / "images" / f"{number}.tar", range(number * 3, number * 3 + 3))
    return tmp_path / "images"


@pytest.fixture
def run(images, tmp_path):
    arguments = [str(each) for each in ("--input", images, "--output", tmp_path / "hashes")]
    with without_spark():
        yield lambda: main(arguments)


def cut(path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def facts(tmp_path) -> dict:
    return json.loads((tmp_path / "hashes" / "_folder.json").read_text("utf-8"))


def uids(tmp_path) -> list[str]:
    return sorted(pq.read_table(tmp_path / "hashes")["uid"].to_pylist())


def test_the_pictures_before_the_damage_are_hashed_and_the_tar_is_named(images, run, tmp_path, capsys):
    cut(images / "2.tar", 9000)
    run()
    assert uids(tmp_path) == sorted(f"u{seed}" for seed in (0, 1, 2, 3, 4, 5, 6, 9, 10, 11))
    fault = "is cut: it ends inside of '000000007.txt'; download it again or leave it out"
    assert facts(tmp_path)["damaged"] == {str(images / "2.tar"): fault}
    assert (facts(tmp_path)["tars"], facts(tmp_path)["statuses"]) == (4, {"ok": 10})
    require_documented(facts(tmp_path), "_folder.json of hashes")
    result, messages = capsys.readouterr()
    assert result == f"10 pictures hashed; without a hash: none\nhashes: {tmp_path / 'hashes'}\n"
    warning = f"warning: damaged tars: 1 of 4, read up to the damage: {images / '2.tar'} {fault}"
    assert messages.splitlines()[-1] == warning


def test_a_tar_that_was_mended_is_read_again_and_no_other(images, run, tmp_path):
    whole = (images / "2.tar").read_bytes()
    cut(images / "2.tar", 9000)
    run()
    before = {path.name: path.stat().st_mtime_ns for path in part_files(tmp_path / "hashes")}
    run()
    assert {path.name: path.stat().st_mtime_ns for path in part_files(tmp_path / "hashes")} == before
    (images / "2.tar").write_bytes(whole)
    run()
    after = {path.name: path.stat().st_mtime_ns for path in part_files(tmp_path / "hashes")}
    assert (len(before.items() & after.items()), len(after)) == (3, 4)
    assert (len(uids(tmp_path)), facts(tmp_path)["damaged"]) == (12, {})


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "is empty"),
        (b"no tar" * 200, "is not an uncompressed tar"),
        (b"\x1f\x8b" * 600, "is not an uncompressed tar"),
    ],
)
def test_what_is_no_tar_at_all_ends_no_run(images, run, tmp_path, data, fault):
    (images / "0.tar").write_bytes(data)
    run()
    assert facts(tmp_path)["damaged"][str(images / "0.tar")].startswith(fault)
    assert len(uids(tmp_path)) == 9


def test_a_run_of_which_most_tars_are_damaged_is_refused_by_name_until_they_are_mended(images, run, tmp_path, capsys):
    whole = [(images / f"{number}.tar").read_bytes() for number in range(4)]
    for number in range(3):
        cut(images / f"{number}.tar", 2000)
    said = refusal(capsys, main, "--input", images, "--output", tmp_path / "hashes")
    assert f"3 of 4 tars are damaged: {images / '0.tar'} is cut: it ends inside of " in said
    (images / "0.tar").write_bytes(whole[0])
    run()
    assert len(facts(tmp_path)["damaged"]) == 2


@pytest.mark.parametrize("tars", [20, pytest.param(5_000, marks=pytest.mark.soak)])
def test_a_run_over_damaged_tars_names_them_and_no_whole_one(tmp_path, tars):
    folder, kinds = tmp_path / "images", wholes(tmp_path)
    folder.mkdir()
    for seed in range(tars):
        whole = kinds[seed % len(kinds)]
        (folder / f"{seed}-whole.tar").write_bytes(whole)
        (folder / f"{seed}.tar").write_bytes(make(whole, random.Random(seed)))
    with without_spark(), suppress(SystemExit):  # most of what they hold are no pictures
        main(["--input", str(folder), "--output", str(tmp_path / "hashes")])
    damaged = facts(tmp_path)["damaged"]
    assert score_images(ScoreRequest([str(folder)], tmp_path / "scores"), PlainScorer()).facts["damaged"] == damaged
    assert damaged
    assert not any("whole" in path for path in damaged)


@pytest.mark.parametrize(("broken", "status"), [(5, 0), (6, 2)])
def test_pictures_most_of_which_are_broken_are_refused(tmp_path, capsys, broken, status):
    (tmp_path / "images").mkdir()
    for number in range(10):
        content = b"no picture" if number < broken else stored(picture(number))
        (tmp_path / "images" / f"{number}.jpg").write_bytes(content)
    with without_spark(), pytest.raises(SystemExit) if status else nullcontext() as ended:
        main(["--input", str(tmp_path / "images"), "--output", str(tmp_path / "hashes")])
    if status:
        assert ended.value.code == status
        said = capsys.readouterr().err.strip().splitlines()[-1]
        reason = "6 of 10 pictures have no hash (6 not_an_image)"
        assert said == f"clip-hash: {reason}; replace the broken pictures, or leave them out"
    assert facts(tmp_path)["statuses"]["not_an_image"] == broken
