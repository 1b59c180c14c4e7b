"""Files arrive whole under their planned names, from busy, slow and refusing servers too."""

import gzip
import hashlib
import time
from email.utils import formatdate

import pytest

from metadata.download import fetch as transfer
from metadata.download.fetch import Manners, fetch
from metadata.download.sources import Download
from tests.support.downloads import BODY, one, published, visible
from tests.support.http_server import NO_LENGTH, Answer, file


def test_a_file_arrives_whole_under_its_planned_name(server, tmp_path, manners):
    result = one(server, tmp_path, manners, file(BODY))
    assert result.path == tmp_path / "sub/a.bin"
    assert (result.outcome, result.size, result.check) == (
        "fetched",
        len(BODY),
        f"sha1 {hashlib.sha1(BODY).hexdigest()}",
    )
    assert result.path.read_bytes() == BODY
    assert visible(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
def test_every_kind_of_published_checksum_is_checked(server, tmp_path, manners, kind):
    download = Download(server.serve("/a.bin", file(BODY)), "a.bin", published(server, BODY, kind=kind))
    [result] = fetch([download], tmp_path, manners)
    assert result.check.split()[0] == kind


def test_the_server_is_told_who_asks_and_whom_to_write_to(server, tmp_path):
    one(server, tmp_path, Manners(contact="me@example.org"), file(BODY))
    assert server.requests
    for request in server.requests:
        assert request.headers["User-Agent"].startswith("clip-curation/")
        assert "me@example.org" in request.headers["User-Agent"]
        assert request.headers["Accept-Encoding"] == "identity"


def test_an_encoding_on_the_way_is_left_as_it_is(server, tmp_path, manners):
    body = gzip.compress(b"en Dog 7 0\n")
    url = server.serve("/a.gz", Answer(body=body, headers={"Content-Encoding": "gzip"}))
    [result] = fetch([Download(url, "a.gz")], tmp_path, manners)
    assert result.path.read_bytes() == body


def test_a_file_of_no_stated_length_arrives(server, tmp_path, manners):
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    answer = Answer(body=chunked, headers={"Transfer-Encoding": "chunked"}, length=NO_LENGTH)
    assert one(server, tmp_path, manners, answer).path.read_bytes() == BODY


def test_a_file_of_no_stated_length_that_breaks_off_starts_anew(server, tmp_path, manners):
    broken = b"%x\r\n%s\r\n" % (len(BODY), BODY)
    answer = Answer(body=broken, headers={"Transfer-Encoding": "chunked"}, length=NO_LENGTH)
    assert one(server, tmp_path, manners, answer, file(BODY)).path.read_bytes() == BODY


def test_a_redirect_to_another_path_is_followed_and_its_name_is_not_used(server, tmp_path, manners):
    server.serve("/elsewhere", file(BODY))
    moved = Answer(302, headers={"Location": "/elsewhere", "Content-Disposition": 'attachment; filename="/etc/x"'})
    assert one(server, tmp_path, manners, moved).outcome == "fetched"
    assert visible(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_after_longer_and_longer_waits(server, tmp_path, manners, slept, status):
    result = one(server, tmp_path, manners, *[Answer(status)] * 3, file(BODY))
    assert result.outcome == "fetched"
    assert slept == [1, 2, 4]


def test_a_server_that_stays_busy_ends_in_one_failure_and_other_files_arrive(server, tmp_path, manners):
    busy = Download(server.serve("/busy", Answer(503)), "busy")
    good = Download(server.serve("/good", file(BODY)), "good")
    failed, fetched = fetch([busy, good], tmp_path, manners)
    assert (failed.outcome, fetched.outcome) == ("failed", "fetched")
    assert "503" in failed.reason
    assert "8 times in a row" in failed.reason
    assert visible(tmp_path) == ["good"]


def test_the_server_says_how_long_to_wait(server, tmp_path, manners, slept):
    busy = Answer(429, headers={"Retry-After": "17"})
    assert one(server, tmp_path, manners, busy, file(BODY)).outcome == "fetched"
    assert slept == [17]


def test_the_server_says_until_when_to_wait(server, tmp_path, manners, slept):
    busy = Answer(503, headers={"Retry-After": formatdate(time.time() + 60, usegmt=True)})
    assert one(server, tmp_path, manners, busy, file(BODY)).outcome == "fetched"
    assert 50 < slept[0] <= 60


def test_an_invitation_to_come_back_at_once_is_not_taken_literally(server, tmp_path, manners, slept):
    assert one(server, tmp_path, manners, Answer(503, headers={"Retry-After": "0"}), file(BODY)).outcome == "fetched"
    assert slept == [1]


def test_a_wait_that_nobody_sits_out_is_a_failure_that_names_it(server, tmp_path, manners, slept):
    result = one(server, tmp_path, manners, Answer(429, headers={"Retry-After": "90000"}))
    assert result.outcome == "failed"
    assert "90,000 s" in result.reason
    assert slept == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_not_asked_again(server, tmp_path, manners, status):
    result = one(server, tmp_path, manners, Answer(status), file(BODY))
    assert (result.outcome, len(server.asked("/a.bin"))) == ("failed", 1)
    assert str(status) in result.reason
    assert visible(tmp_path) == []


def test_a_server_that_falls_silent_is_left_and_asked_for_the_rest(server, tmp_path, manners, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", (30, 0.3))
    result = one(server, tmp_path, manners, file(BODY, sent=600_000, waits=True), file(BODY))
    assert result.path.read_bytes() == BODY
    assert int(server.asked("/a.bin")[1].headers["Range"].strip("bytes=-")) > 0
