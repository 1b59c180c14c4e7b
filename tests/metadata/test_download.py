"""Downloads arrive whole or not at all, from servers of every temper."""

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import os
import threading
import zipfile
from contextlib import closing
from types import SimpleNamespace

import pytest
import requests

from metadata.download import transfer
from metadata.download.answers import Again
from metadata.download.client import Client
from metadata.download.fetch import fetch
from metadata.download.manners import Manners
from metadata.download.progress import Progress, listing
from metadata.download.sources import Download, Published, plan
from runtime.errors import InputError
from tests.support.http_server import NO_LENGTH, Answer, file, serving

BODY = bytes(range(256)) * 4_000


class FakeClock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.slept = []

    def now(self):
        return sum(self.slept)

    def jitter(self):
        return 1.0

    def sleep(self, seconds, stop):
        self.slept.append(seconds)


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def manners(clock):
    return Manners(jobs=1, tries=4, timeout=(30, 30), clock=clock)


def published(server, body=BODY, name="a.bin", kind="sha1"):
    sums = f"{hashlib.new(kind, body).hexdigest()}  {name}\n"
    return Published(server.serve("/sums", Answer(body=sums.encode())), name)


def one(server, folder, manners, *answers, checksum_of=BODY, **options):
    """Fetch /a.bin, which is answered by `answers`, and return its result."""
    download = Download(server.serve("/a.bin", *answers), "sub/a.bin", published(server, checksum_of))
    [result] = fetch([download], folder, manners, **options)
    return result


