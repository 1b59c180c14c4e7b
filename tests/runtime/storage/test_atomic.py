"""What has its name is whole, on the disk too."""

import errno
import os

import pytest

from runtime.folders.parts import Parts
from runtime.storage.whole import whole


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
    opened = set(os.listdir("/proc/self/fd"))
    with whole(tmp_path / "ü.bin") as partial:
        partial.write_bytes(b"all")
    assert set(os.listdir("/proc/self/fd")) <= opened  # those of an earlier test may have closed meanwhile
    assert done == [("sync", partial.name), ("name", "ü.bin"), ("sync", tmp_path.name)]


def test_a_part_is_on_the_disk_under_its_name(tmp_path, done):
    parts = Parts(tmp_path, tmp_path / ".work" / "run")
    parts.begin("matched")
    parts.finish("matched", {"stamp": 1})
    assert done[-3:] == [("name", "_folder.json"), ("sync", "matched"), ("sync", tmp_path.name)]


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
