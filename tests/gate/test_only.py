"""The images that lists name may stay, and no others."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.image_ids import uids
from curation.plugins.gate.given_tables import UidList
from curation.plugins.gate.options import GateOptions
from runtime.errors import InputError
from tests.support.finished_run import image
from tests.support.gates import gated


@pytest.fixture
def images() -> list[dict]:
    urls = [f"http://é.example/{number}.jpg" for number in range(8)]
    return [image(number, url) | {"uid": uids(pa.array([url]))[0].as_py()} for number, url in enumerate(urls)]


def test_images_stay_that_a_list_of_any_kind_names(engine, tmp_path, images):
    lines = ["# may stay", images[1]["uid"], images[2]["url"], f"uid:{images[3]['uid']}", "0" * 32, images[1]["uid"]]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    with gzip.open(tmp_path / "more.txt.gz", "wt") as file:
        file.write(images[4]["url"])
    pq.write_table(pa.table({"uid": [images[5]["uid"]], "score": [1]}), tmp_path / "table.parquet")
    (tmp_path / "table.csv").write_text(f"url,score\n{images[6]['url']},1\n")
    options = GateOptions(only=[str(tmp_path / "*.txt"), *map(str, sorted(tmp_path.glob("*[tz]*.??*")))])
    rows, counted = gated(engine, tmp_path / "gates", images, options)
    assert rows == images[1:7]
    (condition,) = counted.facts()["gate"]["conditions"]
    assert condition["text"].startswith("in ")
    assert condition["failed"] == condition["removed"] == condition["alone"] == 2


def test_the_images_that_each_list_names_are_counted(engine, tmp_path, images):
    lists = {"a.txt": images[1:4], "b.txt": images[3:5], "c.txt": []}
    for name, named in lists.items():
        (tmp_path / name).write_text(
            "\n".join(["0" * 32, *(row["uid"] for row in named), *(row["url"] for row in named)])
        )
    options = GateOptions(only=[str(tmp_path / name) for name in (*lists, "a.txt")])
    rows, counted = gated(engine, tmp_path / "gates", images, options)
    assert rows == images[1:5]
    found = {row["name"]: row["found"] for row in counted.facts()["gate"]["lists"]}
    assert found == {str(tmp_path / "a.txt"): 3, str(tmp_path / "b.txt"): 2, str(tmp_path / "c.txt"): 0}


def test_lists_and_conditions_must_both_hold(engine, tmp_path, images):
    (tmp_path / "only.txt").write_text("\n".join(row["uid"] for row in images[:4]))
    pq.write_table(pa.table({"uid": [row["uid"] for row in images], "n": range(8)}), tmp_path / "t.parquet")
    options = GateOptions(only=[str(tmp_path / "only.txt")], images=[[str(tmp_path / "t.parquet")]], keep="n >= 2")
    rows, counted = gated(engine, tmp_path / "gates", images, options)
    assert rows == images[2:4]
    assert [(each["failed"], each["alone"]) for each in counted.facts()["gate"]["conditions"]] == [(4, 4), (2, 2)]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("example.org", "contains a domain, 'example.org'; only takes only uids and URLs"),
        ("0" * 32, "has none of the matched images"),
        ("x y", "line 1: 'x y' is neither a uid"),
    ],
)
def test_lists_that_name_no_images_are_refused(engine, tmp_path, images, line, sentence):
    (tmp_path / "only.txt").write_text(line)
    with pytest.raises(Exception, match=sentence):
        gated(engine, tmp_path / "gates", images, GateOptions(only=[str(tmp_path / "only.txt")]))


def test_a_list_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"gone.txt does not exist; expected a list of the uids or URLs"):
        GateOptions(only=[str(tmp_path / "gone.txt")]).find()


def test_an_empty_list_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "only.txt").touch()
    with pytest.raises(
        InputError, match="only.txt is empty; pass the uids or URLs of images that may stay, or leave out"
    ):
        UidList.find([tmp_path / "only.txt"])
