import gzip
import io
import json
import os
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.inputs import files
from curation.inputs.files import find, read
from curation.inputs.formats import BY_NAME, FORMATS
from runtime.errors import InputError
from runtime.storage import bounded_parquet, remote, retrying
from runtime.storage.bounded_parquet import BoundedParquet
from runtime.storage.listing import Version, system_of
from tests.support.http_server import Answer, serving

PAGES = [f"https://example.org/{i}.jpg" for i in range(4000)]
LINES = "".join(
    json.dumps({"url": url, "text": f"ein Hund 犬 {i}"}, ensure_ascii=False) + "\n" for i, url in enumerate(PAGES)
).encode()

SMALL = remote.Reading(10_000, ahead=True)
RECORD = b"WARC/1.0\r\nWARC-Type: metadata\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b\r\n\r\n"
PAGE = (
    '{"Envelope": {"WARC-Header-Metadata": {"WARC-Target-URI": "https://e.org/"}, "Payload-Metadata": '
    '{"HTTP-Response-Metadata": {"HTML-Metadata": {"Links": [{"path": "IMG@/src", "url": "a.jpg", "alt": "犬"}]}}}}}'
).encode()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """Nobody waits, and blocks are small."""
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.0001)
    small = {each.name: replace(each, reading=SMALL) for each in FORMATS if each.reading == remote.AHEAD}
    monkeypatch.setattr(files, "BY_NAME", BY_NAME | small)


@pytest.fixture
def server():
    with serving() as server:
        yield server


@dataclass
class Ranged:
    """Answers as a server of files does; `failures` come first, one for each GET from `begin` of the file on."""

    body: bytes
    failures: list = field(default_factory=list)
    begin: int = 0
    headers: dict = field(default_factory=lambda: {"ETag": '"1"'})

    def __call__(self, request):
        if request.method == "HEAD":
            return Answer(200, self.body, self.headers)
        first, _, last = request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        first, last = int(first), min(int(last or len(self.body)), len(self.body) - 1)
        if self.failures and first >= self.begin:
            return self.failures.pop(0)
        ranges = {"Content-Range": f"bytes {first}-{last}/{len(self.body)}"}
        return Answer(206, self.body[first : last + 1], self.headers | ranges)


CUT = Answer(206, b"x" * 5000, {"Content-Range": "bytes 20000-29999/*"}, length=10_000)  # the connection ends early


def contents(source):
    """Return the texts of an input, and its tally."""
    rows = [row for batch in read(source) for row in batch.to_pylist()]
    tally = {row["text"]: row["tally"] for row in rows if row["url"] is None}
    return [row["text"] for row in rows if row["url"]], tally


def parquet(rows=4000, **writing):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"url": PAGES[:rows], "text": [f"犬 {i}" for i in range(rows)]}), sink, **writing)
    return sink.getvalue().to_pybytes()


def forbidden():
    raise AssertionError("failed although it did not")


# What may pass, and how long it takes.


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), BrokenPipeError()])
def test_what_passes_is_tried_again_until_it_has_passed(error):
    failures, failed = [error] * 5, []

    def step():
        if failures:
            raise failures.pop()
        return "read"

    assert retrying.persist("a.jsonl", step, lambda: failed.append(1)) == "read"
    assert len(failed) == 5


@pytest.mark.parametrize("error", [FileNotFoundError("x"), PermissionError("x"), IsADirectoryError("x"), OSError("x")])
def test_what_does_not_pass_is_an_error_of_the_system_at_once(error):
    with pytest.raises(OSError, match=r"^a\.jsonl (cannot be read: x|does not exist)"):
        retrying.persist("a.jsonl", raising(error), forbidden)


def test_what_never_passes_ends_after_some_tries():
    failed = []
    with pytest.raises(OSError, match=r"^a\.jsonl cannot be read, 3 times in a row: reset$"):
        retrying.persist("a.jsonl", raising(ConnectionError("reset")), lambda: failed.append(1), tries=3)
    assert len(failed) == 2


