"""Pictures of tars and folders become rows with hashes; what is done is not done again, what is odd is refused."""

from contextlib import suppress
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import curation
from curation.plugins.hashing import clip_hash as module
from curation.plugins.hashing.clip_hash import hash_images, hash_picture, hashed_rows, main, tasks
from curation.plugins.tars.samples import find, read
from runtime.errors import InputError
from runtime.folders.descriptor import DESCRIPTOR, Kind
from runtime.folders.folder import Wanted, WorkItem, making
from runtime.folders.stamps import Input
from runtime.storage.json_files import write_json
from runtime.storage.own_files import part_files
from tests.support import spark_jobs
from tests.support.pictures import downloaded_tar, picture, stored, write_tar
from tests.support.refusals import refusal


def rows(*paths) -> dict[str, dict]:
    """Return what becomes of all pictures that paths name, by uid, without Spark."""
    pictures = (picture for source in find([*map(str, paths)]) for picture in read(source))
    return {row["uid"]: row for some in hashed_rows(pictures, pdq=False) for row in some.to_pylist()}


def test_each_picture_of_img2datasets_tars_is_a_row_with_its_uid_and_url(tmp_path):
    downloaded_tar(tmp_path / "00000.tar", range(5))
    found = rows(tmp_path)
    assert [*found] == [f"u{seed}" for seed in range(5)]
    assert found["u3"]["url"] == "http://a.example/3.jpg"
    assert found["u3"]["phash"] == hash_picture(stored(picture(3)))["phash"]
    assert (found["u3"]["width"], found["u3"]["height"], found["u3"]["status"]) == (96, 64, "ok")


def test_a_uid_is_that_of_the_url_or_names_tar_and_key(tmp_path):
    url, image = "http://a.example/ä.png", stored(picture(), "PNG")
    members = {"0.png": image, "0.json": {"url": url}, "b/1.png": image, "2.webp": b"", "2.json": b"{", "3.json": {}}
    found = rows(write_tar(tmp_path / "val.tar", members))
    assert {uid: row["status"] for uid, row in found.items()} == {
        md5(url.encode()).hexdigest(): "ok",
        "val/b/1": "ok",
        "val/2": "not_an_image",
    }


def test_a_picture_of_a_folder_has_its_path_below_it_as_uid(tmp_path):
    for name in ("a.jpg", "cats/ä.JPEG", "cats/dogs/b.png"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored(picture()))
    (tmp_path / "set" / "labels.txt").write_text("cat")
    assert [*rows(tmp_path / "set")] == ["a.jpg", "cats/dogs/b.png", "cats/ä.JPEG"]
    assert [*rows(tmp_path / "set" / "cats" / "ä.JPEG")] == ["ä.JPEG"]


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    downloaded_tar(tmp_path / "0.tar", range(1))
    (tmp_path / "a.jpg").write_bytes(stored(picture()))
    monkeypatch.setattr("curation.plugins.tars.samples.MOST_BYTES", 100)
    assert {(row["status"], row["sha256"]) for row in rows(tmp_path).values()} == {("too_large", None)}


def test_a_task_has_one_tar_or_many_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TASK_PICTURES", 3)
    for number in range(4):
        downloaded_tar(tmp_path / f"{number}.tar", range(1))
        (tmp_path / f"{number}.jpg").write_bytes(b"")
    names = [[source.path.rpartition("/")[2] for source in task] for task in tasks(find([str(tmp_path)]))]
    assert names == [["0.tar"], ["1.tar"], ["2.tar"], ["3.tar"], ["0.jpg", "1.jpg", "2.jpg"], ["3.jpg"]]


