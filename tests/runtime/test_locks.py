"""A lock is one process's, until it is released or the process ends."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from runtime.errors import InputError
from runtime.storage import locks

HOLDER = (
    "import pathlib, sys, time; from runtime.storage import locks; "
    "lock = locks.take(pathlib.Path(sys.argv[1])); print('has it', flush=True); time.sleep(60)"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def test_a_lock_is_refused_until_it_is_released_and_its_file_means_nothing(path):
    for _ in range(2):
        lock = locks.take(path)
        with pytest.raises(locks.Held):
            locks.take(path)
        lock.release()
    assert path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_lock_ends_with_its_process(path, number):
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"has it\n"
        with pytest.raises(locks.Held):
            locks.take(path)
        process.send_signal(number)
    locks.take(path).release()


def test_a_lock_that_another_process_has_can_be_waited_for(path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        begin = time.monotonic()
        timer = threading.Timer(3 * locks.MOMENT, process.kill)
        timer.start()
        lock = locks.take(path, -1)
        timer.join()
        assert time.monotonic() - begin > 2 * locks.MOMENT
    lock.release()


def test_whoever_waits_waits_for_an_hour_and_gives_it_back(path, monkeypatch):
    waits, acquire = [], locks.UnixFileLock.acquire
    monkeypatch.setattr(locks.UnixFileLock, "acquire", lambda self, timeout: waits.append(timeout) or acquire(self))
    for _ in range(2):
        with locks.alone(path) as is_alone:
            assert is_alone
        locks.take(path).release()
    assert waits == [locks.HOLD_SECONDS, locks.MOMENT] * 2


def test_a_lock_that_another_process_never_gives_back_is_named(path, monkeypatch):
    monkeypatch.setattr(locks, "HOLD_SECONDS", 0.1)
    with locks.alone(path), pytest.raises(InputError, match=f"another process has held the lock {path} for"):
        with locks.alone(path):
            pass


def test_a_file_that_is_removed_meanwhile_is_made_anew(path, monkeypatch):
    flock, removed = fcntl.flock, []

    def remove_first(file, operation):
        if not removed and operation & fcntl.LOCK_EX:
            removed.append(path.unlink())
        return flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    lock = locks.take(path)
    assert (len(removed), path.exists()) == (1, True)
    with pytest.raises(locks.Held):
        locks.take(path)
    lock.release()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_a_file_system_without_locks_has_none_and_leaves_no_marker(path, monkeypatch, number):
    def refuse(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert locks.take(path) is None
    assert not path.exists() or path.read_bytes() == b""
    assert locks.take(path) is None


def test_a_file_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        locks.take(tmp_path / "file" / "lock")


def test_whoever_may_write_into_the_folder_may_take_the_lock(path):
    mask = os.umask(0o002)
    try:
        locks.take(path).release()
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o664