@pytest.mark.parametrize("error", [InputError("x"), ValueError("x"), ImportError("x")])
def test_what_is_no_failure_of_a_file_passes_through(error):
    with pytest.raises(type(error), match="^x$"):
        retrying.persist("a.jsonl", raising(error), forbidden)


def raising(error):
    def step():
        raise error

    return step


def test_waits_double_up_to_a_limit_and_differ_by_path_alone(monkeypatch):
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.5)
    waits = [retrying.wait("s3://é/a", number) for number in range(1, 12)]
    longest = [min(0.5 * 2**n, 60) for n in range(11)]
    assert all(most / 2 <= wait < most for wait, most in zip(waits, longest, strict=True))
    assert waits == [retrying.wait("s3://é/a", number) for number in range(1, 12)]
    assert len({retrying.wait(f"s3://é/{i}", 1) for i in range(100)}) == 100


# HTTP.


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
    (source,) = find([server.serve(f"/a.{ending}", Ranged(body, [Answer(503)], begin=len(body) // 2))])
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
        assert file.read() == LINES
    assert failed == [1]


@pytest.mark.parametrize("reading", [SMALL, remote.Reading(3, ahead=True), remote.AS_ASKED, remote.A_GLANCE])
def test_a_remote_file_reads_as_a_file_does(reading):
    file = remote.RemoteFile("a", lambda: io.BytesIO(b"0123456789"), 10, forbidden, reading)
    assert (file.read(0), file.read(3), file.tell(), file.read(100), file.read(1), file.read()) == (
        *(b"", b"012", 3, b"3456789", b"", b""),
    )
    assert (file.seek(-2, io.SEEK_END), file.seek(-1, io.SEEK_CUR), file.read()) == (8, 7, b"789")
    file.seek(2)
    buffer = bytearray(4)
    assert (file.readinto(buffer), bytes(buffer)) == (4, b"2345")
    file.close()
    assert file.closed


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
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9/a\.jsonl cannot be looked up: .*5 times in a row"):
        find(["http://127.0.0.1:9/a.jsonl"])


# Which version of a file.


def test_an_input_knows_what_the_server_says_of_it(server):
    headers = {"ETag": '"abc"', "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"}
    (source,) = find([server.serve("/a.jsonl", Ranged(LINES, headers=headers))])
    assert (source.file_size, source.modified, source.etag) == (len(LINES), 1_700_000_000 * 10**9, '"abc"')


@pytest.mark.parametrize(
    ("now", "difference"),
    [
        (Ranged(LINES + b"\n"), rf"it had {len(LINES):,} bytes and has {len(LINES) + 1:,}"),
        (Ranged(LINES, headers={"ETag": '"2"'}), 'its ETag was "1" and is "2"'),
        (Answer(404), "vanished since it was listed"),
    ],
)
def test_a_file_that_has_changed_since_it_was_listed_is_refused(server, now, difference):
    (source,) = find([server.serve("/a.jsonl", Ranged(LINES))])
    server.serve("/a.jsonl", now)
    with pytest.raises(InputError, match=rf"/a\.jsonl has.*{difference}.*; run the same command again"):
        contents(source)


def test_a_file_that_changes_while_it_is_read_is_refused(server):
    (source,) = find([server.serve("/a.jsonl", Ranged(LINES))])
    batches = read(source)
    server.serve("/a.jsonl", *[Ranged(LINES)] * 5, Ranged(LINES, headers={"ETag": '"2"'}))
    with pytest.raises(InputError, match='its ETag was "1" and is "2"'):
        list(batches)


def test_a_file_that_was_never_looked_at_must_stay_as_it_was_opened(server):
    url = server.serve("/a.jsonl", *[Ranged(LINES)] * 5, Ranged(LINES, headers={"ETag": '"2"'}))
    with pytest.raises(InputError, match='its ETag was "1" and is "2"'):
        contents(files.Input(url, "json", 0))


@pytest.mark.parametrize("change", ["vanish", "grow", "replace", "change while read"])
def test_a_local_file_that_has_changed_is_refused(tmp_path, change):
    path = tmp_path / "ä.jsonl"
    path.write_bytes(LINES)
    os.utime(path, ns=(0, 1_700_000_000_000_000_001))
    (source,) = find([str(path)])
    batches = read(source)
    if change == "vanish":
        path.unlink()
    elif change == "grow":
        path.write_bytes(LINES * 2)
    elif change == "replace":
        os.utime(path, ns=(0, 1_700_000_000_000_000_002))
    else:
        next(batches)
        os.utime(path, ns=(0, 0))
    with pytest.raises(InputError, match=r"ä\.jsonl has (vanished|changed) since it was listed"):
        list(batches)


def test_a_time_counts_only_where_no_etag_does():
    listed = Version(1, 10**9, "a")
    assert listed.difference(Version(1, 2 * 10**9, "a")) is None
    assert listed.difference(Version(None, None, None)) is None
    assert listed.difference(Version(1, 2 * 10**9)) == (
        "it was of 1970-01-01 00:00:01+00:00 and is of 1970-01-01 00:00:02+00:00"
    )


# S3.


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


# Parquet with a row group that is larger than memory.


def test_of_a_row_group_only_pieces_of_the_wanted_columns_are_read(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    noise = np.random.default_rng(0).bytes(8 << 20)
    column = [noise[i : i + 1000] for i in range(0, len(noise), 1000)]
    pq.write_table(pa.table({"url": column, "text": column, "other": column}), path, row_group_size=1 << 20)
    monkeypatch.setattr(bounded_parquet, "PIECE", 1 << 16)
    with Counting(path) as file:
        rows = sum(batch.num_rows for batch in BoundedParquet(file).batches(["url", "text"], 8192, [0]))
    assert rows == len(column)
    assert max(file.sizes) < 2 << 20  # a page has 1 MB
    assert 2 * len(noise) < sum(file.sizes) < 2.2 * len(noise)


class Counting(io.FileIO):
    """A file that knows how much was read of it at once."""

    def __init__(self, path):
        super().__init__(path)
        self.sizes = []

    def read(self, size=-1):
        self.sizes.append(size)
        return super().read(size)


def test_texts_that_a_dictionary_repeats_come_in_small_batches(tmp_path):
    path = tmp_path / "a.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), pa.array(["犬" * 30_000]))
    pq.write_table(pa.table({"text": texts}), path, store_schema=False)
    assert path.stat().st_size < 200_000
    with open(path, "rb") as file:
        found = BoundedParquet(file).batches(["text"], 8192, [0])
        sizes = [(batch.num_rows, batch.nbytes) for batch in found]
    assert sum(rows for rows, _ in sizes) == 5000
    assert max(size for _, size in sizes) <= bounded_parquet.BATCH_BYTES


@pytest.mark.parametrize("rows", [0, 1, 127, 128, 129, 4000])
@pytest.mark.parametrize("groups", [[0], []])
def test_small_rows_come_in_few_batches_in_their_order(rows, groups):
    table = BoundedParquet(io.BytesIO(parquet(rows)))
    groups = groups[: len(table.group_bytes())]
    found = list(table.batches(["text"], 8192, groups))
    assert [text for batch in found for text in batch["text"].to_pylist()] == [f"犬 {i}" for i in range(rows) if groups]
    assert len(found) == (1 if rows and groups else 0)


def test_batches_have_as_many_rows_as_are_asked_for():
    found = BoundedParquet(io.BytesIO(parquet())).batches(["text"], 1500, [0])
    assert [batch.num_rows for batch in found] == [1500, 1500, 1000]
