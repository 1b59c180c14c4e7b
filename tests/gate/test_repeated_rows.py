"""Rows of one image that differ in columns that are asked for are counted and named, and many of them refused."""

import re
from hashlib import md5

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.config import CurationConfig
from curation.plugins.gate.options import GateOptions
from curation.report.warnings import warnings
from runtime.errors import InputError
from tests.report.runs import finished
from tests.support.downloaded import results
from tests.support.finished_run import image
from tests.support.gates import gated

IMAGES = [image(number) for number in range(8)]
ANY = CurationConfig(max_shared_uids=1)


def table_of(path, uids: list[str], **columns) -> str:
    pq.write_table(pa.table({"uid": uids, **columns}), path)
    return str(path)


def repeated(path, **columns) -> str:
    """Write a table with two rows of each of three images, and one of the others; return its path."""
    return table_of(path, [row["uid"] for row in [*IMAGES, *IMAGES[:3]]], **columns)


def test_a_table_of_several_rows_an_image_is_refused_above_the_limit_and_warned_of_below(engine, tmp_path):
    given = repeated(tmp_path / "scores.parquet", score=[0.5] * 8 + [0.25, 0.75, 0.5])  # the third is the same row
    options = GateOptions(images=[[given]], keep="score > 0.1")
    said = (
        rf"{re.escape(given)} has several rows for 2 of 8 images, such as {IMAGES[0]['uid']}, and they differ in score"
    )
    with pytest.raises(InputError, match=rf"{said}; expected one image for each uid. .* max_shared_uids=0.25$"):
        gated(engine, tmp_path / "gates", IMAGES, options)
    rows, counted = gated(engine, tmp_path / "gates", IMAGES, options, config=CurationConfig(max_shared_uids=0.25))
    assert rows == IMAGES
    gate = counted.facts()["gate"]
    assert gate["tables"] == [{"name": given, "found": 8, "differing": 2, "example": IMAGES[0]["uid"]}]
    (warning,) = warnings(finished()[0].run_json | {"gate": gate, "languages": {}})
    assert f"{given} (2 images, such as {IMAGES[0]['uid']})" in "".join(warning)


@pytest.mark.slow
def test_only_columns_that_are_asked_for_are_compared_by_conditions_copies_and_evaluation_sets(engine, tmp_path):
    hashes = pa.array([bytes([number] * 8) for number in range(11)], pa.binary())
    given = repeated(tmp_path / "t.parquet", width=[300] * 11, phash=hashes, page=[*map(str, range(11))])
    pictures = table_of(tmp_path / "set.parquet", ["a"], phash=[b"12345678"])
    for options, differing in (
        (GateOptions(images=[[given]], keep="width > 200"), 0),
        (GateOptions(images=[[given]], keep="width > 200 AND page >= '0'"), 3),
        (GateOptions(images=[[given]], same_image="phash"), 3),
        (GateOptions(images=[[given]], decontaminate=[pictures]), 3),
    ):
        _, counted = gated(engine, tmp_path / "gates", IMAGES, options, config=ANY)
        assert counted.facts()["gate"]["tables"][0].get("differing", 0) == differing


@pytest.mark.slow
def test_tries_that_failed_and_rows_of_nulls_are_no_other_rows_but_nulls_beside_values_are(engine, tmp_path):
    tries = [{"uid": row["uid"], "status": "failed_to_download", "width": None} for row in IMAGES]
    done = [{"uid": row["uid"], "status": "success", "width": "300"} for row in IMAGES]
    columns = ["uid", "status", "width"]
    downloads = [str(results(tmp_path / name, rows, columns)) for name, rows in (("a", tries), ("b", done))]
    asked = GateOptions(status=downloads, keep="width::int > 200")
    for options in (asked, GateOptions(images=[downloads], keep="status = 'success' AND width::int > 200")):
        assert gated(engine, tmp_path / "gates", IMAGES, options)[0] == IMAGES
    given = repeated(tmp_path / "t.parquet", a=[1] * 8 + [None, 1, None], b=[None] * 8 + [1, None, None])
    _, counted = gated(
        engine, tmp_path / "gates", IMAGES, GateOptions(images=[[given]], keep="a > 0 OR b > 0"), config=ANY
    )
    assert counted.facts()["gate"]["tables"][0]["differing"] == 1


def test_of_a_table_by_url_whose_rows_are_of_texts_the_least_row_counts_and_none_are_compared(engine, tmp_path):
    url = "http://a.example/1.jpg"
    images = [image(0, url) | {"uid": md5(url.encode()).hexdigest()}]
    pq.write_table(pa.table({"url": [url, url], "score": [0.1, 0.9]}), tmp_path / "t.parquet")
    for keep, expected in (("score < 0.5", images), ("score < 0.5 OR score > 0.05", images)):
        options = GateOptions(images=[[tmp_path / "t.parquet"]], keep=keep)
        assert gated(engine, tmp_path / "gates", images, options)[0] == expected


def test_columns_of_lists_structs_and_maps_are_compared(engine, tmp_path):
    pairs = pa.array([[("a", n % 8)] for n in range(11)], pa.map_(pa.string(), pa.int64()))
    lists = pa.array([[n, None] for n in range(11)])
    given = repeated(tmp_path / "t.parquet", pairs=pairs, lists=lists)
    for keep, differing in (("pairs['a'] >= 0", 0), ("len(lists) > 1", 3)):
        _, counted = gated(engine, tmp_path / "gates", IMAGES, GateOptions(images=[[given]], keep=keep), config=ANY)
        assert counted.facts()["gate"]["tables"][0].get("differing", 0) == differing
