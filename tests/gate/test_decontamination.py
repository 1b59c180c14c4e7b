"""Images and texts of evaluation sets are removed, by URL, file and picture, and each set counts its own."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.gate.conditions.conditions import find
from curation.plugins.gate.options import GateOptions
from runtime.errors import InputError
from runtime.tallies import TaskResult
from tests.naive.evaluation import naive_sets_by_cosine
from tests.support.embeddings import embeddings_of
from tests.support.finished_run import image
from tests.support.gates import gated
from tests.support.tables import fixed_length

pytestmark = pytest.mark.kernels

WITHIN = 4  # bits


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


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float16()), pa.list_(pa.float32(), fixed_length(12)), pa.large_list(pa.float64())]
)
def test_images_near_those_of_sets_by_embedding_are_those_of_the_naive_twin(engine, tmp_path, kind):
    images = [image(number) for number in range(60)]
    vectors = embeddings_of([row["uid"] for row in images], groups=9)
    given = [vector.astype(np.float16).tolist() for vector in vectors.values()]
    given[3], given[5], given[7] = None, [0.0] * 12, [float("nan"), *given[7][1:]]
    given[9] = [3 * number for number in given[8]]
    table = pa.table({"uid": [row["uid"] for row in images], "embedding": pa.array(given, kind)})
    pq.write_table(table.slice(0, 50), tmp_path / "pool.parquet")
    near = [[number / 2 for number in vector] for vector in given[8:20]] + [None, [0.0] * 12]
    sets = {"a": near, "b": given[40:60], "c.parquet": []}
    for name in ("a", "b"):
        pq.write_table(pa.table({"embedding": pa.array(sets[name], pa.list_(pa.float32()))}), tmp_path / name)
    pq.write_table(pa.table({"url": ["http://é.example/59.jpg"]}), tmp_path / "c.parquet")
    tables = [str(tmp_path / name) for name in sets]
    asked = {"images": [[str(tmp_path / "pool.parquet")]], "decontaminate": tables}
    found = [naive_sets_by_cosine(each, sets, 0.97) for each in given[:50]] + [set()] * 9 + [{"c.parquet"}]
    for files in (1, 5):
        options = GateOptions(**asked, decontaminate_cosine=0.97)
        rows, counted = gated(engine, tmp_path / "gates", images, options, files)
        assert rows == [row for row, own in zip(images, found, strict=True) if not own]
        facts = counted.facts()["gate"]
        failed = {each["text"].rpartition(" ")[2]: each["failed"] for each in facts["conditions"]}
        assert failed == {name: sum(name in own for own in found) for name in sets}
        assert facts["decontaminate_cosine"] == 0.97
    assert all(12 <= failed[name] < 40 for name in ("a", "b"))
    plain = gated(engine, tmp_path / "gates", images, GateOptions(decontaminate=tables[2:]))[0]
    assert plain == images[:59]


def test_embeddings_that_cannot_be_compared_are_refused(engine, tmp_path):
    for name, column in {"flat": [[1.0, 2.0]], "other": [[1.0, 2.0, 3.0]], "texts": ["1.0"]}.items():
        pq.write_table(pa.table({"uid": ["0" * 32], "embedding": pa.array(column)}), tmp_path / name)
    pq.write_table(pa.table({"uid": ["0" * 32], "url": ["http://a.example"]}), tmp_path / "urls")

    def refused(images: str, *sets: str, cosine: float = 0.9) -> str:
        paths = {"images": [[str(tmp_path / images)]], "decontaminate": [str(tmp_path / each) for each in sets]}
        with pytest.raises(InputError) as caught:
            GateOptions(**paths, decontaminate_cosine=cosine).find()
        return str(caught.value)

    assert "decontaminate_cosine is 1.5; it is a cosine" in refused("flat", "other", cosine=1.5)
    assert "the tables of evaluation sets have embeddings of 2 lengths" in refused("flat", "flat", "other")
    assert "the tables of evaluation sets have no column embedding" in refused("flat", "urls")
    assert "column embedding has the type string; expected embeddings as lists" in refused("flat", "texts")
    assert "needs a table of images with a column embedding" in refused("urls", "flat")
    with pytest.raises(InputError, match="pass them by decontaminate"):
        GateOptions(decontaminate_cosine=0.9).find()
    options = GateOptions(images=[[tmp_path / "other"]], decontaminate=[tmp_path / "flat"], decontaminate_cosine=0.9)
    with pytest.raises(
        InputError, match="tables of images and of sets: an embedding has 3 numbers, and the first one has 2"
    ):
        gated(engine, tmp_path / "gates", [image(0)], options)


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
    assert (texts["text"], texts["failed"]) == ("no text of prompts.txt", every.count("a dog"))


def test_what_each_evaluation_set_and_file_of_texts_names_is_counted(engine, tmp_path):
    images = [image(number) for number in range(20)]
    pq.write_table(pa.table({"url": [images[3]["url"]]}), tmp_path / "some.parquet")
    pq.write_table(pa.table({"url": ["https://else.example/"]}), tmp_path / "none.parquet")
    lines = {"dogs.txt": "A Dog", "both.txt": "a dog\nanything", "nothing.txt": "anything"}
    for name, text in lines.items():
        (tmp_path / name).write_text(text)
    options = GateOptions(
        decontaminate=[str(tmp_path / name) for name in ("some.parquet", "none.parquet")],
        decontaminate_texts=[str(tmp_path / name) for name in lines],
    )
    _, counted = gated(engine, tmp_path / "gates", images, options)
    dogs = sum(text["text"] == "a dog" for row in images for text in row["candidates"])
    found = {row["name"]: row["found"] for row in counted.facts()["gate"]["lists"]}
    assert found == {"none.parquet": 0, "some.parquet": 1, "dogs.txt": dogs, "both.txt": dogs, "nothing.txt": 0}


@pytest.mark.parametrize(("hashed", "unmirrored"), [("phash", {"flowers": 1}), ("sha256", {})])
def test_a_set_of_before_mirror_images_were_hashed_is_named_where_pictures_are_compared(tmp_path, hashed, unmirrored):
    pq.write_table(pa.table({"uid": ["a"], hashed: [b"12345678"]}), tmp_path / "hashes.parquet")
    for name, mirrored in (("flowers", None), ("pets", b"87654321")):
        (tmp_path / name).mkdir()
        columns = {"phash": [b"12345678"], "phash_mirrored": pa.array([mirrored], pa.binary())}
        pq.write_table(pa.table(columns), tmp_path / name / "a.parquet")
    sets = [tmp_path / "flowers", tmp_path / "pets"]
    step = find(GateOptions(images=[[tmp_path / "hashes.parquet"]], decontaminate=sets))
    facts = step.facts(TaskResult())
    assert facts.get("unmirrored", {}) == unmirrored


def test_hashes_that_nothing_can_be_compared_with_are_refused(tmp_path):
    pq.write_table(pa.table({"phash": [b"12345678"]}), tmp_path / "eval.parquet")
    with pytest.raises(InputError, match="no table of images has a column sha256 or phash; hash the"):
        GateOptions(decontaminate=[str(tmp_path / "eval.parquet")]).find()
