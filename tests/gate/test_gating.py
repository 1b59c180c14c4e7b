"""Images pass that meet all conditions over tables of images, as a naive twin says, and each condition counts."""

import random
from hashlib import md5
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.config import CurationConfig
from curation.plugins.gate.options import GateOptions
from curation.plugins.joins.image_tables import ImageTable
from runtime.errors import InputError
from runtime.tallies import TaskResult
from tests.naive.gates import naive_differing, naive_failed
from tests.support.finished_run import image
from tests.support.gates import checked_gate, gated, write_table

KEEP = "status = 'success' AND least(width, height) >= 200 AND (clip > 0.28 OR clip IS NULL) AND 1 / nsfw > 2"


def _naive_conditions() -> list:
    def sides(row: dict) -> bool | None:
        known = [row[name] for name in ("width", "height") if row[name] is not None]  # as least() passes over nulls
        return min(known) >= 200 if known else None

    return [
        lambda row: row["status"] == "success",
        sides,
        lambda row: row["clip"] is None or row["clip"] > 0.28,
        lambda row: bool(row["nsfw"]) and 1 / row["nsfw"] > 2,
    ]


def tables_of(images: list[dict], chance: random.Random) -> tuple[list[dict], list[dict]]:
    """Return results of downloads, some of several tries, and scores by URL; neither of all images, some of others."""
    others = [image(1000 + number) for number in range(20)]
    results, scores = [], []
    for row in chance.sample(images + others, len(images)):
        for _ in range(chance.choice([1, 1, 2, 3])):
            uid = row["uid"].upper() if chance.random() < 0.2 else row["uid"]
            status = chance.choice(["success", "success", "failed_to_download", None])
            sides = [chance.choice([None, 199, 200, 201, 300, 3000]) for _ in range(2)]
            results.append({"uid": uid, "status": status, "width": sides[0], "height": sides[1]})
    for row in chance.sample(images + others, len(images)):
        score = {
            "clip": chance.choice([None, 0.28, 0.3, 0.4]),
            "nsfw": chance.choice([None, 0.0, 0.25, 0.25, 0.375, 0.75]),
        }
        scores.append({"uid": row["uid"]} | score)
    results.append({"uid": None, "status": "success", "width": 500, "height": 500})
    return results, scores


def kept(
    engine, folder: Path, images: list[dict], tables: list[str], keep: str, files: int = 3
) -> tuple[list, TaskResult]:
    options, config = GateOptions(images=[[table] for table in tables], keep=keep), CurationConfig(max_shared_uids=1)
    rows, counted = gated(engine, folder / "gates", images, options, files, config)
    return rows, counted.last


@pytest.mark.parametrize("files", [1, 7])
def test_images_pass_as_the_naive_twin_says_however_files_are_cut(engine, tmp_path, files):
    chance = random.Random(1)
    images = [image(number) for number in range(300)]
    results, scores = tables_of(images, chance)
    failed = {row["uid"]: naive_failed(row, [results, scores], _naive_conditions()) for row in images}
    expected = [row for row in images if not failed[row["uid"]]]
    assert 20 < len(expected) < 280
    given = [write_table(results, tmp_path / "results"), write_table(scores, tmp_path / "scores", 1)]
    rows, tallies = kept(engine, tmp_path, images, given, KEEP, files)
    assert rows == expected
    for number in range(4):
        assert tallies["failed", number] == sum(number in each for each in failed.values())
        assert tallies["alone", number] == sum(each == [number] for each in failed.values())
        first = [row for row in images if failed[row["uid"]][:1] == [number]]
        assert tallies["removed", number] == len(first)
        texts = [text["language"] for row in first for text in row["candidates"]]
        assert tallies.by_language("texts", number) == {code: texts.count(code) for code in sorted({*texts})}
    assert tallies["passed"] == len(expected)
    own = {row["uid"] for row in images}
    assert tallies["found", 0] == len(own & {row["uid"] for row in results})
    assert tallies["found", 1] == len(own & {row["uid"] for row in scores})
    assert tallies["differing", 0] == naive_differing(images, results, ["status", "width", "height"]) > 20
    assert tallies["differing", 1] == 0


def test_a_table_names_images_by_their_urls_where_it_has_no_uids(engine, tmp_path):
    urls = [f"http://ü.example/{number}.jpg" for number in range(4)]
    images = [image(number, url) | {"uid": md5(url.encode()).hexdigest()} for number, url in enumerate(urls)]
    table = write_table([{"url": url, "score": n} for n, url in enumerate([*urls[1:], None])], tmp_path / "t")
    assert kept(engine, tmp_path, images, [table], "score >= 1")[0] == images[2:]