def test_what_cannot_be_used_is_refused_before_spark_starts(tmp_path, capsys, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").touch()
    for inputs, output, sentence in (
        ("none", "out", "none does not exist; expected tars"),
        ("full", "out", "holds neither tars nor pictures"),
        ("images", "full", "holds files that clip-hash did not write (notes.txt)"),
        ("images", "full/notes.txt", "is a file; specify a folder"),
        ("images", "images/hashes", "is in the input"),
        ("images/a.jpg", "images", "is in the output folder"),
    ):
        arguments = ("--input", tmp_path / inputs, "--output", tmp_path / output)
        assert sentence in refusal(capsys, main, *arguments)
    monkeypatch.setattr("runtime.packages.find_spec", lambda name: None)
    arguments = ("--input", tmp_path / "images", "--output", tmp_path / "out")
    assert "PIL is not installed: pip install 'clip-curation[images]'" in refusal(capsys, main, *arguments)
    monkeypatch.setattr("runtime.packages.find_spec", lambda name: name == "PIL" or None)
    assert "pdqhash is not installed: pip install pdqhash" in refusal(capsys, main, *arguments, "--pdq")


def test_a_folder_of_an_earlier_version_is_refused_so_that_it_never_holds_both_kinds_of_files(tmp_path):
    (tmp_path / "a.jpg").touch()
    output = tmp_path / "hashes"
    output.mkdir()
    earlier = replace(module.HASHES, version=module.HASHES.version - 1)
    write_json(output / DESCRIPTOR, earlier.content({"pdq": False}, {}, {}))
    (output / "0.parquet").touch()
    with pytest.raises(
        InputError, match=r"hashes of pictures made differently \(version 2, not 3\); specify another folder"
    ):
        hash_images(lambda: pytest.fail("Spark is asked for"), [tmp_path / "a.jpg"], output)


def test_hashes_that_were_killed_while_earlier_ones_were_removed_are_made_anew(tmp_path, monkeypatch):
    downloaded_tar(tmp_path / "images" / "0.tar", range(3))
    hash_images(None, [tmp_path / "images"], tmp_path / "out")
    downloaded_tar(tmp_path / "images" / "0.tar", range(4))

    def killed(path: Path) -> None:
        (tmp_path / "out" / DESCRIPTOR).unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr("runtime.folders.folder.remove_file", killed)
    with pytest.raises(KeyboardInterrupt):
        hash_images(None, [tmp_path / "images"], tmp_path / "out", overwrite=True)
    monkeypatch.undo()
    assert hash_images(None, [tmp_path / "images"], tmp_path / "out").statuses == {"ok": 4}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {DESCRIPTOR, *stamped(tmp_path / "out")}
    assert len(stamped(tmp_path / "out")) == 1


def test_what_an_export_began_is_no_place_for_hashes_nor_the_other_way_round(tmp_path):
    downloaded_tar(tmp_path / "images" / "0.tar", range(3))
    wanted = Wanted(Kind("an export", "clip-export"), {"run": "a"}, overwrite=True)
    with suppress(KeyboardInterrupt), making(None, tmp_path / "export", wanted) as folder:
        item = WorkItem([Input("a", "own", 1)], 1)
        folder.part([item], "data").task(lambda *_: None)(item)
        raise KeyboardInterrupt
    with pytest.raises(InputError, match="holds an export that another command has begun to make; specify an empty"):
        hash_images(None, [tmp_path / "images"], tmp_path / "export")
    hash_images(None, [tmp_path / "images"], tmp_path / "hashes")
    before = stamped(tmp_path / "hashes")
    downloaded_tar(tmp_path / "images" / "1.tar", range(3, 6))
    hashes = Wanted(module.HASHES, {"pdq": False}, grows=True)
    with suppress(KeyboardInterrupt), making(None, tmp_path / "hashes", hashes) as folder:
        folder.part([WorkItem([source], source) for source in find([str(tmp_path / "images")])])
        raise KeyboardInterrupt
    with (
        pytest.raises(InputError, match="holds hashes of pictures that another command has begun to make"),
        making(None, tmp_path / "hashes", wanted),
    ):
        pytest.fail("not reached")
    assert stamped(tmp_path / "hashes") == before


def stamped(folder) -> dict[str, float]:
    return {path.name: path.stat().st_mtime_ns for path in part_files(folder)}


@pytest.mark.slow
def test_the_job_hashes_tar_by_tar_and_goes_on_with_what_was_added(tmp_path):
    images, output = tmp_path / "images", tmp_path / "out put"
    for number in range(2):
        downloaded_tar(images / f"{number:05}.tar", range(number * 3, number * 3 + 3))
    arguments = ("--input", images, "--output", output)
    assert spark_jobs.run_here("jobs/run.py", "clip-hash", *arguments) == 0
    first = stamped(output)
    downloaded_tar(images / "00002.tar", range(6, 9))
    (images / "broken.png").write_bytes(b"no picture")
    assert spark_jobs.run_here("jobs/run.py", "clip-hash", *arguments) == 0
    assert len(first) == 2
    assert first.items() < stamped(output).items()
    assert not (output / ".work").exists()
    table = pq.read_table(output)
    assert sorted(table["uid"].to_pylist()) == ["broken.png", *(f"u{seed}" for seed in range(9))]

    done = hash_images(lambda: pytest.fail("nothing is left to do"), [str(images)], output)
    assert done.statuses == {"ok": 9, "not_an_image": 1}
    assert sum(pq.read_metadata(file).num_rows for file in done.files) == 10
    assert curation.hash_images is hash_images

    before = (output / DESCRIPTOR).stat()
    with pytest.raises(InputError, match=r"also holds hashes of .*broken\.png"):
        hash_images(lambda: None, [str(images / "*.tar")], output)
    assert (output / DESCRIPTOR).stat().st_mtime_ns == before.st_mtime_ns
    (output / "notes.txt").write_text("dear to someone")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"holds files that clip-hash did not write \(notes\.txt\)"):
            hash_images(lambda: None, [str(images / "*.tar")], output, overwrite=overwrite)
    (output / "notes.txt").unlink()
    with pytest.raises(InputError, match=r"made differently|pdqhash is not installed"):
        hash_images(lambda: None, [str(images)], output, pdq=True)
    one = ("--input", images / "00000.tar", "--output", output, "--overwrite")
    assert spark_jobs.run_here("jobs/run.py", "clip-hash", *one) == 0
    assert pq.read_table(output)["uid"].to_pylist() == ["u0", "u1", "u2"]
