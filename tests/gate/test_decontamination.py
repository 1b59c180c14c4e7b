"""Images and texts of evaluation sets are removed, by URL, file and picture, and each set counts its own."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.leaves.gate.conditions import step
from curation.leaves.gate.plan import GateOptions, GatePlan
from runtime.errors import InputError
from runtime.tallies import Tallies
from tests.support.finished_run import image
from tests.support.gates import gated

WITHIN = 3


def digits(number: int) -> str:
    return f"{number:032x}{number:032x}"


def near(value: int, bits: int, chance: random.Random) -> int:
    for place in chance.sample(range(64), bits):
        value ^= 1 << place
    return value


def test_images_of_evaluation_sets_are_removed_and_counted_by_set(engine, tmp_path):
    chance = random.Random(5)
    images = [image(number) for number in range(120)]
    values = [chance.getrandbits(64) for _ in images]
    hashes = pa.array([value.to_bytes(8, "big") for value in values])
    table = {"uid": [row["uid"] for row in images], "phash": hashes, "sha256": list(map(digits, range(120)))}
    pq.write_table(pa.table(table).slice(0, 100), tmp_path / "hashes.parquet")
    flowers = [near(values[number], chance.randint(0, 2 * WITHIN), chance) for number in range(0, 60, 2)]
    (tmp_path / "flowers").mkdir()
    flower_hashes = [value.to_bytes(8, "big") for value in flowers]
    pq.write_table(pa.table({"uid": ["a/1.jpg"] * 30, "phash": flower_hashes}), tmp_path / "flowers" / "a.parquet")
    pets = {"url": [images[110]["url"], None, None], "sha256": [None, digits(7), digits(4)]}
    pq.write_table(pa.table(pets), tmp_path / "pets.parquet")
    of_flowers = {n for n in range(100) if any((values[n] ^ each).bit_count() <= WITHIN for each in flowers)}
    of_pets = {110, 7, 4}
    options = GateOptions(
        images=[[str(tmp_path / "hashes.parquet")]],
        decontaminate=[str(tmp_path / "pets.parquet"), str(tmp_path / "flowers")],
        decontaminate_within=WITHIN,
    )
    for files in (1, 5):
        rows, counted = gated(engine, tmp_path / "gates", images, options, files)
        assert rows == [row for number, row in enumerate(images) if number not in of_flowers | of_pets]
        failed = {each["text"]: each["failed"] for each in counted.facts()["gate"]["conditions"]}
        assert failed == {
            "not in evaluation set flowers": len(of_flowers),
            "not in evaluation set pets.parquet": len(of_pets),
        }
    assert 5 < len(of_flowers) < 30


def test_without_tables_images_are_found_by_their_urls_and_texts_by_themselves(engine, tmp_path):
    images = [image(number) for number in range(20)]
    pq.write_table(pa.table({"url": [images[3]["url"]]}), tmp_path / "eval.parquet")
    (tmp_path / "prompts.txt").write_text("A Dog\nsomething else\n")
    options = GateOptions(
        decontaminate=[str(tmp_path / "eval.parquet")], decontaminate_texts=[str(tmp_path / "prompts.txt")]
    )
    rows, counted = gated(engine, tmp_path / "gates", images, options)
    left = [
        row | {"candidates": [text for text in row["candidates"] if text["text"] != "a dog"]}
        for number, row in enumerate(images)
        if number != 3
    ]
    assert rows == [row for row in left if row["candidates"]]
    facts = counted.facts()["gate"]
    assert [each["text"] for each in facts["conditions"]] == ["not in evaluation set eval.parquet", "a text is left"]
    (texts,) = facts["texts"]
    every = [text["text"] for row in images for text in row["candidates"]]
    assert (texts["text"], texts["failed"]) == ("no text of an evaluation set", every.count("a dog"))


@pytest.mark.parametrize(("hashed", "unmirrored"), [("phash", {"flowers": 1}), ("sha256", {})])
def test_a_set_of_before_mirror_images_were_hashed_is_named_where_pictures_are_compared(tmp_path, hashed, unmirrored):
    pq.write_table(pa.table({"uid": ["a"], hashed: [b"12345678"]}), tmp_path / "hashes.parquet")
    for name, mirrored in (("flowers", None), ("pets", b"87654321")):
        (tmp_path / name).mkdir()
        columns = {"phash": [b"12345678"], "phash_mirrored": pa.array([mirrored], pa.binary())}
        pq.write_table(pa.table(columns), tmp_path / name / "a.parquet")
    sets = [tmp_path / "flowers", tmp_path / "pets"]
    plan = GatePlan.find(GateOptions(images=[[tmp_path / "hashes.parquet"]], decontaminate=sets))
    facts = step(None, plan).facts(Tallies())
    assert facts.get("unmirrored", {}) == unmirrored


def test_hashes_that_nothing_can_be_compared_with_are_refused(tmp_path):
    pq.write_table(pa.table({"phash": [b"12345678"]}), tmp_path / "eval.parquet")
    with pytest.raises(InputError, match="no table of images has sha256 or phash; hash the downloaded pictures"):
        GatePlan.find(GateOptions(decontaminate=[str(tmp_path / "eval.parquet")]))
