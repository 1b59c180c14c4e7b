"""Dry runs, parallel files, progress, and disks, networks and folders that fail."""

import errno
import os
import threading
from types import SimpleNamespace

import pytest

from metadata.commands import listing
from metadata.download import fetch as transfer
from metadata.download.fetch import Manners, fetch
from metadata.download.sources import Download
from runtime.errors import InputError
from runtime.progress import advanced
from runtime.storage import locks
from runtime.storage.paths import FullDisk
from tests.support.downloads import BODY, one, visible
from tests.support.http_server import Answer, file, serving


def test_a_dry_run_asks_for_sizes_and_writes_nothing(server, tmp_path, manners):
    here = Download(server.serve("/here", file(BODY)), "here")
    fetch([here], tmp_path / "d", manners)
    files = visible(tmp_path)
    missing = Download(server.serve("/missing", Answer(404)), "missing")
    todo = Download(server.serve("/todo.gz", Answer(503), file(BODY)), "todo.gz")
    results = fetch([here, todo, missing], tmp_path / "d", manners, dry_run=True)
    assert [(each.outcome, each.size) for each in results] == [
        ("kept", len(BODY)),
        ("planned", len(BODY)),
        ("failed", None),
    ]
    assert server.asked("/todo.gz") == []
    assert visible(tmp_path) == files
    assert [line.split()[:2] for line in listing(results)] == [
        ["1.0", "MB"],
        ["1.0", "MB"],
        ["?", "failed"],
        ["2.0", "MB"],
    ]


def test_a_dry_run_makes_no_folder(server, tmp_path, manners):
    fetch([Download(server.serve("/a", file(BODY)), "a")], tmp_path / "d", manners, dry_run=True)
    assert not (tmp_path / "d").exists()


def test_no_more_files_are_fetched_at_once_than_allowed(server, tmp_path):
    downloads = [Download(server.serve(f"/{i}", file(BODY)), str(i)) for i in range(9)]
    results = fetch(downloads, tmp_path, Manners(jobs=2))
    assert [each.download for each in results] == downloads
    assert {each.outcome for each in results} == {"fetched"}
    assert server.most_at_once <= 2


def test_nothing_to_fetch_is_fetched(tmp_path, manners):
    assert fetch([], tmp_path, manners) == []


def test_progress_counts_the_bytes_of_resumed_files_once(server, tmp_path, manners):
    before = advanced()
    body = BODY * 5
    one(server, tmp_path, manners, file(body, sent=700_000), file(body, sent=3_000_000), file(body), checksum_of=body)
    counted = advanced() - before
    assert (counted["done"], counted["total"]) == (5, 5)  # MB


def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(server, tmp_path, manners, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(transfer, "sync", full)
        with pytest.raises(
            FullDisk, match=r"no space left in .*sub, on the file system /.*; make room and run the same command again"
        ):
            one(server, tmp_path, manners, file(BODY))
    assert visible(tmp_path) == ["a.bin.partial"]
    assert one(server, tmp_path, manners, file(BODY)).outcome == "fetched"
    assert server.asked("/a.bin")[-1].headers["Range"] == f"bytes={len(BODY)}-"


def test_a_run_that_dies_before_the_name_is_given_leaves_only_that_to_do(server, tmp_path, manners, monkeypatch):
    replace = os.replace

    def dying(source, target):
        if str(source).endswith("/a.bin.partial"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(transfer.os, "replace", dying)
        with pytest.raises(InputError, match="cannot write"):
            one(server, tmp_path, manners, file(BODY))
    result = one(server, tmp_path, manners, file(BODY))
    assert result.path.read_bytes() == BODY
    assert server.asked("/a.bin")[-1].headers["Range"] == f"bytes={len(BODY)}-"


def test_a_file_larger_than_the_disk_is_refused_before_it_is_fetched(server, tmp_path, manners, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: SimpleNamespace(free=len(BODY) - 1))
    with pytest.raises(InputError, match="no space left"):
        one(server, tmp_path, manners, file(BODY))
    assert (tmp_path / "sub").is_dir()
    assert visible(tmp_path) == []


def test_no_network_is_one_sentence(tmp_path, manners, slept):
    with serving() as gone:
        url = gone.url
    downloads = [Download(f"{url}/{i}", str(i)) for i in range(50)]
    with pytest.raises(InputError, match=r"127\.0\.0\.1:\d+ did not answer \(.*refused.*\); check the network"):
        fetch(downloads, tmp_path, manners)
    assert len(slept) == 2


def test_no_network_is_the_one_sentence_of_parallel_files_too(tmp_path):
    with serving() as gone:
        url = gone.url
    for _ in range(20):
        with pytest.raises(InputError, match="check the network"):
            fetch([Download(f"{url}/{i}", str(i)) for i in range(9)], tmp_path, Manners(jobs=3))


def test_a_name_that_no_one_resolves_is_no_network(tmp_path, manners):
    with pytest.raises(InputError, match=r"nowhere\.invalid.* did not answer"):
        fetch([Download("http://nowhere.invalid/a", "a")], tmp_path, manners)


def test_a_folder_that_cannot_be_written_is_one_sentence(server, tmp_path, manners):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write .*file .*; specify a folder"):
        fetch([], tmp_path / "file", manners)
    (tmp_path / "sub").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*a\.bin .*; specify a folder"):
        one(server, tmp_path, manners, file(BODY))


def test_two_runs_do_not_share_a_folder(server, tmp_path, manners, monkeypatch):
    refusals = []

    def meanwhile(**figures):
        with pytest.raises(InputError, match="another run") as refusal:
            fetch([], tmp_path, manners)
        refusals.append(refusal)

    monkeypatch.setattr(locks, "MOMENT", 0.01)
    monkeypatch.setattr(transfer, "advance", meanwhile)
    assert one(server, tmp_path, manners, file(BODY)).outcome == "fetched"
    assert refusals
    assert fetch([], tmp_path, manners) == []


def test_an_interrupted_run_ends_its_transfers_and_keeps_what_came(server, tmp_path, monkeypatch):
    downloads = [Download(server.serve(f"/{i}", file(BODY, sent=600_000, waits=True)), str(i)) for i in range(4)]

    def interrupt(**figures):
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer, "TIMEOUT", (5, 0.3))
    monkeypatch.setattr(transfer, "advance", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(downloads, tmp_path, Manners())
    assert all(name.endswith(".partial") for name in visible(tmp_path))
    assert not [each for each in threading.enumerate() if each.name.startswith("download")]
