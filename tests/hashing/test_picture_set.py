"""A set of picture files holds what its table says."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.plugins.hashing.clip_hash import hash_picture
from curation.plugins.tars.samples import OK
from tests.support.photographs import COPIES
from tests.support.picture_set import BROKEN, ORIGINAL, SAME_FILE, TABLE, make_pictures, served

NUMBER = 200
REASONS = {"cut": {"truncated", "damaged"}, "a page": {"not_an_image"}, "empty": {"not_an_image"}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a set, its rows, and what hashing says of each file."""
    folder = tmp_path_factory.mktemp("set")
    rows = make_pictures(folder, NUMBER)
    return folder, rows, {row["name"]: hash_picture((folder / row["name"]).read_bytes()) for row in rows}


@pytest.mark.slow
def test_files_are_what_the_table_says(made):
    folder, rows, hashed = made
    assert pq.read_table(folder / TABLE).to_pylist() == rows
    assert {path.name for path in folder.iterdir()} == {TABLE, *hashed}
    assert len(hashed) == len(rows) == NUMBER
    for row in rows:
        found = hashed[row["name"]]
        assert found["status"] in REASONS.get(row["kind"], {OK})
        if found["status"] == OK:
            assert (found["width"], found["height"]) == (row["width"], row["height"])


def test_copies_are_of_their_originals(made):
    folder, rows, hashed = made
    by_kind = defaultdict(list)
    for row in rows:
        one, other = hashed[row["name"]], hashed[row["original"]]
        if row["kind"] not in BROKEN:
            by_kind[row["kind"]].append(_apart(one["phash"], other["phash"]))
        if row["kind"] != "grey" or not _is_grey(folder / row["original"]):  # as some photographs are
            assert (one["sha256"] == other["sha256"]) == (row["kind"] in (ORIGINAL, SAME_FILE))
    assert len(by_kind[ORIGINAL]) == NUMBER // 5
    assert max(by_kind[ORIGINAL] + by_kind[SAME_FILE]) == 0
    assert min(by_kind["mirrored"] + by_kind["turned by 90 degrees"]) > 4
    assert {row["kind"] for row in rows} == {ORIGINAL, SAME_FILE, *BROKEN, *COPIES}


def _is_grey(path: Path) -> bool:
    pixels = np.asarray(Image.open(path).convert("RGB"), np.int16)
    return np.ptp(pixels, axis=2).max() < 16  # loss of the encoder


def _apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


@pytest.mark.slow
def test_the_same_set_is_made_again(made, tmp_path):
    folder, rows, _ = made
    assert make_pictures(tmp_path, NUMBER) == rows
    assert all((tmp_path / row["name"]).read_bytes() == (folder / row["name"]).read_bytes() for row in rows[:20])


def test_a_set_is_served(made):
    import urllib.request

    folder, rows, _ = made
    with served(folder) as urls, urllib.request.urlopen(urls[rows[0]["name"]]) as answer:
        assert answer.read() == (folder / rows[0]["name"]).read_bytes()
        assert answer.headers["Content-Type"].startswith("image/")
