"""One process at a time writes into a folder, and nothing of what it needed for that stays."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest

from runtime.errors import InputError
from runtime.folders import ownership
from runtime.folders.ownership import claim, is_free, owned
from runtime.storage.paths import names, remove
from runtime.storage.whole import PARTIAL, WORK


@pytest.fixture(params=["with locks", "without locks"])
def folder(request, tmp_path, monkeypatch) -> Path:
    if request.param == "without locks":
        monkeypatch.setattr(ownership, "take", lambda path, wait=False: None)
    return tmp_path / "ü"


def test_what_is_unfinished_goes_and_what_has_its_name_stays(folder):
    with owned(folder) as owner:
        assert is_free(folder)
        owner.unfinished.mkdir()
        (owner.unfinished / "half").touch()
        assert is_free(folder)
        (folder / "whole").touch()
        assert not is_free(folder)
    assert names(folder) == {"whole"}


def test_a_folder_that_got_nothing_is_as_it_was(folder):
    with pytest.raises(ZeroDivisionError), owned(folder):
        raise ZeroDivisionError
    assert not folder.exists()
    folder.mkdir()
    with owned(folder):
        pass
    assert names(folder) == set()


def test_a_second_process_is_refused_while_the_first_has_the_folder(tmp_path):
    with owned(tmp_path), pytest.raises(InputError, match=r"another run is writing to .*; wait"), owned(tmp_path):
        pass


def test_or_waits_for_its_end(tmp_path):
    has_it, may_end, order = Event(), Event(), []

    def first() -> None:
        with owned(tmp_path):
            has_it.set()
            may_end.wait(10)
            order.append("first")

    def second() -> None:
        with owned(tmp_path, wait=True):
            order.append("second")

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        has_it.wait(10)
        other = pool.submit(second)
        may_end.set()
        one.result(10), other.result(10)
    assert order == ["first", "second"]


def test_what_a_killed_process_left_is_no_content_and_goes(folder):
    killed = claim(folder)
    killed.unfinished.mkdir(exist_ok=True)
    (killed.unfinished / "half").touch()
    (folder / f".whole.{uuid4().hex}{PARTIAL}").touch()
    killed.release()
    assert is_free(folder)
    with owned(folder):
        assert not killed.unfinished.exists()
    assert names(folder) == set()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in (
        ("file/new", "Not a directory"),
        ("n" * 256, "name too long"),
        ("loop/new", "Too many levels"),
    ):
        with pytest.raises(InputError, match=rf"output .* cannot be created \(.*{reason}.*\); specify another"):
            claim(tmp_path / name)


@pytest.mark.parametrize(
    ("failures", "error", "said"),
    [
        (2, FileNotFoundError(errno.ENOENT, "gone"), None),
        (3, FileExistsError(errno.EEXIST, "there"), r"cannot be created \(there\)"),
        (1, PermissionError(errno.EACCES, "not yours"), "^.Errno 13. not yours"),
    ],
)
def test_a_folder_that_goes_meanwhile_is_made_anew_some_times(tmp_path, monkeypatch, failures, error, said):
    failing = [error] * failures

    def take(path: Path, wait: bool) -> None:
        if failing:
            raise failing.pop()

    monkeypatch.setattr(ownership, "take", take)
    monkeypatch.setattr(ownership, "remove_left_scratch", lambda: None)  # which takes a lock, too
    monkeypatch.setattr(ownership, "TRIES", 3)
    with pytest.raises((InputError, PermissionError), match=said) if said else nullcontext():
        claim(tmp_path)


def test_a_process_that_lost_the_folder_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(ownership, "take", lambda path, wait=False: None)
    with pytest.raises(InputError, match="another run has taken over"), owned(tmp_path):
        claim(tmp_path)


def test_the_lock_of_a_run_that_begins_in_a_folder_which_has_replaced_this_ones_stays(tmp_path):
    folder = tmp_path / "out"
    with owned(folder):
        folder.rename(tmp_path / "replaced")
        next_one = claim(folder)
    with pytest.raises(InputError, match="another run is writing"):
        claim(folder)
    next_one.end()


def test_links_for_unfinished_work_are_refused_and_not_followed(tmp_path):
    photographs = tmp_path / "photographs"
    (photographs / ("0a" * 16)).mkdir(parents=True)
    (photographs / "dog.jpg").touch()
    out = tmp_path / "out"
    out.mkdir()
    (out / WORK).symlink_to(photographs)
    with pytest.raises(InputError, match=r"out/.work is a link, which is not followed; remove it"), owned(out):
        pass
    (out / WORK).unlink()
    (out / WORK).mkdir()
    (out / WORK / "matched").symlink_to(photographs)
    with pytest.raises(InputError, match=r"out/.work/matched is a link"), owned(out):
        pass
    assert names(photographs) == {"0a" * 16, "dog.jpg"}


def test_unfinished_work_of_someone_else_is_refused(tmp_path, monkeypatch):
    (tmp_path / WORK).mkdir()
    (tmp_path / WORK / "lock").touch()
    others, lstat = os.stat(tmp_path / WORK).st_uid + 1, Path.lstat

    def of_others(path: Path) -> os.stat_result:
        found = lstat(path)
        return os.stat_result((*found[:4], others, *found[5:])) if path.name == "lock" else found

    monkeypatch.setattr(Path, "lstat", of_others)
    with pytest.raises(InputError, match=r".work/lock belongs to another user; remove it, or specify another"):
        claim(tmp_path)


def test_what_is_removed_of_a_link_is_the_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "dog.jpg").touch()
    (tmp_path / "link").symlink_to("elsewhere")
    remove(tmp_path / "link")
    assert names(tmp_path) == {"elsewhere"}
    assert names(tmp_path / "elsewhere") == {"dog.jpg"}