def visible(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


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


def test_the_server_is_told_who_asks_and_whom_to_write_to(server, tmp_path, clock):
    one(server, tmp_path, Manners(contact="me@example.org", clock=clock), file(BODY))
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
def test_a_busy_server_is_asked_again_after_longer_and_longer_waits(server, tmp_path, manners, clock, status):
    result = one(server, tmp_path, manners, *[Answer(status)] * 3, file(BODY))
    assert result.outcome == "fetched"
    assert clock.slept == [1, 2, 4]


def test_a_server_that_stays_busy_ends_in_one_failure_and_other_files_arrive(server, tmp_path, manners):
    busy = Download(server.serve("/busy", Answer(503)), "busy")
    good = Download(server.serve("/good", file(BODY)), "good")
    failed, fetched = fetch([busy, good], tmp_path, manners)
    assert (failed.outcome, fetched.outcome) == ("failed", "fetched")
    assert "503" in failed.reason
    assert "4 times" in failed.reason
    assert visible(tmp_path) == ["good"]


def test_the_server_says_how_long_to_wait(server, tmp_path, manners, clock):
    busy = Answer(429, headers={"Retry-After": "17"})
    assert one(server, tmp_path, manners, busy, file(BODY)).outcome == "fetched"
    assert clock.slept == [17]


def test_the_server_says_until_when_to_wait(server, tmp_path, manners, clock):
    busy = Answer(503, headers={"Retry-After": "Thu, 01 Jan 1970 00:01:00 GMT"})
    assert one(server, tmp_path, manners, busy, file(BODY)).outcome == "fetched"
    assert clock.slept == [60]


def test_an_invitation_to_come_back_at_once_is_not_taken_literally(server, tmp_path, manners, clock):
    assert one(server, tmp_path, manners, Answer(503, headers={"Retry-After": "0"}), file(BODY)).outcome == "fetched"
    assert clock.slept == [1]


def test_a_wait_that_one_file_is_told_holds_for_all_of_the_server(server, manners, clock):
    busy, good = server.serve("/busy", Answer(429, headers={"Retry-After": "17"})), server.serve("/good", file(b"x"))
    with closing(Client(manners)) as client:
        with pytest.raises(Again), client.open(busy):
            pass
        assert client.persist(good, lambda: client.text(good)) == "x"
    assert clock.slept == [17]


def test_a_wait_that_nobody_sits_out_is_a_failure_that_names_it(server, tmp_path, manners, clock):
    result = one(server, tmp_path, manners, Answer(429, headers={"Retry-After": "90000"}))
    assert result.outcome == "failed"
    assert "90000 s" in result.reason
    assert clock.slept == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_not_asked_again(server, tmp_path, manners, status):
    result = one(server, tmp_path, manners, Answer(status), file(BODY))
    assert (result.outcome, len(server.asked("/a.bin"))) == ("failed", 1)
    assert str(status) in result.reason
    assert visible(tmp_path) == []


def test_a_server_that_falls_silent_is_left_and_asked_for_the_rest(server, tmp_path, clock):
    impatient = Manners(jobs=1, timeout=(30, 0.3), clock=clock)
    result = one(server, tmp_path, impatient, file(BODY, sent=600_000, waits=True), file(BODY))
    assert result.path.read_bytes() == BODY
    assert int(server.asked("/a.bin")[1].headers["Range"].strip("bytes=-")) > 0


def test_a_body_cut_short_is_gone_on_with(server, tmp_path, manners):
    result = one(server, tmp_path, manners, file(BODY, sent=700_000), file(BODY))
    first, second = server.asked("/a.bin")
    assert result.path.read_bytes() == BODY
    assert "Range" not in first.headers
    assert (second.headers["Range"], second.headers["If-Range"]) == ("bytes=700000-", '"1"')


def test_cuts_do_not_count_as_failures_while_they_bring_something(server, tmp_path, manners):
    result = one(server, tmp_path, manners, file(BODY, sent=100_000))
    assert result.path.read_bytes() == BODY
    assert len(server.asked("/a.bin")) > manners.tries


def test_another_run_goes_on_where_one_stopped(server, tmp_path, manners, clock):
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


def test_the_checksums_inside_a_zip_are_checked(server, tmp_path, manners):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.noun", "犬" * 100)
    body = buffer.getvalue()
    bad = body.replace("犬犬".encode(), "犬猫".encode(), 1)
    downloads = [Download(server.serve(f"/{i}", Answer(body=each)), f"{i}.zip") for i, each in enumerate([body, bad])]
    good, damaged = fetch(downloads, tmp_path, manners)
    assert (good.outcome, damaged.outcome) == ("fetched", "failed")
    assert "data.noun" in damaged.reason


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


def test_no_more_files_are_fetched_at_once_than_allowed(server, tmp_path, clock):
    downloads = [Download(server.serve(f"/{i}", file(BODY)), str(i)) for i in range(9)]
    results = fetch(downloads, tmp_path, Manners(jobs=2, clock=clock))
    assert [each.download for each in results] == downloads
    assert {each.outcome for each in results} == {"fetched"}
    assert server.most_at_once <= 2


def test_nothing_to_fetch_is_fetched(tmp_path):
    assert fetch([], tmp_path) == []


def test_progress_is_told_up_to_the_last_byte_of_resumed_files_too(server, tmp_path, manners):
    told = []
    one(server, tmp_path, manners, file(BODY, sent=700_000), file(BODY), progress=lambda *each: told.append(each))
    assert {download.path for download, _, _ in told} == {"sub/a.bin"}
    assert {total for _, _, total in told} == {len(BODY)}
    sizes = [done for _, done, _ in told]
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(BODY)


def test_the_console_line_counts_files_bytes_and_speed():
    times = iter([0.0, 2.0])
    progress = Progress(files=3, clock=lambda: next(times))
    first, second = Download("https://a.org/1", "1"), Download("https://a.org/2", "2")
    for download, done in [(first, 0), (first, 1_000_000), (second, 500_000), (second, 1_500_000)]:
        progress(download, done, total=1_000_000 if download is first else 3_000_000)
    assert str(progress) == "1 of 3 files, 2.5 MB of 4.0 MB in those begun, 1.0 MB/s"


def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(server, tmp_path, manners, monkeypatch):
    written = []

    def full(path, *arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(transfer.os, "fsync", full)
        with pytest.raises(InputError, match=r"no room for .*a\.bin .*; make room and run the same again"):
            one(server, tmp_path, manners, file(BODY))
    assert visible(tmp_path) == ["a.bin.partial"]
    assert one(server, tmp_path, manners, file(BODY), progress=lambda *each: written.append(each)).outcome == "fetched"
    assert written == []


def test_a_run_that_dies_before_the_name_is_given_leaves_only_that_to_do(server, tmp_path, manners, monkeypatch):
    replace = os.replace

    def dying(source, target):
        if str(source).endswith(".partial"):
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
    with pytest.raises(InputError, match="no room"):
        one(server, tmp_path, manners, file(BODY))
    assert (tmp_path / "sub").is_dir()
    assert visible(tmp_path) == []


def test_no_network_is_one_sentence(tmp_path, manners, clock):
    with serving() as gone:
        url = gone.url
    downloads = [Download(f"{url}/{i}", str(i)) for i in range(50)]
    with pytest.raises(InputError, match=r"no answer from 127\.0\.0\.1:\d+ \(.*refused.*\); check the network"):
        fetch(downloads, tmp_path, manners)
    assert len(clock.slept) == 2


def test_no_network_is_the_one_sentence_of_parallel_files_too(tmp_path, clock):
    with serving() as gone:
        url = gone.url
    for _ in range(20):
        with pytest.raises(InputError, match="check the network"):
            fetch([Download(f"{url}/{i}", str(i)) for i in range(9)], tmp_path, Manners(jobs=3, clock=clock))


def test_a_name_that_no_one_resolves_is_no_network(tmp_path, manners):
    with pytest.raises(InputError, match=r"no answer from nowhere\.invalid"):
        fetch([Download("http://nowhere.invalid/a", "a")], tmp_path, manners)


def test_a_folder_that_cannot_be_written_is_one_sentence(server, tmp_path, manners):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot download to"):
        fetch([], tmp_path / "file", manners)
    (tmp_path / "sub").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*a\.bin .*; give a folder"):
        one(server, tmp_path, manners, file(BODY))


def test_two_runs_do_not_share_a_folder(server, tmp_path, manners):
    refusals = []

    def meanwhile(*each):
        with pytest.raises(InputError, match="another run") as refusal:
            fetch([], tmp_path)
        refusals.append(refusal)

    assert one(server, tmp_path, manners, file(BODY), progress=meanwhile).outcome == "fetched"
    assert refusals


def test_an_interrupted_run_ends_its_transfers_and_keeps_what_came(server, tmp_path, clock):
    downloads = [Download(server.serve(f"/{i}", file(BODY, sent=600_000, waits=True)), str(i)) for i in range(4)]

    def interrupt(download, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(downloads, tmp_path, Manners(timeout=(5, 0.3), clock=clock), progress=interrupt)
    assert all(name.endswith(".partial") for name in visible(tmp_path))
    assert not [each for each in threading.enumerate() if each.name.startswith("download")]


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://"])
def test_a_redirect_to_anything_but_http_is_not_followed(server, tmp_path, manners, location):
    result = one(server, tmp_path, manners, Answer(302, headers={"Location": location}))
    assert (result.outcome, visible(tmp_path)) == ("failed", [])


def test_a_redirect_out_of_https_is_not_followed(monkeypatch, tmp_path, manners):
    unsafe = requests.Response()
    unsafe.url, unsafe.status_code, unsafe.raw = "http://a.org/x", 200, io.BytesIO(b"x")
    monkeypatch.setattr(requests.Session, "request", lambda *arguments, **options: unsafe)
    [result] = fetch([Download("https://a.org/x", "x")], tmp_path, manners)
    assert (result.outcome, visible(tmp_path)) == ("failed", [])
    assert "leads to http://a.org/x" in result.reason


def test_a_redirect_in_a_circle_ends(server, tmp_path, manners):
    assert one(server, tmp_path, manners, Answer(302, headers={"Location": "/a.bin"})).outcome == "failed"


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a.org/x", "//a.org/x", "https://", "http://a:b/c", "x", ""]
)
def test_only_addresses_of_http_are_downloads(url):
    with pytest.raises(InputError, match="no address to download from"):
        Download(url, "x")
    with pytest.raises(InputError, match="no address to download from"):
        Download("https://a.org/x", "x", Published(url, "x"))


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "", "."])
def test_a_download_cannot_leave_its_folder(path):
    with pytest.raises(InputError, match="give a relative path"):
        Download("https://a.org/x", path)


