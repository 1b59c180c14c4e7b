"""Pictures that img2dataset downloads from this machine are hashed, and those of an evaluation set are found."""

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.gate.evaluation import EvaluationSets
from curation.plugins.hashing.clip_hash import hash_picture
from tests.support.img2dataset import require_img2dataset, run_img2dataset
from tests.support.picture_set import BROKEN, ORIGINAL, SAME_FILE, make_pictures, served

NUMBER = 300
STORED_ANEW = ("JPEG, quality 95", "JPEG, quality 75", "WebP, quality 80", "half as large", "twice as large", "grey")


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory):
    """The rows of a set by uid, and the folders of its files and of what img2dataset made of them."""
    require_img2dataset()
    folder = tmp_path_factory.mktemp("pictures")
    rows = make_pictures(folder / "files", NUMBER)
    with served(folder / "files") as urls:
        table = {"uid": [row["name"] for row in rows], "url": [urls[row["name"]] for row in rows]}
        pq.write_table(pa.table(table | {"text": [row["kind"] for row in rows]}), folder / "list.parquet")
        _download(folder)
    return {row["name"]: row for row in rows}, folder


def _download(folder: Path) -> None:
    options = {
        "--url_list": folder / "list.parquet",
        "--output_folder": folder / "images",
        "--input_format": "parquet",
        "--output_format": "webdataset",
        "--url_col": "url",
        "--caption_col": "text",
        "--save_additional_columns": '["uid"]',
        "--image_size": "256",
        "--resize_mode": "keep_ratio_largest",
        "--resize_only_if_bigger": "True",
        "--processes_count": "1",
        "--thread_count": "4",
    }
    run_img2dataset([str(word) for option in options.items() for word in option])


def results(folder: Path) -> dict[str, dict]:
    rows = [row for path in (folder / "images").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    return {row["uid"]: row for row in rows}


def test_all_but_broken_files_are_downloaded(downloaded):
    rows, folder = downloaded
    found = results(folder)
    assert found.keys() == rows.keys()
    for uid, row in rows.items():
        assert (found[uid]["status"] == "success") == (row["kind"] not in BROKEN), row


def test_copies_of_evaluation_pictures_are_found_after_the_download(downloaded, tmp_path):
    rows, folder = downloaded
    own = [row["name"] for row in rows.values() if row["kind"] == ORIGINAL][::3]
    evaluation = [{"uid": name} | hash_picture((folder / "files" / name).read_bytes()) for name in own]
    pq.write_table(pa.Table.from_pylist(evaluation), tmp_path / "evaluation.parquet")
    sets = EvaluationSets.read([tmp_path / "evaluation.parquet"], 4)
    hashed = dict(_hashed(folder))
    near = dict(zip(hashed, sets.by_hash("phash", pa.array(hashed.values())).tolist(), strict=True))
    assert all(not near[uid] or rows[uid]["original"] in own for uid in hashed)
    sought = [uid for uid in hashed if rows[uid]["original"] in own]
    assert all(near[uid] for uid in sought if rows[uid]["kind"] in (ORIGINAL, SAME_FILE))
    anew = [near[uid] for uid in sought if rows[uid]["kind"] in STORED_ANEW]
    assert sum(anew) >= 0.8 * len(anew) > 0
    files = {uid: row["sha256"] for uid, row in results(folder).items() if row["status"] == "success"}
    same = sets.by_hash("sha256", pa.array(files.values()))
    expected = [rows[uid]["original"] in own and rows[uid]["kind"] in (ORIGINAL, SAME_FILE) for uid in files]
    assert same.astype(bool).tolist() == expected


def _hashed(folder: Path):
    """Yield the uid and the pHash of each picture in the tars."""
    found = results(folder)
    by_key = {row["key"]: uid for uid, row in found.items()}
    for path in (folder / "images").glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".jpg"):
                    data = io.BytesIO(tar.extractfile(member).read()).getvalue()
                    yield by_key[member.name.removesuffix(".jpg")], hash_picture(data)["phash"]
