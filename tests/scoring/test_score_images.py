"""Images of tars become rows with scores, tar by tar; what is done is not done again. A plain scorer is the model."""

import random
from hashlib import md5
from io import BytesIO

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.plugins.joins.image_tables import ImageTable
from curation.plugins.scoring.clip_score import ScoreRequest, score_images
from runtime.errors import InputError
from runtime.storage.own_files import part_files
from tests.support.downloaded import all_bytes
from tests.support.finished_run import finished_run, image
from tests.support.in_turn import in_turn
from tests.support.pictures import downloaded_tar, picture, stored, write_tar
from tests.support.plain_scorer import PlainScorer, plain_score


@pytest.fixture
def tars(tmp_path):
    """Three tars of five, none and eleven images."""
    for number, seeds in enumerate((range(5), range(0), range(5, 16))):
        downloaded_tar(tmp_path / "images" / f"{number:05}.tar", seeds)
    return tmp_path / "images"


def score(tars, folder, scorer=None, **more):
    return score_images(ScoreRequest([str(tars)], folder, **more), scorer or PlainScorer(), engine=in_turn())


def rows(folder) -> list[dict]:
    return sorted(pq.read_table(folder).to_pylist(), key=lambda row: row["key"])


def test_each_image_of_the_tars_is_a_row_with_the_score_of_its_text(tars, tmp_path):
    found = score(tars, tmp_path / "scores")
    assert [row["uid"] for row in rows(found.path)] == [f"u{seed}" for seed in range(16)]
    brightness = PlainScorer().prepare(decoded(stored(picture(7))))
    expected = {"uid": "u7", "key": "000000007", "clip_score": np.float32(plain_score(brightness, "a text"))}
    assert rows(found.path)[7] == expected | {"status": "ok"}
    assert len(found.files) == 3


def decoded(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data)).convert("RGB")


def test_batches_end_with_their_tar_and_are_the_same_with_any_number_of_threads(tars, tmp_path):
    written = []
    for workers in (1, 3):
        scorer = PlainScorer(workers=workers)
        written.append(all_bytes(score(tars, tmp_path / f"{workers}", scorer).path))
        assert scorer.batches == [4, 1, 4, 4, 3]
    assert written[0] == written[1]


def test_what_has_no_score_has_a_reason_and_is_counted(tmp_path):
    whole = stored(picture(0))
    broken = {
        "0": (whole, b"a dog", "ok"),
        "1": (whole, b" \n", "no_text"),
        "2": (whole, None, "no_text"),
        "3": (b"<html>", b"a dog", "not_an_image"),
        "4": (whole[:400], b"a dog", "truncated"),
        "5": (stored(picture(0, 2, 3000), "PNG"), b"a dog", "too_large"),
        "6": (whole, b"nan", "not_finite"),
        "7": (whole, "犬 \udcff".encode("utf-8", "surrogateescape"), "ok"),
        "8": (whole, b"a dog", "no_uid"),
    }
    members = {}
    for key, (data, text, _) in broken.items():
        members |= {f"{key}.jpg": data, f"{key}.json": {"url": f"http://a.example/{key}"}}
        members |= {} if text is None else {f"{key}.txt": text}
    del members["8.json"]
    write_tar(tmp_path / "images" / "0.tar", members)
    found = score(tmp_path / "images", tmp_path / "scores")
    assert {row["key"]: row["status"] for row in rows(found.path)} == {key: each[2] for key, each in broken.items()}
    assert all((row["clip_score"] is None) == (row["status"] != "ok") for row in rows(found.path))
    assert rows(found.path)[1]["uid"] == md5(b"http://a.example/1").hexdigest()
    reasons = {"not_an_image": 1, "truncated": 1, "too_large": 1, "not_finite": 1, "no_uid": 1}
    assert found.facts["statuses"] == {"ok": 2, "no_text": 2} | reasons
    assert found.facts["scores"]["images"] == 2


def test_an_image_that_the_model_cannot_take_is_damaged(tars, tmp_path, monkeypatch):
    monkeypatch.setattr(PlainScorer, "prepare", lambda self, image: image.load()[1000, 0])
    assert score(tars, tmp_path / "scores").facts["statuses"] == {"damaged": 16}


