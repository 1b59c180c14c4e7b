"""Names such as commoncrawl:CC-MAIN-2024-10 stand for the files of a crawl."""

import gzip
import sys

import pytest

from curation.inputs.files import find, read
from curation.inputs.tables import columns
from runtime.errors import InputError
from runtime.folders.stamps import Input
from runtime.storage import remote
from tests.support.http_server import Answer, serving

CRAWL = "CC-MAIN-2024-10"
WATS = [f"crawl-data/{CRAWL}/segments/17/wat/CC-MAIN-2024{i:05d}.warc.wat.gz" for i in range(30)]
WARCS = [path.replace("/wat/", "/warc/").replace(".warc.wat.gz", ".warc.gz") for path in WATS]
RECORD = b"WARC/1.0\r\nWARC-Type: metadata\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b\r\n\r\n"
PAGE = (
    b'{"Envelope": {"WARC-Header-Metadata": {"WARC-Target-URI": "https://e.org/"}, "Payload-Metadata": '
    b'{"HTTP-Response-Metadata": {"HTML-Metadata": {"Links": [{"path": "IMG@/src", "url": "a.jpg", "alt": "hund"}]}}}}}'
)


@pytest.fixture
def server(monkeypatch):
    """A server with the layout of data.commoncrawl.org: lists, and one WAT file."""
    with serving() as server:
        monkeypatch.setenv(columns.BASE_VARIABLE, server.url + "/")
        monkeypatch.setattr(remote, "FIRST_WAIT", 0.001)
        serve_list(server, WATS)
        serve_list(server, WARCS, "warc")
        server.serve("/" + WATS[3], Answer(body=gzip.compress(RECORD % (len(PAGE), PAGE)), headers={"ETag": '"3"'}))
        yield server


def serve_list(server, lines, kind="wat"):
    server.serve(f"/crawl-data/{CRAWL}/{kind}.paths.gz", Answer(body=gzip.compress("\n".join([*lines, ""]).encode())))


@pytest.mark.parametrize(
    ("reference", "format", "paths"),
    [(f"commoncrawl:{CRAWL}", "wat", WATS), (f"commoncrawl:{CRAWL}/wat", "wat", WATS)]
    + [(f"commoncrawl:{CRAWL}/warc", "warc", WARCS)],
)
def test_a_crawl_stands_for_the_files_of_its_list(server, reference, format, paths):
    size = {"wat": 200 << 20, "warc": 1 << 30}[format]
    assert find([reference]) == [Input(f"{server.url}/{path}", format, size) for path in paths]


def test_no_file_of_a_crawl_is_asked_for_before_it_is_read(server):
    find([f"commoncrawl:{CRAWL}"], sample_files=5)
    assert {request.path for request in server.requests} == {f"/crawl-data/{CRAWL}/wat.paths.gz"}


def test_a_file_of_a_crawl_is_read(server):
    rows = [row for batch in read(find([f"commoncrawl:{CRAWL}"])[3]) for row in batch.to_pylist()]
    assert [(row["url"], row["text"]) for row in rows if row["url"]] == [("https://e.org/a.jpg", "hund")]


def test_a_crawl_may_lie_in_a_folder(tmp_path):
    (tmp_path / "crawl-data" / CRAWL).mkdir(parents=True)
    (tmp_path / "crawl-data" / CRAWL / "wat.paths.gz").write_bytes(gzip.compress(WATS[0].encode()))
    assert columns.crawl_files(f"commoncrawl:{CRAWL}", str(tmp_path)) == ("wat", [f"{tmp_path}/{WATS[0]}"])


@pytest.mark.parametrize("answer", [Answer(404), Answer(403)])
def test_a_crawl_that_does_not_exist_is_named(server, answer):
    server.serve("/crawl-data/CC-MAIN-2099-01/wat.paths.gz", answer)
    with pytest.raises(InputError, match=r"^there is no crawl CC-MAIN-2099-01, as .*index\.commoncrawl\.org"):
        find(["commoncrawl:CC-MAIN-2099-01"])


def test_a_busy_server_is_asked_again(server):
    path = f"/crawl-data/{CRAWL}/wat.paths.gz"
    busy = [Answer(503)] * 4  # fsspec asks twice for each look
    server.serve(path, *busy, *server.answers[path])
    assert len(find([f"commoncrawl:{CRAWL}"])) == 30


@pytest.mark.parametrize(
    "reference",
    ["commoncrawl:", "commoncrawl:CC-MAIN-24", "commoncrawl:CC-NEWS", f"commoncrawl:{CRAWL}/wet"]
    + [f"commoncrawl:{CRAWL}/", f"commoncrawl:{CRAWL}/../x", f"commoncrawl:{CRAWL}\n"],
)
def test_what_names_no_crawl_is_refused_unasked(server, reference):
    with pytest.raises(InputError, match="does not name a crawl; expected commoncrawl:CC-MAIN-2024-10 "):
        find([reference])
    assert server.requests == []


@pytest.mark.parametrize(
    "line", ["../../etc/passwd.gz", "https://evil.org/a.warc.wat.gz", "crawl-data/../a.gz", "é.gz"]
)
def test_a_list_cannot_lead_elsewhere(server, line):
    serve_list(server, [WATS[0], line])
    with pytest.raises(InputError, match="is not a list of files below crawl-data/"):
        find([f"commoncrawl:{CRAWL}"])


@pytest.mark.parametrize("body", [b"", b"<html>", gzip.compress(b""), gzip.compress(b"crawl-data/a.gz" * 99)[:-9]])
def test_a_broken_list_is_refused(server, body):
    server.serve(f"/crawl-data/{CRAWL}/wat.paths.gz", Answer(body=body))
    with pytest.raises(InputError, match=r"wat\.paths\.gz"):
        find([f"commoncrawl:{CRAWL}"])


def test_a_larger_sample_of_files_holds_the_smaller(server):
    samples = [find([f"commoncrawl:{CRAWL}"], sample_files=number, seed=7) for number in (1, 5, 29, 30, 99)]
    assert [len(each) for each in samples] == [1, 5, 29, 30, 30]
    assert all(set(small) < set(large) for small, large in zip(samples[:3], samples[1:4], strict=True))
    assert all(each == sorted(each, key=lambda file: file.path) for each in samples)


def test_another_seed_takes_other_files(server):
    samples = {tuple(find([f"commoncrawl:{CRAWL}"], sample_files=5, seed=seed)) for seed in range(5)}
    assert len(samples) == 5


def test_an_empty_sample_is_refused(server):
    with pytest.raises(InputError, match="sample_files is 0; it must be at least 1"):
        find([f"commoncrawl:{CRAWL}"], sample_files=0)


@pytest.mark.parametrize("given", [f"commoncrawl:{CRAWL}", "https://example.org/pairs.parquet"])
def test_without_the_package_for_urls_the_extra_is_named(monkeypatch, given):
    for name in ("_registry", "registry"):  # Another test may have opened a URL.
        monkeypatch.setattr(sys.modules["fsspec.registry"], name, {})
    monkeypatch.setitem(sys.modules, "fsspec.implementations.http", None)  # as where aiohttp is not installed
    with pytest.raises(InputError, match=r"pip install 'clip-curation\[http\]'"):
        find([given])
