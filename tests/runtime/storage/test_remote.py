"""Files on HTTP servers are read in blocks that are fetched again where they fail."""

import gzip
import io
import json
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pyarrow as pa
import pytest

from curation.inputs.files import find
from runtime.errors import InputError
from runtime.storage import remote
from runtime.storage.listing import ListedFile, system_of
from runtime.storage.remote import A_GLANCE
from tests.support.http_server import Answer
from tests.support.remote_files import CUT, LINES, SMALL, Ranged, contents, forbidden


@pytest.mark.parametrize("failure", [Answer(503), Answer(429), Answer(500), CUT])
@pytest.mark.parametrize("times", [1, 4])
def test_a_throttled_file_loses_nothing_and_counts_its_retries(server, failure, times):
    answer = Ranged(LINES, [failure] * times, begin=20_000)
    (source,) = find([server.serve("/a.jsonl", answer)])
    texts, tally = contents(source)
    assert texts == [f"ein Hund 犬 {i}" for i in range(4000)]
    assert 1 <= tally["retries"] <= times  # two blocks may fail at once, as one is fetched ahead
    assert answer.failures == []


@pytest.mark.parametrize("ending", ["jsonl.gz", "jsonl.zst", "csv.gz", "tsv"])
def test_packed_tables_are_read_in_blocks(server, ending):
    urls = [f"https://example.org/{sha256(b'%d' % i).hexdigest()}.jpg" for i in range(4000)]  # which do not pack well
    if ending.startswith("jsonl"):
        lines = [json.dumps({"url": url, "text": f"ein Hund 犬 {i}"}) for i, url in enumerate(urls)]
    else:
        mark = "\t" if ending == "tsv" else ","
        lines = [f"url{mark}text", *(f"{url}{mark}ein Hund 犬 {i}" for i, url in enumerate(urls))]
    text = "\n".join([*lines, ""]).encode()
    pack = {"gz": gzip.compress, "zst": lambda text: pa.compress(text, "zstd", asbytes=True)}
    body = pack.get(ending.rpartition(".")[2], bytes)(text)
    (source,) = find([server.serve(f"/a.{ending}", Ranged(body, [Answer(503)], begin=3 * len(body) // 4))])
    texts, tally = contents(source)
    assert texts == [f"ein Hund 犬 {i}" for i in range(4000)]
    assert tally == {"files": 1, "records": 4000, "pairs": 4000, "retries": 1}


def test_a_file_that_is_closed_is_not_opened_again(server):
    begun = []
    file = remote.RemoteFile("a", lambda: begun.append(1) or io.BytesIO(b"0123456789"), 10, forbidden, SMALL)
    file.read(1)
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file._fetch(5, 1)
    assert begun == [1]


def test_files_by_http_are_read_after_files_by_https(server, monkeypatch):
    monkeypatch.setattr("fsspec.implementations.http.HTTPFileSystem.protocol", "https")  # as fsspec 2025.9 sets it
    (source,) = find([server.serve("/a.jsonl", Ranged(LINES, []))])
    assert source.path.startswith("http://")
    assert len(contents(source)[0]) == 4000


def test_a_file_that_never_failed_has_no_retries(server):
    (source,) = find([server.serve("/a.jsonl", Ranged(LINES))])
    assert contents(source)[1] == {"files": 1, "records": 4000, "pairs": 4000}


def test_reading_goes_on_from_the_byte_where_it_was(server):
    (source,) = find([server.serve("/a.jsonl", Ranged(LINES, [Answer(503)], begin=100_000))])
    server.requests.clear()
    contents(source)
    starts = [int(each.headers["Range"][6:].split("-")[0]) for each in server.asked("/a.jsonl")]
    failed = starts.index(100_000)
    assert set(starts[:failed]) == set(range(0, 100_000, 10_000))
    assert min(starts[failed + 1 :]) >= 90_000
    assert len(starts) <= len(LINES) // 10_000 + 3


def test_a_file_that_fails_for_ever_is_an_error_with_its_path(server):
    (source,) = find([server.serve("/a.jsonl", Ranged(LINES))])
    server.serve("/a.jsonl", Ranged(LINES, [Answer(503)] * 1000, begin=50_000))
    with pytest.raises(OSError, match=r"/a\.jsonl cannot be read, 8 times in a row: 503"):
        contents(source)


@pytest.mark.parametrize(("status", "kind"), [(403, PermissionError), (400, OSError)])
def test_a_refusal_is_not_asked_again(server, status, kind):
    (source,) = find([server.serve("/a.jsonl", Ranged(LINES))])
    server.serve("/a.jsonl", Ranged(LINES, [Answer(status)] * 1000))
    server.requests.clear()
    with pytest.raises(kind, match=rf"/a\.jsonl cannot be read: {status}"):
        contents(source)
    assert len(server.asked("/a.jsonl")) <= 2


def test_a_server_without_ranges_and_lengths_is_read_from_the_begin_again(server):
    whole = Answer(200, LINES, length=-1)
    cut = Answer(200, LINES, sent=len(LINES) // 2)
    url = server.serve("/a.wat.gz", whole)
    (source,) = find([url])
    assert source.file_size is None
    server.serve("/a.wat.gz", whole, whole, cut, whole)  # the first two only tell that there is no length
    system, inner = system_of(url)
    failed = []
    with remote.RemoteFile(url, lambda: system.open(inner, "rb"), None, lambda: failed.append(1), SMALL) as file:
        assert not file.seekable()
        with pytest.raises(io.UnsupportedOperation, match="does not tell the size"):
            file.seek(0, io.SEEK_END)
        assert file.read() == LINES
    assert failed == [1]


def test_a_file_that_is_streamed_is_read_up_to_the_position():
    class Streamed(io.BytesIO):
        def seek(self, *_):
            raise ValueError("streamed")

    with remote.RemoteFile("a", lambda: Streamed(b"0123456789"), 10, forbidden, SMALL) as file:
        assert (file.seek(7), file.read(2)) == (7, b"78")
    with remote.RemoteFile("a", lambda: Streamed(b"01234"), None, lambda: None, SMALL) as file:
        file.seek(7)
        with pytest.raises(OSError, match="a cannot be read, 8 times in a row: it ended 2 bytes before byte 7"):
            file.read()


@pytest.mark.parametrize("reading", [SMALL, remote.Reading(3, ahead=True), remote.AS_ASKED, remote.A_GLANCE])
def test_a_remote_file_reads_as_a_file_does(reading):
    file = remote.RemoteFile("a", lambda: io.BytesIO(b"0123456789"), 10, forbidden, reading)
    assert file.seekable()
    assert (file.read(1), file.seek(9), file.read(1), file.seek(0)) == (b"0", 9, b"9", 0)
    assert (file.read(0), file.read(3), file.tell(), file.read(100), file.read(1), file.read()) == (
        *(b"", b"012", 3, b"3456789", b"", b""),
    )
    assert (file.seek(-2, io.SEEK_END), file.seek(-1, io.SEEK_CUR), file.read()) == (8, 7, b"789")
    file.seek(2)
    buffer = bytearray(4)
    assert (file.readinto(buffer), bytes(buffer)) == (4, b"2345")
    file.close()
    assert file.closed


def test_an_empty_file_ends_where_it_begins():
    with remote.RemoteFile("a", io.BytesIO, 0, forbidden, SMALL) as file:
        assert (file.seek(0, io.SEEK_END), file.read()) == (0, b"")


def test_the_next_block_is_fetched_while_one_is_used():
    fetched = Event()

    class Watched(io.BytesIO):
        def read(self, size):
            if self.tell() == 3:
                fetched.set()
            return super().read(size)

    with remote.RemoteFile("a", lambda: Watched(b"0123456789"), 10, forbidden, remote.Reading(3, ahead=True)) as file:
        assert (file.read(1), fetched.wait(10)) == (b"0", True)


def test_a_file_that_ends_before_its_size_is_not_taken_for_whole():
    failed = []
    file = remote.RemoteFile("a", lambda: io.BytesIO(b"01234"), 10, lambda: failed.append(1), SMALL)
    with pytest.raises(OSError, match="a cannot be read, 8 times in a row: it ended at byte 5 of 10"):
        file.read()
    assert len(failed) == 7


def test_a_busy_server_is_looked_up_again(server):
    url = server.serve("/a.jsonl", *[Answer(503)] * 3, Ranged(LINES))
    assert [each.path for each in find([url])] == [url]


def test_a_server_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9/a\.jsonl cannot be read, 5 times in a row"):
        find(["http://127.0.0.1:9/a.jsonl"])


def test_a_server_that_sends_whole_files_only_is_named(tmp_path):
    (tmp_path / "a").write_bytes(bytes(3 << 20))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/a"
        with (
            ListedFile(address).open(A_GLANCE) as file,
            pytest.raises(InputError, match="sends whole files only; copy"),
        ):
            file.read()
        server.shutdown()