def test_a_run_that_was_stopped_goes_on_and_writes_the_same(tars, tmp_path):
    whole = score(tars, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        score(tars, tmp_path / "scores", PlainScorer(break_after=3))
    left = {path.name for path in part_files(tmp_path / "scores")}
    assert len(left) == 2
    scorer = PlainScorer()
    score(tars, tmp_path / "scores", scorer)
    assert scorer.batches == [4, 4, 3]
    assert all_bytes(tmp_path / "scores") == all_bytes(whole.path)
    assert not (tmp_path / "scores" / ".work").exists()


def test_however_often_a_run_is_stopped_it_ends_with_the_same(tmp_path):
    chance = random.Random(0)
    for number in range(6):
        downloaded_tar(tmp_path / "images" / f"{number}.tar", range(number * 9, number * 9 + chance.randrange(9)))
    whole, stops = score(tmp_path / "images", tmp_path / "whole"), 0
    while True:
        try:
            score(tmp_path / "images", tmp_path / "scores", PlainScorer(break_after=chance.randrange(4)))
        except KeyboardInterrupt:
            stops += 1
        else:
            break
    assert stops > 1
    assert all_bytes(tmp_path / "scores") == all_bytes(whole.path)


def test_tars_that_are_new_or_other_are_scored_and_no_others(tars, tmp_path):
    score(tars, tmp_path / "scores")
    downloaded_tar(tars / "00001.tar", range(20, 22))
    downloaded_tar(tars / "00003.tar", range(30, 31))
    scorer = PlainScorer()
    found = score(tars, tmp_path / "scores", scorer)
    assert scorer.batches == [2, 1]
    assert (len(found.files), len(rows(found.path))) == (4, 19)
    done = score(tars, tmp_path / "scores", scorer)
    assert (scorer.batches, done.facts) == ([2, 1], found.facts)


def test_a_folder_with_other_scores_or_other_files_is_refused(tars, tmp_path):
    score(tars, tmp_path / "scores")
    with pytest.raises(
        InputError, match=r"holds scores of images made differently \(model plain, not another\); specify"
    ):
        score(tars, tmp_path / "scores", PlainScorer("another"))
    with pytest.raises(InputError, match=r"also holds scores of .*00000\.tar, which is not among the inputs"):
        score(tars / "00002.tar", tmp_path / "scores")
    (tmp_path / "other").mkdir()
    pq.write_table(pq.read_table(tmp_path / "scores"), tmp_path / "other" / "00000.parquet")
    before = all_bytes(tmp_path / "other")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"holds files that clip-score did not write \(00000\.parquet\)"):
            score(tars, tmp_path / "other", overwrite=overwrite)
    assert all_bytes(tmp_path / "other") == before
    score(tars / "00002.tar", tmp_path / "scores", PlainScorer("another"), overwrite=True)
    assert len(rows(tmp_path / "scores")) == 11


def test_an_output_among_the_tars_or_in_the_run_is_refused(tars, tmp_path):
    run = finished_run(tmp_path / "run", [image(1)], t=1)
    for output, more in ((tars, {}), (tars / "scores", {}), (run.path / "scores", {"texts": run.path})):
        with pytest.raises(InputError, match="is the output folder|is in the input"):
            score(tars, output, **more)
    assert not (tars / "scores").exists()


def test_a_folder_in_which_nothing_was_scored_belongs_to_nobody(tars, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        score(tars, tmp_path / "scores", PlainScorer("another", break_after=0))
    assert len(score(tars, tmp_path / "scores").files) == 3


def test_with_the_texts_of_a_run_each_text_has_a_score_and_the_highest_counts(tmp_path, folder):
    images = [image(number) for number in range(6)]
    run = finished_run(tmp_path / "run", images)
    members = {}
    for number, row in enumerate([*images, image(99)]):
        members |= {f"{number}.jpg": stored(picture(number)), f"{number}.json": {"uid": row["uid"]}}
    write_tar(tmp_path / "images" / "0.tar", members)
    found = score(tmp_path / "images", folder / "scores", texts=run.path)
    written = [row for file in found.files for row in pq.read_table(BytesIO(file.read_bytes())).to_pylist()]
    for number, row in enumerate(images):
        brightness = PlainScorer().prepare(decoded(stored(picture(number))))
        texts = [(np.float32(plain_score(brightness, each["text"])), each["language"]) for each in row["candidates"]]
        assert written[number]["scores"] == [value for value, _ in texts]
        assert (written[number]["clip_score"], written[number]["language"]) == max(texts, key=lambda each: each[0])
    assert written[6] == dict.fromkeys(written[6]) | {"uid": image(99)["uid"], "key": "6", "status": "no_text"}
    assert sum(each["images"] for each in found.facts["languages"].values()) == 6
    with pytest.raises(InputError, match="texts those that a run matched .*, not those of the tars"):
        score(tmp_path / "images", folder / "scores")


def test_the_folder_is_a_table_of_images_for_the_gate(tars, tmp_path):
    score(tars, tmp_path / "scores")
    table = ImageTable.find([str(tmp_path / "scores")])
    assert (table.identity, len(table.files), table.columns.names[2]) == ("uid", 3, "clip_score")