def test_two_files_are_not_fetched_to_one_place(tmp_path):
    with pytest.raises(InputError, match="would both be x"):
        fetch([Download("https://a.org/x", "x"), Download("https://b.org/x", "x")], tmp_path)


@pytest.mark.parametrize(
    ("setting", "value"), [("jobs", 0), ("jobs", 4), ("tries", 0), ("contact", "a\r\nX: y"), ("contact", "é")]
)
def test_bad_manners_are_refused(setting, value):
    with pytest.raises(InputError, match=setting):
        Manners(**{setting: value})


def test_a_password_of_a_mirror_is_not_told(server, tmp_path, manners):
    url = server.serve("/a", Answer(404)).replace("//", "//me:secret@")
    [result] = fetch([Download(url, "a")], tmp_path, manners)
    assert "404" in result.reason
    assert "secret" not in "".join([result.reason, *listing([result])])


def test_a_planned_dump_arrives_from_a_mirror_that_lists_it_under_its_date(server, tmp_path, manners):
    [download] = plan(["ja"], ["wikipedia"], mirror=server.url)
    body = bz2.compress("<mediawiki>犬</mediawiki>".encode())
    name = "jawiki-20240101-pages-articles-multistream.xml.bz2"
    sums = f"{'0' * 40}  jawiki-20240101-pages-articles.xml.bz2\n{hashlib.sha1(body).hexdigest()}  {name}\n"
    server.serve("/jawiki/latest/jawiki-latest-sha1sums.txt", Answer(body=sums.encode()))
    server.serve("/jawiki/latest/jawiki-latest-pages-articles-multistream.xml.bz2", file(body))
    [result] = fetch([download], tmp_path, manners)
    assert result.path == tmp_path / "wikipedia/jawiki-latest-pages-articles-multistream.xml.bz2"
    assert result.path.read_bytes() == body