NUMBERS = [pa.uint8(), pa.uint64(), pa.float16(), pa.decimal128(30, 2)]
STRINGS = [pa.large_string(), pa.dictionary(pa.int8(), pa.string()), pa.large_binary(), pa.binary(1)]


@pytest.mark.parametrize("kind", [*NUMBERS, *STRINGS], ids=str)
def test_columns_of_any_type_are_compared(engine, tmp_path, kind):
    images = [image(number) for number in range(4)]
    values = pa.array(np.arange(4).astype("f2") if kind == pa.float16() else range(4))
    values = values.cast(pa.string()).cast(kind) if kind in STRINGS else values.cast(kind)
    (tmp_path / "t").mkdir()
    pq.write_table(pa.table({"uid": [row["uid"] for row in images], "v": values}), tmp_path / "t" / "a.parquet")
    assert kept(engine, tmp_path, images, [str(tmp_path / "t")], "v >= '2'")[0] == images[2:]


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        ("statsu = 'success'", "column statsu of keep is in no table of images: .*results has uid, status, width"),
        (
            "width",
            "'width' of keep, where width of .*results is int64, has the type BIGINT instead of BOOLEAN; compare",
        ),
        ("status = success", r"has uid, status, width.*; if it is a string, put it into single quotes: 'success'"),
        ("width > 2 && width < 9", "has &&; write AND between conditions"),
        ("width > 200 AND", "is not an expression of DuckDB's SQL: syntax error at"),
        ("width >", "is not an expression of DuckDB's SQL: syntax error at"),
        ("random() > 0.5", "keep has random, which depends on more than the columns of one image"),
        ("count(width) > 1", "keep has count, which depends on more than the columns of one image"),
        (
            "width > 'a' AND status > 1",
            r"condition '\(status > 1\)' of keep, where status of .* is string, cannot be eval",
        ),
        ("width > [1]", "cannot be evaluated: Cannot compare values of type BIGINT and type INTEGER"),
    ],
)
def test_what_is_no_condition_is_refused_before_any_work(tmp_path, keep, sentence):
    rows = [{"uid": "a", "status": "success", "width": 1}]
    table = write_table(rows, tmp_path / "results", 1)
    with pytest.raises(InputError, match=sentence):
        checked_gate([table], keep)


def test_a_column_that_two_tables_have_is_refused_where_it_is_asked_for(tmp_path):
    tables = [write_table([{"uid": "a", "width": 1, own: 1}], tmp_path / own, 1) for own in ("x", "y")]
    with pytest.raises(InputError, match="column width of keep is in several tables"):
        checked_gate(tables, "width > 1")
    assert len(checked_gate(tables, "x > 1 AND y > 1").joined.conditions.conditions) == 2


def test_any_name_of_a_column_will_do_and_columns_that_are_not_asked_for_may_be_of_any_type(engine, tmp_path):
    images = [image(number) for number in range(4)]
    names = ("high", "low", "row", "file", "met", "a `b` c")
    table = {"uid": [row["uid"] for row in images], "at": pa.array([0] * 4, pa.time32("s"))}
    (tmp_path / "t").mkdir()
    pq.write_table(pa.table(table | {name: range(4) for name in names}), tmp_path / "t" / "a.parquet")
    keep = 'high > 0 AND low > 0 AND row > 0 AND file > 0 AND met > 0 AND "a `b` c" > 2'
    assert kept(engine, tmp_path, images, [str(tmp_path / "t")], keep)[0] == images[3:]


def test_a_path_that_is_no_table_of_images_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.parquet").write_text("no Parquet")
    table = write_table([{"id": 1, "score": 2}], tmp_path / "other", 1)
    pq.write_table(pa.table({"uid": ["a"], "s__re": [1]}), tmp_path / "name.parquet")
    (tmp_path / "name.parquet").write_bytes((tmp_path / "name.parquet").read_bytes().replace(b"s__re", b"s\xff\xfere"))
    for path, sentence in (
        (tmp_path / "name.parquet", r"cannot be read as Parquet: the name of a column, .* is not UTF-8; rename it"),
        (tmp_path / "gone", "does not exist"),
        (tmp_path / "empty", r"holds no file \*.parquet"),
        (tmp_path / "text.parquet", "cannot be read as Parquet"),
        (table, "has the columns id, score; expected a column `uid` or `url`. Add one"),
    ):
        with pytest.raises(InputError, match=sentence):
            ImageTable.find([str(path)])
