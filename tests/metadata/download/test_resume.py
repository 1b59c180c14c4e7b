"""A transfer goes on where it broke off, and starts anew where the file may have changed."""

import pytest

from metadata.download.fetch import fetch
from metadata.download.sources import Download
from runtime.storage.remote import TRIES
from tests.support.downloads import BODY, one, visible
from tests.support.http_server import Answer, file


def test_a_body_cut_short_is_gone_on_with(server, tmp_path, manners):
    result = one(server, tmp_path, manners, file(BODY, sent=700_000), file(BODY))
    first, second = server.asked("/a.bin")
    assert result.path.read_bytes() == BODY
    assert "Range" not in first.headers
    assert (second.headers["Range"], second.headers["If-Range"]) == ("bytes=700000-", '"1"')


def test_cuts_do_not_count_as_failures_while_they_bring_something(server, tmp_path, manners):
    result = one(server, tmp_path, manners, file(BODY, sent=100_000))
    assert result.path.read_bytes() == BODY
    assert len(server.asked("/a.bin")) > TRIES


def test_another_run_goes_on_where_one_stopped(server, tmp_path, manners):
    cut = one(server, tmp_path, manners, file(BODY, sent=700_000), Answer(404))
    assert cut.outcome == "failed"
    assert visible(tmp_path) == ["a.bin.partial"]
    assert one(server, tmp_path, manners, file(BODY)).path.read_bytes() == BODY
    assert server.asked("/a.bin")[-1].headers["Range"] == "bytes=700000-"
    assert visible(tmp_path) == ["a.bin"]


def test_a_file_that_changed_between_two_tries_starts_anew(server, tmp_path, manners):
    old = BODY[::-1]
    result = one(server, tmp_path, manners, file(old, etag='"0"', sent=700_000), file(BODY, etag='"1"'))
    assert result.path.read_bytes() == BODY
    assert len(server.asked("/a.bin")) == 2


def test_a_part_of_a_changed_file_is_not_appended_even_where_no_checksum_would_tell(server, tmp_path, manners):
    tail = {"ETag": '"2"', "Content-Range": f"bytes 700000-{len(BODY) - 1}/{len(BODY)}"}
    url = server.serve("/a", file(BODY[::-1], sent=700_000), Answer(206, BODY[700_000:], tail), file(BODY))
    [result] = fetch([Download(url, "a")], tmp_path, manners)
    assert result.path.read_bytes() == BODY
    assert "Range" not in server.asked("/a")[2].headers


def test_a_shorter_part_than_was_asked_for_is_taken_and_the_rest_asked_for(server, tmp_path, manners):
    middle = {"ETag": '"1"', "Content-Range": f"bytes 700000-799999/{len(BODY)}"}
    url = server.serve("/a", file(BODY, sent=700_000), Answer(206, BODY[700_000:800_000], middle), file(BODY))
    [result] = fetch([Download(url, "a")], tmp_path, manners)
    assert result.path.read_bytes() == BODY
    assert server.asked("/a")[2].headers["Range"] == "bytes=800000-"


def test_a_date_serves_where_there_is_no_strong_etag(server, tmp_path, manners):
    dated = {"ETag": 'W/"1"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    one(server, tmp_path, manners, Answer(body=BODY, headers=dated, sent=700_000), file(BODY))
    assert server.asked("/a.bin")[1].headers["If-Range"] == dated["Last-Modified"]


def test_a_file_without_a_version_is_never_resumed(server, tmp_path, manners):
    result = one(server, tmp_path, manners, Answer(body=BODY, sent=700_000), Answer(body=BODY))
    assert result.path.read_bytes() == BODY
    assert "Range" not in server.asked("/a.bin")[1].headers


def test_a_server_that_ignores_range_is_taken_from_the_start(server, tmp_path, manners):
    whole = Answer(body=BODY, headers={"ETag": '"1"'})
    assert one(server, tmp_path, manners, file(BODY, sent=700_000), whole).path.read_bytes() == BODY


@pytest.mark.parametrize(
    "content_range", ["bytes 0-9/1024000", "bytes 699999-1023999/1024000", "bytes 700000-", "lines 1-2/3", ""]
)
def test_another_part_than_was_asked_for_is_not_used(server, tmp_path, manners, content_range):
    wrong = Answer(206, BODY[700_000:], {"ETag": '"1"', "Content-Range": content_range})
    result = one(server, tmp_path, manners, file(BODY, sent=700_000), wrong, file(BODY))
    assert result.path.read_bytes() == BODY
    assert "Range" not in server.asked("/a.bin")[2].headers


def test_a_part_that_nobody_asked_for_is_not_used(server, tmp_path, manners):
    part = Answer(206, BODY[5:], {"Content-Range": f"bytes 5-{len(BODY) - 1}/{len(BODY)}"})
    assert one(server, tmp_path, manners, part, file(BODY)).path.read_bytes() == BODY


def test_a_partial_file_that_is_whole_is_only_checked_and_named(server, tmp_path, manners):
    one(server, tmp_path, manners, file(BODY, sent=700_000), Answer(404))
    with open(tmp_path / "sub/a.bin.partial", "ab") as partial:
        partial.write(BODY[700_000:])
    result = one(server, tmp_path, manners, file(BODY))
    assert result.path.read_bytes() == BODY
    assert len(server.asked("/a.bin")) == 3


def test_a_partial_file_longer_than_the_file_starts_anew(server, tmp_path, manners):
    one(server, tmp_path, manners, file(BODY, sent=700_000), Answer(404))
    with open(tmp_path / "sub/a.bin.partial", "ab") as partial:
        partial.write(BODY)
    assert one(server, tmp_path, manners, file(BODY)).path.read_bytes() == BODY


def test_a_damaged_record_only_costs_the_partial_file(server, tmp_path, manners):
    one(server, tmp_path, manners, file(BODY, sent=700_000), Answer(404))
    (tmp_path / "sub/.a.bin.record").write_bytes(b"\xff{")
    assert one(server, tmp_path, manners, file(BODY)).path.read_bytes() == BODY
    assert "Range" not in server.asked("/a.bin")[-1].headers
