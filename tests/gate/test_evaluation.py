"""Pictures of evaluation sets are found among images as the naive twin finds them, however tables are written."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.exclusion.lists import url_keys
from curation.plugins.gate.evaluation import EvaluationSets
from curation.plugins.hashing.clip_hash import hash_picture
from runtime.errors import InputError
from tests.naive.evaluation import naive_sets
from tests.support.evaluation_tables import found, random_pictures, write_set
from tests.support.pictures import picture, stored


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Rows of three sets, and the folders that hold them."""
    folder, chance = tmp_path_factory.mktemp("sets"), random.Random(1)
    rows = {name: random_pictures(chance, number) for name, number in (("flowers", 80), ("imagenet", 40), ("é", 9))}
    return rows, [write_set(folder, name, each, files=2) for name, each in rows.items()]


@pytest.mark.slow
@pytest.mark.parametrize("distance", [0, 4, 9])
def test_images_are_found_as_by_the_naive_twin_in_saved_sets_too(tables, tmp_path, distance):
    rows, paths = tables
    images = random_pictures(random.Random(2), 500)
    sets = EvaluationSets.read(paths, distance)
    expected = [naive_sets(image, rows, distance) for image in images]
    assert found(sets, images) == {by: [each[by] for each in expected] for by in ("url", "sha256", "phash")}
    for by in ("url", "sha256", "phash"):
        assert 10 < sum(bool(each[by]) for each in expected) < 490
    again = EvaluationSets.open(sets.save(tmp_path / "saved"))
    assert found(again, images) == found(sets, images)
    assert (again.sets, again.distance) == (sets.sets, distance)


def test_sets_are_described_and_neither_order_nor_files_change_them(tables, tmp_path):
    rows, paths = tables
    sets = EvaluationSets.read(paths, 4)
    assert [(each.name, each.pictures) for each in sets.sets] == [("flowers", 80), ("imagenet", 40), ("é", 9)]
    other = write_set(tmp_path, "flowers", rows["flowers"][::-1], files=5)
    assert saved(EvaluationSets.read([paths[2], other, paths[1]], 4), tmp_path / "other") == saved(sets, tmp_path / "a")
    assert saved(EvaluationSets.read(paths[:2], 4), tmp_path / "two") != saved(sets, tmp_path / "a")


def saved(sets: EvaluationSets, folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(sets.save(folder)).iterdir()}


def test_plain_pictures_match_none_by_hash_and_are_counted_but_match_by_file_and_url(tmp_path):
    images = [
        {"uid": f"{number}", "url": f"http://a.example/{number}", **hash_picture(stored(each, "PNG"))}
        for number, each in enumerate(_plain_pictures())
    ]
    sets = EvaluationSets.read([write_set(tmp_path, "plain", images)], 4)
    masks = found(sets, images)
    assert masks["phash"] == [set()] * 4 + [{"plain"}]
    assert masks["sha256"] == [{"plain"}] * 5
    assert sets.kinds["url"].find(url_keys(pa.array([image["url"] for image in images])), 0).tolist() == [1] * 5
    assert (sets.sets[0].pictures, sets.sets[0].plain) == (5, 4)


def _plain_pictures():
    """One colour, a gradient down, one across, stripes; and a picture that is not plain."""
    from PIL import Image

    down = np.linspace(0, 255, 64).astype(np.uint8)[:, None].repeat(96, axis=1)
    stripes = np.where(np.arange(96) % 30 < 11, 250, 3).astype(np.uint8)[None].repeat(64, axis=0)
    plain = [np.full((64, 96), 200, np.uint8), down, down.T.copy(), stripes]
    return [*map(Image.fromarray, plain), picture(1)]


def test_a_mirrored_copy_of_a_picture_is_found_by_the_hash_of_the_mirror_image(tmp_path):
    from PIL import ImageOps

    pictures = [picture(seed) for seed in range(20)]
    images = [{"uid": None, "url": None, **hash_picture(stored(each, "PNG"))} for each in pictures]
    mirrored = [hash_picture(stored(ImageOps.mirror(each))) for each in pictures]
    sets = EvaluationSets.read([write_set(tmp_path, "set", images)], 4)
    assert sets.by_hash("phash", pa.array([each["phash"] for each in mirrored], pa.binary(8))).tolist() == [1] * 20
    assert sets.sets[0].unmirrored == 0
    of_before = [row | {"phash_mirrored": None} for row in images]
    before = EvaluationSets.read([write_set(tmp_path, "before", of_before)], 4)
    assert before.by_hash("phash", pa.array([each["phash"] for each in mirrored], pa.binary(8))).tolist() == [0] * 20
    assert before.sets[0].unmirrored == 20


