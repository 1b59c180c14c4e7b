"""Folders of a cache that processes of a machine share: which are made, kept and removed."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from runtime.errors import InputError
from runtime.storage import locks, machine_cache
from runtime.storage.machine_cache import kept, opened_folder
from tests.support.checkout import ROOT

WEEK = 7 * 24 * 3600
USE = """
import sys
from pathlib import Path
from runtime.storage.machine_cache import kept

print(kept(Path(sys.argv[1]), Path.mkdir), flush=True)
sys.stdin.read()
"""


@contextmanager
def using(folder):
    """Let another process use a folder of the cache, and make it if it does not exist."""
    command = [sys.executable, "-c", USE, folder]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()


def age(folder, seconds=8 * 24 * 3600):
    """Let a folder have been used last so many seconds ago."""
    os.utime(folder, (time.time() - seconds,) * 2)


def folders(cache):
    return sorted(path.name for path in cache.iterdir() if path.is_dir())


def test_what_a_process_uses_stays_however_old_it_is_and_goes_once_that_process_is_killed(tmp_path):
    with using(tmp_path / "a-1.2") as process:
        age(tmp_path / "a-1.2")
        kept(tmp_path / "b", os.mkdir)
        assert folders(tmp_path) == ["a-1.2", "b"]
        process.kill()
    kept(tmp_path / "c", os.mkdir)
    assert folders(tmp_path) == ["b", "c"]
    assert sorted(path.name for path in tmp_path.glob("*.in-use")) == ["b.in-use", "c.in-use"]


def test_a_folder_used_by_two_stays_until_both_have_ended(tmp_path):
    with using(tmp_path / "a"):
        with using(tmp_path / "a"):
            pass
        age(tmp_path / "a")
        kept(tmp_path / "b", os.mkdir)
        assert folders(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("jump", [31 * 24 * 3600, -31 * 24 * 3600])
def test_clocks_that_jump_take_nothing_that_is_in_use(tmp_path, monkeypatch, jump):
    with using(tmp_path / "a"):
        now = time.time()
        monkeypatch.setattr(machine_cache.time, "time", lambda: now + jump)
        kept(tmp_path / "b", os.mkdir)
        age(tmp_path / "b", -jump)
        kept(tmp_path / "c", os.mkdir)
        assert folders(tmp_path) == ["a", "b", "c"]
    assert kept(tmp_path / "b", None) == tmp_path / "b"


def test_a_folder_without_a_lock_of_the_cache_and_another_s_temporary_files_stay(tmp_path):
    for name in ("kernels", "exchange-1-0"):
        (tmp_path / name).mkdir()
        age(tmp_path / name)
    kept(tmp_path / "a", os.mkdir)
    assert folders(tmp_path) == ["a", "exchange-1-0", "kernels"]


def test_a_damaged_folder_is_replaced_while_others_use_it(tmp_path):
    def make(folder):
        folder.mkdir()
        (folder / "file").write_text("whole")

    def read(folder):
        if (folder / "file").read_text() != "whole":
            raise InputError("damaged")
        return (folder / "file").stat().st_ino

    first = opened_folder(tmp_path / "a", make, read)
    with using(tmp_path / "a"), (tmp_path / "a" / "file").open() as mapped:
        (tmp_path / "a" / "file").write_text("flipped")
        assert opened_folder(tmp_path / "a", make, read) != first
        assert mapped.read() == "flipped"
    assert folders(tmp_path) == ["a"]


def test_a_file_system_without_locks_keeps_folders_all_the_same(tmp_path, monkeypatch):
    kept(tmp_path / "old", os.mkdir)
    age(tmp_path / "old")

    def refuse(*_):
        raise OSError(locks.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    assert kept(tmp_path / "a", os.mkdir) == kept(tmp_path / "a", None)
    assert folders(tmp_path) == ["a", "old"]


@pytest.mark.parametrize("name", [".lock", "a.in-use"])
def test_a_folder_in_place_of_a_lock_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"{name} is a folder, and locks are files; remove it and run the same comm"):
        kept(tmp_path / "a", os.mkdir)
