"""What has its name is whole, on the disk too."""

import errno
import os
from pathlib import Path

import pytest

from runtime.storage import whole as module
from runtime.storage.whole import Parts, whole, whole_folder


@pytest.fixture
def done(monkeypatch) -> list[tuple[str, str]]:
    """What was synced and named, in order, each by the name of the file or folder."""
    done: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def sync(opened: int) -> None:
        done.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{opened}"))))
        fsync(opened)

    def name(old: os.PathLike, new: os.PathLike) -> None:
        done.append(("name", os.path.basename(new)))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", name)
    return done


def test_a_file_gets_its_name_when_the_disk_has_its_bytes_and_then_the_folder_is_on_the_disk(tmp_path, done):
    opened = os.listdir("/proc/self/fd")
    with whole(tmp_path / "ü.bin") as partial:
        partial.write_bytes(b"all")
    assert os.listdir("/proc/self/fd") == opened
    assert done == [("sync", partial.name), ("name", "ü.bin"), ("sync", tmp_path.name)]


def test_a_part_is_on_the_disk_under_its_name(tmp_path, done):
    parts = Parts(tmp_path, tmp_path / ".work" / "run")
    parts.begin("matched")
    parts.finish("matched", {"stamp": 1})
    assert done[-3:] == [("name", "_made_from.json"), ("sync", "matched"), ("sync", tmp_path.name)]


def test_all_files_of_a_folder_are_on_the_disk_before_it_has_its_name(tmp_path, done):
    with whole_folder(tmp_path / "new") as folder:
        (folder / "a").mkdir()
        (folder / "a" / "b").write_text("not by `whole`")
    synced = [name for what, name in done]
    assert set(synced[:-1]) == {"a", "b", "new"}
    assert synced[-1] == tmp_path.name


@pytest.mark.parametrize(("number", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_disk_that_cannot_say_is_believed_and_one_that_fails_is_not(tmp_path, monkeypatch, number, passes):
    def fail(opened: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    failure = None
    try:
        with whole(tmp_path / "file") as partial:
            partial.write_bytes(b"all")
    except OSError as error:
        failure = error.errno
    assert (failure is None) == passes == (tmp_path / "file").exists()


def test_what_an_earlier_run_left_and_cannot_be_removed_gets_into_no_new_folder(tmp_path, monkeypatch):
    left = tmp_path / ".new.partial" / "new" / "left"
    left.parent.mkdir(parents=True)
    left.touch()
    monkeypatch.setattr(module, "remove", lambda path: None)  # as of a disk that fails
    with whole_folder(tmp_path / "new") as folder:
        (folder / "own").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["own"]


def test_another_run_may_begin_to_replace_a_folder_as_soon_as_it_has_its_name(tmp_path, monkeypatch):
    to, others = tmp_path / "new", []
    to.mkdir()

    def begin_another(path: Path) -> None:
        if path == tmp_path and not others:  # the name is on the disk, and what had it is not removed
            others.append(whole_folder(to))
            (others[0].__enter__() / "of another").write_text("its first file")

    monkeypatch.setattr(module, "sync", begin_another)
    with whole_folder(to) as folder:
        (folder / "own").write_text("a file")
    others[0].__exit__(None, None, None)
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "of another"]