def test_pictures_without_the_hash_of_the_mirror_image_are_counted_in_a_folder_of_both_kinds_too(tmp_path):
    plain, other = b"\0" * 8, b"\x5a" * 8
    (tmp_path / "set").mkdir()
    pq.write_table(pa.table({"phash": [other, plain, None]}), tmp_path / "set" / "0.parquet")
    both = {"phash": [other] * 3, "phash_mirrored": [None, plain, other]}
    pq.write_table(pa.table(both), tmp_path / "set" / "1.parquet")
    pq.write_table(pa.table({"url": ["http://a.example/1"]}), tmp_path / "urls.parquet")
    sets = EvaluationSets.read([tmp_path / "set", tmp_path / "urls.parquet"], 4)
    assert {each.name: each.unmirrored for each in sets.sets} == {"set": 2, "urls.parquet": 0}


def test_tables_with_any_of_the_columns_and_digits_for_bytes_are_read(tmp_path):
    image = hash_picture(stored(picture(1), "PNG"))
    tables = {
        "urls": {"URL": ["http://a.example/1", None]},
        "digits": {"phash": [image["phash"].hex().upper(), None], "other": [1, 2]},
        "bytes": {"sha256": [bytes.fromhex(image["sha256"]), None], "phash": pa.array([None, None], pa.binary())},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    sets = EvaluationSets.read([tmp_path / f"{name}.parquet" for name in tables], 2)
    assert [each.name for each in sets.sets] == ["bytes.parquet", "digits.parquet", "urls.parquet"]
    for column in (pa.array([image["phash"]], pa.binary()), pa.array([image["phash"].hex()], pa.large_string())):
        assert sets.by_hash("phash", column).tolist() == [2]
    for column in (pa.array([None, image["sha256"]]), pa.array([None, bytes.fromhex(image["sha256"])])):
        assert sets.by_hash("sha256", column).tolist() == [0, 1]
    assert sets.kinds["url"].find(url_keys(pa.array(["http://a.example/1", "http://a.example/2"])), 0).tolist() == [
        4,
        0,
    ]


def test_slices_nulls_and_nothing_match_as_they_should(tables):
    rows, paths = tables
    sets = EvaluationSets.read(paths, 4)
    hashes = pa.array([None, *(row["phash"] for row in rows["flowers"])], pa.binary(8))
    whole = sets.by_hash("phash", hashes)
    assert whole[0] == 0
    assert np.array_equal(sets.by_hash("phash", hashes.slice(7, 30)), whole[7:37])
    for empty in (pa.array([], pa.binary(8)), pa.nulls(3, pa.binary(8)), pa.nulls(2), pa.nulls(2, pa.string())):
        for kind, column in (("phash", empty), ("sha256", empty.cast(pa.string()))):
            assert sets.by_hash(kind, column).tolist() == [0] * len(empty)
    assert sets.by_url([]).tolist() == []


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"uid": ["0" * 32]}, "has the columns uid; expected a table of pictures"),
        ({"url": pa.nulls(2, pa.string())}, "contains no picture: it has no URL, no SHA-256 and no pHash"),
        ({"phash": [b"1234567"]}, "the column phash has hashes that are not of 8 bytes; expected hashes as"),
        ({"phash": ["00000000000000zz"]}, "the column phash has '00000000000000zz'; expected hashes as binaries of 8"),
        ({"phash": ["1234"]}, "the column phash has hashes that are not of 8 bytes"),
        ({"phash": [0.5]}, "the column phash has the type double; expected hashes as binaries of 8"),
        ({"sha256": ["é" * 64]}, "the column sha256 has 'é+…'; expected hashes as binaries"),
    ],
)
def test_tables_that_name_no_pictures_are_refused_with_their_path(tmp_path, columns, sentence):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=rf"a\.parquet.*{sentence}"):
        EvaluationSets.read([tmp_path / "a.parquet"], 4)


def test_sets_that_cannot_be_told_apart_and_distances_of_no_copies_are_refused(tables, tmp_path):
    _, paths = tables
    with pytest.raises(InputError, match="have the same name, the last part of their path; rename one"):
        EvaluationSets.read([paths[0], tmp_path / "flowers"], 4)
    with pytest.raises(InputError, match="at most 60 are possible; combine some"):
        EvaluationSets.read(map(str, range(61)), 4)
    with pytest.raises(InputError, match="may differ in at most 16 of 64 bits"):
        EvaluationSets.read(paths, 17)
    with pytest.raises(InputError, match="does not exist"):
        EvaluationSets.read([tmp_path / "none"], 4)
