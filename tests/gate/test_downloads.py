"""After a download, the images pass of which a try succeeded."""

import random
from hashlib import md5

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.gate.options import GateOptions
from runtime.errors import InputError
from runtime.tallies import TaskResult
from tests.naive.export import naive_existing, naive_statuses
from tests.support.downloaded import results
from tests.support.finished_run import image
from tests.support.gates import gated


def passed(engine, folder, images: list[dict], options: GateOptions) -> tuple[list[dict], TaskResult]:
    rows, counted = gated(engine, folder / "gates", images, options)
    return rows, counted.last


def downloaded(*folders, images=(), keep: str | None = None) -> GateOptions:
    return GateOptions(status=list(map(str, folders)), images=images, keep=keep)


def test_matched_images_pass_where_a_try_succeeded(engine, tmp_path):
    images, chance = [image(number) for number in range(60)], random.Random(1)
    words = ("failed_to_download", "success", "failed_to_resize")
    rows = [{"uid": row["uid"], "status": words[n % 3]} for n, row in enumerate(images[:48])]
    again = [{"uid": row["uid"], "status": words[n % 2]} for n, row in enumerate(images[:10])]
    chance.shuffle(rows)
    plan = downloaded(results(tmp_path / "a", rows), results(tmp_path / "b", again))
    there, tallies = passed(engine, tmp_path, images, plan)
    assert there == naive_existing(images, rows + again)
    named = list(naive_statuses(images, rows + again).values())
    statuses = tallies.by_item("status")
    assert (statuses["success"], statuses["not_tried"]) == (named.count("success"), 12)
    assert sum(statuses.values()) == 60


def test_without_a_uid_the_md5_of_the_url_tells_the_image(engine, tmp_path):
    images = [image(0, "http://é/0"), image(1, "http://é/1")]
    images[1]["uid"] = md5("http://é/1".encode()).hexdigest()
    rows = [{"url": row["url"], "status": "success"} for row in images]
    there, _ = passed(engine, tmp_path, images, downloaded(results(tmp_path / "a", rows, ["url", "status"])))
    assert there == [images[1]]


@pytest.mark.slow
def test_the_status_that_counts_is_that_of_the_download_where_another_table_has_one_too(engine, tmp_path):
    images = [image(number) for number in range(4)]
    tried = results(tmp_path / "a", [{"uid": row["uid"], "status": "success"} for row in images])
    scores = [{"uid": row["uid"], "status": "failed", "score": n} for n, row in enumerate(images)]
    pq.write_table(pa.Table.from_pylist(scores), tmp_path / "scores.parquet")
    plan = downloaded(tried, images=[[str(tmp_path / "scores.parquet")]], keep="score > 1")
    assert passed(engine, tmp_path, images, plan)[0] == images[2:]


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        ([{"uid": image(n)["uid"], "status": status} for n in range(9) for status in (None, "failed")], "9 failed"),
        ([{"uid": "laion/7", "status": "success"}], "9 not_tried"),
        ([], "9 not_tried"),
    ],
)
def test_a_download_in_which_nothing_succeeded_is_refused(engine, tmp_path, rows, counts):
    images = [image(number) for number in range(9)]
    with pytest.raises(InputError, match=rf"no matched image was downloaded \({counts}\); pass img2dataset's results"):
        passed(engine, tmp_path, images, downloaded(results(tmp_path / "a", rows)))


@pytest.mark.slow
def test_a_table_without_images_of_this_run_and_conditions_that_none_meets_are_refused(engine, tmp_path):
    images = [image(number) for number in range(4)]
    for name, uid in (("others", "0" * 31 + "1"), ("own", images[0]["uid"])):
        pq.write_table(pa.table({"uid": [uid], name: [1]}), tmp_path / f"{name}.parquet")
    for name, sentence in (
        ("others", "others.parquet has none of the matched images: no image of this run has one of its uids"),
        ("own", r"no matched image meets all conditions \(failed: 4 \(own > 1\)\)"),
    ):
        (tmp_path / name).mkdir()
        plan = downloaded(images=[[str(tmp_path / f"{name}.parquet")]], keep=f"{name} > 1")
        with pytest.raises(InputError, match=sentence):
            passed(engine, tmp_path / name, images, plan)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no file \*.parquet"):
        downloaded(tmp_path).find()


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (["uid", "url"], "expected results of img2dataset, such as 00000.parquet"),
        (["status"], "expected a column `uid` or `url`"),
    ],
)
def test_tables_that_are_no_results_are_refused(tmp_path, columns, sentence):
    with pytest.raises(InputError, match=sentence):
        downloaded(results(tmp_path / "a", [{}], columns)).find()


def test_tables_without_a_condition_and_a_condition_without_tables_are_refused(tmp_path):
    with pytest.raises(InputError, match="but no option reads it; say by keep which images stay"):
        downloaded(images=[[str(tmp_path)]]).find()
    with pytest.raises(InputError, match="pass them by images"):
        downloaded(keep="a > 1").find()
