"""A damaged tar is scored up to its damage and named; it ends a run only where most tars are damaged."""

import pyarrow.parquet as pq
import pytest

from curation.plugins.scoring.clip_score import ScoreRequest, score_images, score_lines
from runtime.errors import InputError
from tests.support.downloaded import all_bytes
from tests.support.finished_run import finished_run, image
from tests.support.in_turn import in_turn
from tests.support.pictures import downloaded_tar, picture, stored, write_tar
from tests.support.plain_scorer import PlainScorer


def score(tars, folder, **more):
    return score_images(ScoreRequest([str(tars)], folder, **more), PlainScorer(), engine=in_turn())


def cut(path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.fixture
def tars(tmp_path):
    """Three tars of eleven images, the last one cut inside of its third sample."""
    for number in range(3):
        downloaded_tar(tmp_path / "images" / f"{number}.tar", range(number * 11, number * 11 + 11))
    cut(tmp_path / "images" / "2.tar", 12_000)
    return tmp_path / "images"


def test_the_images_before_the_damage_are_scored_and_the_tar_is_named(tars, tmp_path):
    found = score(tars, tmp_path / "scores")
    kept = found.facts["scores"]["images"] - 22
    assert 0 < kept < 11
    written = {row["uid"]: row for row in pq.read_table(found.path).to_pylist()}
    assert written.keys() == {f"u{seed}" for seed in range(22 + kept)}
    assert found.facts["damaged"].keys() == {str(tars / "2.tar")}
    assert f"damaged tars: 1 of 3, read up to the damage: {tars / '2.tar'} is cut: it ends inside of" in score_lines(
        found
    )


def test_a_tar_that_was_mended_is_scored_again(tars, tmp_path):
    score(tars, tmp_path / "scores")
    downloaded_tar(tars / "2.tar", range(22, 33))
    found = score(tars, tmp_path / "scores")
    assert (found.facts["damaged"], found.facts["scores"]["images"]) == ({}, 33)
    assert all_bytes(score(tars, tmp_path / "again").path) == all_bytes(found.path)


def test_a_tar_of_which_nothing_can_be_read_is_an_empty_table(tars, tmp_path):
    (tars / "2.tar").write_bytes(b"")
    found = score(tars, tmp_path / "scores")
    assert (found.facts["scores"]["images"], len(found.files)) == (22, 3)
    assert "is empty; download it again" in found.facts["damaged"][str(tars / "2.tar")]


def test_a_run_of_which_most_tars_are_damaged_is_refused(tars, tmp_path):
    (tars / "1.tar").write_bytes(b"no tar")
    with pytest.raises(
        InputError, match=r"2 of 3 tars are damaged: .*1\.tar is not an uncompressed tar; .*, .*2\.tar is cut"
    ):
        score(tars, tmp_path / "scores")


def test_with_the_texts_of_a_run_likewise(tmp_path):
    images = [image(number) for number in range(6)]
    run = finished_run(tmp_path / "run", images)
    for tar in range(2):
        members = {}
        for number, row in enumerate(images[tar * 3 : tar * 3 + 3]):
            members |= {f"{number}.jpg": stored(picture(number)), f"{number}.json": {"uid": row["uid"]}}
        write_tar(tmp_path / "images" / f"{tar}.tar", members)
    for size, left in ((9000, 1), (100, 0)):
        cut(tmp_path / "images" / "1.tar", size)
        found = score(tmp_path / "images", tmp_path / "scores", texts=run.path)
        assert found.facts["statuses"] == {"ok": 3 + left}
        assert found.facts["damaged"].keys() == {str(tmp_path / "images" / "1.tar")}
