"""A file is taken only if its length and checksum are right, and is kept as long as they are."""

import bz2
import gzip
import hashlib
import lzma
import os

import pytest

from metadata.download.fetch import fetch
from metadata.download.sources import Download, Published
from tests.support.downloads import BODY, one, published, visible
from tests.support.http_server import Answer, file


def test_a_length_that_is_too_long_is_found_out_and_the_file_is_whole_all_the_same(server, tmp_path, manners):
    lie = Answer(body=BODY, headers={"ETag": '"1"'}, length=len(BODY) + 99)
    assert one(server, tmp_path, manners, lie, file(BODY)).path.read_bytes() == BODY


def test_a_length_that_is_always_too_long_is_a_failure(server, tmp_path, manners):
    assert one(server, tmp_path, manners, Answer(body=BODY, length=len(BODY) + 99)).outcome == "failed"
    assert "a.bin" not in visible(tmp_path)


def test_a_length_that_is_too_short_fails_the_checksum(server, tmp_path, manners):
    result = one(server, tmp_path, manners, Answer(body=BODY, length=900_000))
    assert result.outcome == "failed"
    assert "sha1" in result.reason
    assert visible(tmp_path) == []


def test_a_wrong_file_is_fetched_once_more_and_no_more(server, tmp_path, manners):
    result = one(server, tmp_path, manners, file(BODY), checksum_of=b"another")
    assert (result.outcome, len(server.asked("/a.bin"))) == ("failed", 2)
    assert f"not {hashlib.sha1(b'another').hexdigest()} as published" in result.reason
    assert visible(tmp_path) == []


def test_a_file_that_is_wrong_once_is_right_the_next_time(server, tmp_path, manners):
    assert one(server, tmp_path, manners, file(b"<html>log in</html>"), file(BODY)).path.read_bytes() == BODY


def test_checksums_that_changed_during_the_transfer_are_read_again(server, tmp_path, manners):
    download = Download(server.serve("/a.bin", file(BODY)), "a.bin", published(server))
    new = server.answers["/sums"][0]
    server.serve("/sums", Answer(body=f"{'0' * 40}  a.bin\n".encode()), new)
    assert fetch([download], tmp_path, manners)[0].outcome == "fetched"
    assert len(server.asked("/a.bin")) == 1


def test_a_file_whose_checksum_is_missing_is_not_fetched(server, tmp_path, manners):
    download = Download(server.serve("/a.bin", file(BODY)), "a.bin", published(server, name="b.bin"))
    [result] = fetch([Download(download.url, "a.bin", Published(download.published.url, "a.bin"))], tmp_path, manners)
    assert (result.outcome, server.asked("/a.bin")) == ("failed", [])
    assert "lists no checksum of a.bin" in result.reason


def test_checksums_that_cannot_be_had_are_a_failure(server, tmp_path, manners):
    download = Download(server.serve("/a.bin", file(BODY)), "a.bin", Published(f"{server.url}/gone", "a.bin"))
    assert "404" in fetch([download], tmp_path, manners)[0].reason


@pytest.mark.parametrize("cut", [0, 1, 5_000])
@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_without_a_published_checksum_the_one_inside_is_checked(server, tmp_path, manners, ending, pack, cut):
    body = pack(os.urandom(9_000))
    whole = Download(server.serve("/whole", Answer(body=body)), f"whole.{ending}")
    short = Download(server.serve("/short", Answer(body=body[:cut])), f"short.{ending}")
    good, bad = fetch([whole, short], tmp_path, manners)
    assert (good.outcome, good.check, bad.outcome) == ("fetched", "its own", "failed")
    assert visible(tmp_path) == [f"whole.{ending}"]


def test_a_file_that_is_here_and_checked_is_not_asked_for_again(server, tmp_path, manners):
    one(server, tmp_path, manners, file(BODY))
    before = len(server.requests)
    assert one(server, tmp_path, manners, file(BODY)).outcome == "kept"
    assert len(server.requests) == before


def test_a_file_that_someone_copied_here_is_kept_if_it_is_the_published_one(server, tmp_path, manners):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.bin").write_bytes(BODY)
    assert one(server, tmp_path, manners, file(BODY)).outcome == "kept"
    assert server.asked("/a.bin") == []


def test_a_file_that_was_changed_here_is_fetched_again(server, tmp_path, manners):
    one(server, tmp_path, manners, file(BODY)).path.write_bytes(BODY[:-1])
    result = one(server, tmp_path, manners, file(BODY))
    assert (result.outcome, result.path.read_bytes()) == ("fetched", BODY)
