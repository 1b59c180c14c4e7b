"""Objects, folders and globs of S3 are read, and throttling loses nothing."""

import gzip

import pytest

from curation.inputs import files
from curation.inputs.files import find
from runtime.errors import InputError
from runtime.storage.listing import system_of
from tests.support.remote_files import LINES, contents, parquet

RECORD = b"WARC/1.0\r\nWARC-Type: metadata\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b\r\n\r\n"
PAGE = (
    '{"Envelope": {"WARC-Header-Metadata": {"WARC-Target-URI": "https://e.org/"}, "Payload-Metadata": '
    '{"HTTP-Response-Metadata": {"HTML-Metadata": {"Links": [{"path": "IMG@/src", "url": "a.jpg", "alt": "犬"}]}}}}}'
).encode()


@pytest.fixture
def s3(s3_server):
    """A bucket of inputs; `every` of the server may be set."""
    system, _ = system_of("s3://pairs")
    if not system.exists("pairs"):
        system.mkdir("pairs")
        system.pipe("pairs/deep/ü/a.jsonl", LINES)
        system.pipe("pairs/deep/_temporary/b.jsonl", LINES)
        system.pipe("pairs/c.parquet", parquet(row_group_size=500))
        system.pipe("pairs/d.warc.wat.gz", gzip.compress(RECORD % (len(PAGE), PAGE)))
    yield s3_server
    s3_server.reset()


@pytest.mark.parametrize(
    "path", ["s3://pairs/deep", "s3://pairs/deep/ü/a.jsonl", "s3://pairs/*/ü/*.jsonl", "s3a://pairs/deep/"]
)
def test_objects_folders_and_globs_of_s3_are_read(s3, path):
    (source,) = find([path])
    assert source.path == "s3://pairs/deep/ü/a.jsonl"
    assert source.size == len(LINES)
    assert source.etag
    assert contents(source)[0] == [f"ein Hund 犬 {i}" for i in range(4000)]


def test_a_wat_file_of_s3_is_read(s3):
    (source,) = find(["s3://pairs/d.warc.wat.gz"])
    assert contents(source) == (["犬"], dict.fromkeys(("files", "records", "pages", "image_links", "pairs"), 1))


def test_a_parquet_file_of_s3_is_split_at_its_row_groups(s3, monkeypatch):
    monkeypatch.setattr(files, "SPLIT_BYTES", 10_000)
    parts = find(["s3://pairs/c.parquet"])
    assert len(parts) > 2
    assert {part.file_size for part in parts} == {len(parquet(row_group_size=500))}
    assert [text for part in parts for text in contents(part)[0]] == [f"犬 {i}" for i in range(4000)]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["s3://pairs/deep/ü/a.jsonl", "s3://pairs/c.parquet"])
def test_an_s3_that_throttles_loses_nothing_and_is_counted(s3, path):
    s3.every = 2
    (source,) = find([path])
    texts, tally = contents(source)
    assert len(texts) == 4000
    assert tally["retries"] > 0


def test_an_s3_that_always_throttles_is_an_error_with_the_path(s3):
    (source,) = find(["s3://pairs/deep/ü/a.jsonl"])
    s3.every = 1 << 40
    with pytest.raises(OSError, match=r"s3://pairs/deep/ü/a\.jsonl cannot be read, 8 times in a row: .*503"):
        contents(source)


def test_an_object_that_was_replaced_is_refused(s3):
    system, _ = system_of("s3://pairs")
    system.pipe("pairs/new/e.jsonl", LINES)
    (source,) = find(["s3://pairs/new"])
    system.pipe("pairs/new/e.jsonl", LINES.replace("犬".encode(), "狗".encode()))
    with pytest.raises(InputError, match="its ETag was .* and is .*; run the same command again"):
        contents(source)
    system.rm("pairs/new", recursive=True)
    with pytest.raises(InputError, match="has vanished"):
        contents(source)
    with pytest.raises(InputError, match="s3://pairs/new does not exist"):
        find(["s3://pairs/new"])


def test_a_bucket_that_does_not_exist_is_refused(s3):
    with pytest.raises(InputError, match=r"s3://nothing/a\.jsonl (does not exist|cannot be looked up)"):
        find(["s3://nothing/a.jsonl"])
