"""Copies of a picture come together at the image that stays, as a naive twin says, however files are cut."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.config import CurationConfig
from curation.plugins.gate.filters import difference
from curation.plugins.gate.given_tables import GivenTables, Pictures
from curation.plugins.gate.options import GateOptions
from runtime.errors import InputError
from tests.naive.gates import naive_merged, naive_pictures
from tests.support.finished_run import candidate, image
from tests.support.gates import gated
from tests.support.near_duplicates import near_copies


def pictured(number: int, chance: random.Random) -> tuple[list[dict], dict[str, int | None]]:
    """Return images, and a value of 64 bits for most of them: many of one picture, some of others, some alone."""
    images = [image(each) for each in range(number)]
    for row in images:
        row["candidates"] += [text_of(f"{chance.choice(['a dog', 'hund'])} {chance.randrange(40)}") for _ in range(2)]
        row["candidates"] = [*{text["text"]: text for text in row["candidates"]}.values()]
    centres = [chance.getrandbits(64) for _ in range(number // 6)]
    values = {row["uid"]: chance.choice([centres[0], centres[0], None, *centres]) for row in images}
    return images, values


def text_of(text: str) -> dict:
    return candidate(text, "en" if "dog" in text else "no")


def table_of(values: dict[str, int | None], path, form=lambda value: value.to_bytes(8, "big")) -> str:
    rows = [*values.items()]
    column = pa.array([None if value is None else form(value) for _, value in rows])
    path.mkdir()
    for number, begin in enumerate(range(0, len(rows), 100)):
        part = pa.table({"uid": [uid for uid, _ in rows], "hash": column}).slice(begin, 100)
        pq.write_table(part, path / f"{number}.parquet")
    return str(path)


def by_uid(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda row: row["uid"])


FORMS = {
    "binary": lambda value: value.to_bytes(8, "big"),
    "digits": lambda value: f"{value:016x}",
    "integer": lambda value: value - (1 << 64) if value >> 63 else value,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "form", "parts"),
    [("hash", "binary", [3]), ("hash:0", "digits", [1]), ("hash:6", "integer", [1, 6])],
)
def test_texts_of_copies_come_to_the_image_that_stays(engine, tmp_path, asked, form, parts):
    chance = random.Random(len(asked))
    images, values = pictured(400, chance)
    for uid, value in values.items():  # copies that are not quite the same
        if value is not None and asked == "hash:6" and chance.random() < 0.5:
            values[uid] = value ^ (1 << chance.randrange(64)) ^ (1 << chance.randrange(64))
    hashes = sorted({value for value in values.values() if value is not None})
    leaders = near_copies(np.array(hashes, np.uint64)[:, None], 6)[:, 0].tolist() if asked == "hash:6" else hashes
    copy_of = naive_pictures(values, dict(zip(hashes, leaders, strict=True)))
    expected = by_uid(naive_merged(images, copy_of, 5))
    options = GateOptions(images=[[table_of(values, tmp_path / "hashes", FORMS[form])]], same_image=asked)
    for files in parts:
        rows, counted = gated(engine, tmp_path / "gates", images, options, files, CurationConfig(max_texts=5))
        assert by_uid(rows) == expected
        assert counted.last["removed", 0] == len(images) - len(expected)
        assert counted.last["passed"] == len(expected)
        before, after = (sum(len(row["candidates"]) for row in each) for each in (images, expected))
        gone = difference(counted.last.by_language("shared"), counted.last.by_language("kept"))
        assert sum(gone.values()) == before - after
    assert 5 < len({*copy_of.values()}) < len(copy_of)


def test_only_images_that_pass_are_copies_of_one_another(engine, tmp_path):
    images = [image(number) for number in range(6)]
    uids = sorted(row["uid"] for row in images)
    rows = {"uid": uids, "score": [0, 1, 1, 1, 1, 1], "sha256": ["x", "x", "x", "y", None, None]}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    options = GateOptions(images=[[str(tmp_path / "t.parquet")]], keep="score > 0", same_image="sha256")
    rows, counted = gated(engine, tmp_path / "gates", images, options)
    assert [row["uid"] for row in by_uid(rows)] == [uids[1], *uids[3:]]
    facts = counted.facts()["gate"]["conditions"]
    assert [(each["text"], each["removed"]) for each in facts] == [
        ("(score > 0)", 1),
        ("one image of a picture, by sha256", 1),
    ]


@pytest.mark.parametrize("asked", ["", ":4", "phash:", "phash:-1", "phash:65", "phash:x", "phash:٤"])
def test_what_is_no_column_with_a_distance_is_refused(asked):
    with pytest.raises(InputError, match="same_image is .*; expected a column, such as sha256"):
        Pictures.named(asked, GivenTables())


@pytest.mark.parametrize(
    ("hashes", "asked", "sentence"),
    [
        (
            ["d1c8", "b0f5"],
            "hash:2",
            "the column hash has hashes of 16 bits; expected hashes as binaries of 8 or 32 bytes",
        ),
        ([None, b"12345678"], "hash:17", "distance is 17; hashes of copies may differ in at most 16 of 64 bits"),
        ([1.5, 2.5], "hash:2", "the column hash has the type double; expected hashes as binaries"),
        ([None, None], "hash:2", "the column hash"),
    ],
)
def test_hashes_that_cannot_be_compared_are_refused_before_spark_starts(tmp_path, hashes, asked, sentence):
    pq.write_table(pa.table({"uid": ["a", "b"], "hash": hashes}), tmp_path / "t.parquet")
    options = GateOptions(images=[[str(tmp_path / "t.parquet")]], same_image=asked)
    with pytest.raises(InputError, match=sentence):
        options.find()


def test_images_whose_value_cannot_be_compared_are_no_copies(engine, tmp_path):
    images = [image(number) for number in range(5)]
    columns = {"uid": [row["uid"] for row in images], "value": [float("nan"), float("nan"), 1.0, 1.0, None]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    options = GateOptions(images=[[str(tmp_path / "t.parquet")]], same_image="value")
    assert len(gated(engine, tmp_path / "gates", images, options)[0]) == 4
