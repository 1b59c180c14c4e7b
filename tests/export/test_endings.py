"""Pictures of all endings are samples, for whatever reads tars; what has no picture is passed over and counted."""

import json
import logging
import tarfile
from pathlib import Path

import pytest

from curation import online
from curation.plugins.export.formats import export
from curation.plugins.export.metaclip import MetaClip
from curation.plugins.export.webdataset import WebDataset
from curation.plugins.hashing import clip_hash as pipeline
from curation.plugins.tars.samples import find, read
from tests.support.in_turn import in_turn
from tests.support.online_run import add
from tests.support.pictures import picture, stored

ENDINGS = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "jp2", "GIF"]
PASSED_OVER = "2 of 13 keys in the tars have files but no picture"


@pytest.fixture
def images(run, tmp_path) -> Path:
    """A tar of kept images whose pictures have all endings, of one with another ending, and of one without any."""
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for number, ending in enumerate([*ENDINGS, "heic", "txt"]):
            row = run.kept[number]
            add(tar, f"{number:02}.{ending}", stored(picture()))
            add(tar, f"{number:02}.json", json.dumps({"uid": row["uid"], "url": row["url"]}).encode())
    return tmp_path / "0.tar"


def pictures_in(tar: Path) -> list[str]:
    with tarfile.open(tar) as members:
        return [name.partition(".")[2] for name in members.getnames() if name.rpartition(".")[2] not in ("json", "txt")]


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (lambda tar: WebDataset([tar]), lambda out: pictures_in(out / "0.tar")),
        (
            lambda tar: MetaClip([tar]),
            lambda out: ENDINGS[: len(json.loads((out / "text_entries/0/0.json").read_text()))],
        ),
    ],
    ids=["webdataset", "metaclip"],
)
def test_exports_have_pictures_of_all_endings_and_count_what_they_pass_over(
    run, images, tmp_path, caplog, form, written
):
    with caplog.at_level(logging.WARNING):
        export(in_turn(), run.path, tmp_path / "out", form(images))
    assert written(tmp_path / "out") == ENDINGS
    assert PASSED_OVER in caplog.text
    assert f"such as '11' in {images}; they are skipped" in caplog.text


def test_the_online_index_has_them(run, images, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        index = online.build(images, run.path, tmp_path / "index", engine=in_turn())
    assert sum(block.num_rows for block in index.rows(0)) == len(ENDINGS)
    assert PASSED_OVER in caplog.text


def test_hashes_are_of_the_same_pictures(images, tmp_path):
    passed_over: list[str] = []
    (source,) = find([images])
    assert len([*read(source, passed_over.append)]) == len(ENDINGS)
    assert passed_over == ["11", "12"]
    hashes = pipeline.hash_images(in_turn(), [images], tmp_path / "hashes")
    assert hashes.statuses == {"ok": len(ENDINGS), "no_picture": 2}
