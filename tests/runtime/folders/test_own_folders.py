"""Artefacts are kept in folders of the user's own, and folders of others are refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import InputError
from runtime.folders.ownership import owned
from runtime.kernel_caches import cache_folder, private_folder, scratch_folder
from runtime.storage.scratch import scratch
from tests.support.checkout import ROOT


def test_copies_lie_where_the_executors_of_a_machine_share_a_disk(tmp_path, monkeypatch):
    own = f"clip-curation-{os.getuid()}"
    uuid = "0b9fb0a5-6a9d-4f0c-9b53-0f9d0a1f6f3e"
    below = tmp_path / "disk" / f"spark-{uuid}" / f"executor-{uuid}" / f"blockmgr-{uuid}"
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{below},/other")
    assert cache_folder() == tmp_path / "disk" / own
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "application_1_2" / f"blockmgr-{uuid}"))  # as on YARN
    assert cache_folder() == scratch_folder() == tmp_path / "application_1_2" / own
    assert cache_folder().stat().st_mode & 0o777 == 0o700


@pytest.fixture
def without_spark(tmp_path, monkeypatch):
    monkeypatch.delenv("SPARK_LOCAL_DIRS", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


def test_without_spark_caches_are_in_the_user_s_cache_folder_and_temporary_files_are_not(
    without_spark, tmp_path, monkeypatch
):
    assert cache_folder() == tmp_path / "home" / ".cache" / "clip-curation"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "clip-curation"
    assert scratch_folder() == tmp_path / "temporary" / f"clip-curation-{os.getuid()}"
    assert {folder.stat().st_mode & 0o777 for folder in (cache_folder(), scratch_folder())} == {0o700}


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nothing", "relative"])
def test_a_home_in_which_nothing_can_be_made_is_passed_over(without_spark, monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    assert cache_folder() == scratch_folder()


def test_a_cache_into_which_others_may_write_is_refused(without_spark, tmp_path):
    (tmp_path / "home" / ".cache" / "clip-curation").mkdir(parents=True)
    (tmp_path / "home" / ".cache" / "clip-curation").chmod(0o777)
    with pytest.raises(InputError, match="others may write into .*; remove it, or name another folder in XDG_CACHE_HO"):
        cache_folder()


def test_a_mounted_disk_is_not_left_for_what_is_above_it(tmp_path, monkeypatch):
    mount = tmp_path / "spark-0b9fb0a5-6a9d-4f0c-9b53-0f9d0a1f6f3e"  # as Kubernetes mounts it
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(mount / "blockmgr-0b9fb0a5-6a9d-4f0c-9b53-0f9d0a1f6f3e"))
    monkeypatch.setattr(Path, "is_mount", lambda path: path == mount)
    assert cache_folder().parent == mount


def test_a_cache_of_someone_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    cache_folder()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    (tmp_path / "clip-curation-12345").mkdir()
    with pytest.raises(InputError, match="belongs to someone else; remove it, or name another disk in SPARK"):
        cache_folder()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_folder_into_which_others_may_write_is_refused(tmp_path, mode):
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(mode)
    with pytest.raises(InputError, match="others may write into .*/a; remove it, or name b"):
        private_folder(tmp_path / "a", "name b")


def test_a_link_to_a_folder_is_not_followed(tmp_path):
    (tmp_path / "open").mkdir(mode=0o700)
    (tmp_path / "a").symlink_to(tmp_path / "open")
    with pytest.raises(InputError, match="others may write into"):  # links have mode 0777
        private_folder(tmp_path / "a", "name b")


def test_whoever_claims_an_output_folder_removes_what_killed_processes_left(without_spark, tmp_path):
    left = scratch_folder() / "scratch-1-00000000"
    left.mkdir()
    with owned(tmp_path / "out"):
        assert not left.exists()


def test_the_folder_in_the_users_cache_may_be_an_own_link_to_an_own_folder(tmp_path, without_spark, monkeypatch):
    (tmp_path / "large").mkdir(mode=0o700)
    (tmp_path / "clip-curation").symlink_to(tmp_path / "large")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "large"
    (tmp_path / "large").chmod(0o777)
    with pytest.raises(InputError, match="others may write into .*/large; remove it, or name another folder in XDG"):
        cache_folder()


def test_temporary_folders_are_removed_once_their_process_has_left_them(without_spark):
    left = scratch_folder() / "scratch-1-00000000"
    left.mkdir()
    (left / "lock").touch()
    with scratch() as first, scratch() as second:
        assert first.exists()
        assert not left.exists()
    assert not first.exists()
    assert not second.exists()


def test_temporary_folders_are_made_by_the_function_that_removes_those_of_killed_processes():
    files = [file for package in ("curation", "metadata", "runtime") for file in (ROOT / package).rglob("*.py")]
    makers = {file.name for file in files if "mkdtemp(" in (text := file.read_text()) or "TemporaryDirectory(" in text}
    assert makers == {"local.py"}  # sockets, with a short path


def test_a_fork_leaves_the_folder_of_its_parent_and_its_lock(tmp_path):
    """A process of multiprocessing forgets what its parent is to finalize, as PyTorch's workers do."""
    code = (
        "import gc, multiprocessing as m, time\n"
        "from runtime.storage.scratch import scratch, scratch_of_process\n"
        "folder = scratch_of_process()\n"
        "child = m.get_context('fork').Process(target=gc.collect)\n"
        "child.start(); child.join()\n"
        "assert folder.is_dir()\n"
        "import subprocess, sys\n"
        "other = 'from runtime.storage.scratch import scratch\\nwith scratch(): pass'\n"
        "subprocess.run([sys.executable, '-c', other], check=True)\n"
        "assert folder.is_dir()\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, check=True)
    assert [path.name for path in tmp_path.rglob("files")] == []
