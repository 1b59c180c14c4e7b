"""Semantic copies go where the image that they are copies of is left, with their texts, however files are cut."""

import json
import random
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.gate.options import GateOptions
from curation.schemas import SEMANTIC_COPIES
from runtime import buckets
from runtime.errors import InputError
from runtime.storage.checksums import checksum_of
from tests.naive.semantic_copies import naive_gone
from tests.support.finished_run import image
from tests.support.gates import gated, write_table
from tests.support.in_turn import in_turn

COLUMNS = ("uid", "copy_of", "cosine")


def copies_in(rows: list[tuple], folder, files: int = 2, cosine: bytes | None = b"0.95") -> str:
    folder.mkdir()
    schema = SEMANTIC_COPIES.with_metadata({"cosine": cosine} if cosine else {})
    for number in range(files):
        own = [dict(zip(COLUMNS, row, strict=True)) for row in rows[number::files]]
        pq.write_table(pa.Table.from_pylist(own, schema), folder / f"{number}.parquet")
    return str(folder)


def test_copies_of_images_that_are_left_go_with_their_texts(engine, tmp_path):
    chance = random.Random(0)
    images = [image(number) for number in range(120)]
    uids = [row["uid"] for row in images]
    leaders = uids[::4]
    copy_of = {uid: chance.choice([*leaders, "0" * 32]) for uid in uids if uid not in leaders and chance.random() < 0.7}
    rows = [(uid, leader, 0.97) for uid, leader in copy_of.items()]
    rows += [("e" * 32, uids[0], 0.95), (uids[1], None, 0.95), (uids[4], uids[4], 1.0), rows[0]]
    scores = {uid: chance.choice([0, 1, 1]) for uid in uids}
    table = write_table([{"uid": uid, "score": score} for uid, score in scores.items()], tmp_path / "scores")
    asked = {"images": [[table]], "keep": "score > 0", "keep_removed": 1}
    left = [uid for uid in uids if scores[uid]]
    gone = naive_gone(left, copy_of)
    assert 10 < len(gone) < len([uid for uid in left if uid in copy_of])
    for files, cosine in ((3, b"0.95"), (1, None)):
        given = copies_in(rows, tmp_path / f"copies{files}", files, cosine)
        kept, counted = gated(engine, tmp_path / "gates", images, GateOptions(**asked, same_meaning=[given]), files)
        assert [row["uid"] for row in kept] == [uid for uid in left if uid not in gone]
        facts = counted.facts()["gate"]
        title = "one image of a meaning" + (", by a cosine of 0.95" if cosine else "")
        texts = sum(len(row["candidates"]) for row in images if row["uid"] in gone)
        assert [(each["text"], each["removed"]) for each in facts["conditions"]][1] == (title, len(gone))
        assert sum(facts["conditions"][1]["removed_texts"].values()) == texts
        assert facts["tables"][1] == {"name": given, "found": len([uid for uid in left if uid in copy_of])}
        last = sorted((tmp_path / "gates").iterdir())[-1]
        sample = pq.read_table(last / "gate_removed").to_pylist()
        assert {row["uid"] for row in sample if row["step"] == "meaning"} == gone
        assert {row["rule"] for row in sample} == {"(score > 0)", title}


def test_few_tasks_send_the_files_of_few_images_to_many_buckets(tmp_path, monkeypatch):
    for name, number in (("BUCKET_ROWS", 4), ("MOST_BUCKETS", 8)):
        monkeypatch.setattr(buckets, name, number)
    images, tasks = [image(number) for number in range(120)], []
    uids = [row["uid"] for row in images]
    copy_of = dict(zip(uids[1::3], uids[::3], strict=True))
    given = copies_in([(uid, leader, 0.97) for uid, leader in copy_of.items()], tmp_path / "copies", files=5)
    kept, _ = gated(in_turn(tasks.append), tmp_path / "gates", images, GateOptions(same_meaning=[given]), parts=6)
    assert [row["uid"] for row in kept] == [uid for uid in uids if uid not in copy_of]
    assert len(tasks) == 1 + 1 + 8 + 1 + 8  # of the images, of the table, by leader, by copy, by file


def test_tables_of_other_images_or_of_two_clusterings_are_refused(engine, tmp_path):
    images = [image(number) for number in range(6)]
    a, b, c = (row["uid"] for row in images[:3])
    for name, rows, sentence in (
        (
            "others",
            [("e" * 32, "f" * 32, 1.0)],
            "others has none of the matched images: no image of this run has one of its uids",
        ),
        (
            "chain",
            [(a, b, 0.97), (b, c, 0.97)],
            rf"chain lists 1 images, such as {b}, as copies and also as originals",
        ),
    ):
        options = GateOptions(same_meaning=[copies_in(rows, tmp_path / name)])
        with pytest.raises(InputError, match=sentence):
            gated(engine, tmp_path / "gates", images, options)
    nothing = GateOptions(same_meaning=[copies_in([], tmp_path / "nothing")])
    assert len(gated(engine, tmp_path / "gates", images, nothing)[0]) == 6


def test_what_is_no_table_of_copies_is_refused_before_spark_starts(tmp_path):
    folder = tmp_path / "clusters"
    (folder / "copies").mkdir(parents=True)
    (folder / "clusters.json").write_text(json.dumps({"checksums": {}}))
    pq.write_table(pa.table({"uid": ["a"], "fine": [1]}), tmp_path / "clusters.parquet")
    pq.write_table(pa.table({"url": ["a"], "copy_of": ["b"]}), tmp_path / "urls.parquet")
    for name, sentence in (
        ("clusters", "clusters has clusters but no copies; find copies with clip-cluster --same-meaning"),
        (
            "clusters.parquet",
            "has the columns uid, fine; expected a folder that clip-cluster wrote",
        ),
        ("urls.parquet", "urls.parquet has no column uid; expected a folder that clip-cluster wrote"),
    ):
        with pytest.raises(InputError, match=re.escape(sentence)):
            GateOptions(same_meaning=[str(tmp_path / name)]).find()
    path = folder / "copies" / "00000.parquet"
    pq.write_table(pa.table({"uid": ["a"], "copy_of": ["b"]}), path)
    (folder / "clusters.json").write_text(json.dumps({"checksums": {"copies/00000.parquet": checksum_of(path)}}))
    plan = GateOptions(same_meaning=[str(folder)]).find()
    assert plan
    assert f"no copy in: {folder}/copies" in plan.lines()
    path.unlink()
    with pytest.raises(InputError, match="00000.parquet is missing; run the same command of clip-cluster again"):
        GateOptions(same_meaning=[str(folder)]).find()
