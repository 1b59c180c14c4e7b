"""At the offset that a pair tells is the record that has the pair: read by zlib and json, apart from the readers."""

import gzip
import io
import json
import random
import zlib
from collections import Counter
from html import unescape

import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, GateOptions, Options, Results, curate
from curation.inputs.crawl import page_candidates, warc, wat
from curation.inputs.tables.columns import TableOptions
from metadata import Entries, InputError
from tests.support.checkout import SHARED
from tests.support.crawl_records import image, read_back, record
from tests.support.crawl_records import warc as page_of
from tests.support.crawl_records import wat as links_of

pytestmark = pytest.mark.kernels

needs_shared = pytest.mark.skipif(not (SHARED / "wat").is_dir(), reason="needs the shared data: wat and warc")
ENTRIES = Entries.build({"en": ["dog", "cat"]})


def record_at(data, offset):
    """Return head and block of the record whose member of gzip begins at data[offset]."""
    inflated = zlib.decompressobj(31).decompress(data[offset:])
    head, _, block = inflated.partition(b"\r\n\r\n")
    return head.decode(), block


def has_pair(data, row):
    """Say whether the record that a row tells is of its page, and has its text."""
    head, block = record_at(data, row["record"]["offset"])
    text = " ".join(row["text"].split())
    if "application/json" not in head:
        found = [" ".join(unescape(unescape(block.decode("utf-8", "replace"))).split())]
        is_page = f"WARC-Target-URI: {row['page_url']}" in head.replace("<", "").replace(">", "")
    else:
        envelope = json.loads(block)["Envelope"]
        is_page = envelope["WARC-Header-Metadata"]["WARC-Target-URI"].strip("<>") == row["page_url"]
        held = envelope["Payload-Metadata"]["HTTP-Response-Metadata"]["HTML-Metadata"]["Links"]
        found = [" ".join(unescape(unescape(str(value))).split()) for link in held for value in link.values()]
    return is_page and any(text in each for each in found)


def made_up(kind, draw):
    """A file of many members: pages, other records, broken members, and zeros between them."""
    parts = []
    for number in range(draw.randrange(3, 60)):
        url, text = f"https://a.org/{number}", f"dog é {number} " + "x" * draw.choice([1, 1, 40_000])
        own = {"url": url, "text": text}
        page = page_of(f"<img src=a alt='{text}'>", url=url) if kind == "warc" else links_of(image(alt=text), url=url)
        other = gzip.compress(record("request", b"GET / HTTP/1.1\r\n\r\n", url))
        broken = page[: len(page) // 2] + b"?" + page[len(page) // 2 :]
        parts.append((draw.choice([page] * 6 + [other, broken, page + bytes(7), other + page]), own))
    return b"".join(part for part, _ in parts)


@pytest.mark.parametrize("kind", ["wat", "warc"])
@pytest.mark.parametrize("seed", range(8))
def test_the_record_at_the_offset_has_the_pair(kind, seed, monkeypatch):
    monkeypatch.setattr(warc, "CHUNK_BYTES", 1 << 10)
    monkeypatch.setattr(warc, "GROUP_BYTES", 1 << 12)
    data = made_up(kind, random.Random(f"{kind}{seed}"))
    rows = read_back(data, {"wat": wat, "warc": warc}[kind].read)
    assert rows
    assert all(has_pair(data, row) for row in rows)


def test_a_member_that_is_read_as_a_stream_is_told_too(monkeypatch):
    monkeypatch.setattr(warc, "MAX_BUFFERED_BYTES", 1 << 10)
    for kind, reader in ((page_of, warc), (lambda html, url: links_of(image(alt="dog" * 900), url=url), wat)):
        first, second = (kind(f"<img src=a alt={'dog' * 900}>", url=f"https://a.org/{number}") for number in (1, 2))
        rows = read_back(gzip.compress(b"no WARC " * 500) + first + second, reader.read)
        expected = len(gzip.compress(b"no WARC " * 500))
        assert [row["record"]["offset"] for row in rows] == [expected, expected + len(first)]


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("path", ["wat/fundus.warc.wat.gz", "warc/aut-example.warc.gz", "warc/whirlwind.warc.gz"])
def test_real_records_have_the_pairs(path):
    data, reader = (SHARED / path).read_bytes(), wat if "wat/" in path else warc
    crawled = f"s3://commoncrawl/crawl-data/CC-MAIN-2024-10/{path}?key=1"
    batches = reader.read(io.BytesIO(data), crawled, TableOptions(), Counter())
    rows = [row for batch in batches for row in batch.to_pylist() if row["url"] is not None]
    assert {row["record"]["file"] for row in rows} == {f"crawl-data/CC-MAIN-2024-10/{path}"}
    missed = [row for row in rows[:: max(1, len(rows) // 300)] if not has_pair(data, row)]
    assert missed == []


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/data/CC-MAIN-2024-10/x/b.warc.gz", "CC-MAIN-2024-10/x/b.warc.gz"),
        (
            "/data/CC-MAIN-20240220211055-20240221001055-00000.warc.gz",
            "CC-MAIN-20240220211055-20240221001055-00000.warc.gz",
        ),
        ("https://a.org/b.warc.gz?key=CC-MAIN-2024-10/x", "b.warc.gz"),
        ("", ""),
    ],
)
def test_a_file_is_named_from_its_crawl_on(path, file):
    assert page_candidates.name_of_file(path) == file


def curated(output):
    return pq.read_table(output / "curated").to_pylist()


@pytest.mark.slow
def test_a_manifest_has_the_columns_that_are_asked_for_and_else_its_bytes_as_they_were(tmp_path):
    cc = "<link rel=license href=//creativecommons.org/licenses/by/4.0>"
    pages = [page_of(f"{cc * (number < 3)}<img src=/{number}.jpg alt='dog {number}'>") for number in range(5)]
    again = page_of("<img src=/0.jpg alt='dog 0'>", url="https://example.org/a.html")
    (tmp_path / "b.warc.gz").write_bytes(b"".join([*pages, again]))
    (tmp_path / "a.warc.gz").write_bytes(again)
    for name, columns in (("none", []), ("both", ["license", "record"]), ("one", ["license"])):
        config = CurationConfig(extra_columns=columns)
        curate([*tmp_path.glob("*.gz")], tmp_path / name, metadata=ENTRIES, config=config)
    plain, both, one = (curated(tmp_path / name) for name in ("none", "both", "one"))
    assert [{**row, "license": each["license"]} for row, each in zip(plain, both, strict=True)] == one
    assert [
        {**row, "license": each["license"], "record": each["record"]} for row, each in zip(plain, both, strict=True)
    ] == both
    assert {row["url"][-5]: row["license"] for row in both} == dict.fromkeys("012", "cc-by") | dict.fromkeys(
        "34", "none"
    )
    for row in both:
        assert has_pair((tmp_path / row["record"]["file"]).read_bytes(), row)
    facts = Results.open(tmp_path / "one").facts
    assert [facts[each]["none"] for each in ("licenses", "kept_licenses")] == [4, 2]
    assert facts["notes"][0].endswith("Licences of the pairs kept: 3 cc-by.")
    assert "kept_licenses" not in Results.open(tmp_path / "none").facts
    assert next(row["record"] for row in both if row["url"].endswith("0.jpg")) == {"file": "a.warc.gz", "offset": 0}


@pytest.mark.slow
def test_a_policy_of_licences_removes_the_others_and_pairs_are_counted_by_licence(tmp_path):
    cc = "<a rel=license href=//creativecommons.org/licenses/by/4.0>cc</a><a rel=license href=/x></a>"
    pages = [page_of(f"<img src=/{n}.jpg alt='dog {n}' title=cat>{cc[: n * 68]}") for n in range(3)]
    (tmp_path / "a.warc.gz").write_bytes(b"".join(pages))
    gate = GateOptions(policy=["license:cc-by"])
    found = curate([tmp_path / "a.warc.gz"], tmp_path / "out", metadata=ENTRIES, options=Options(gate=gate))
    assert [row["url"][-5] for row in curated(tmp_path / "out")] == ["1"]
    assert {name: pairs for name, pairs in found.facts["licenses"].items() if pairs} == dict(
        zip(("cc-by", "several", "none"), (2, 2, 2), strict=True)
    )
    assert (
        "Pages state licences for themselves, not for each picture. Licences of the pairs read: 2 cc-by, 2 several."
        in (found.facts["notes"])
    )
    assert [row["removed"] for row in found.facts["gate"]["conditions"]] == [2]


def test_an_unknown_column_is_refused():
    with pytest.raises(InputError, match="extra_columns is 'licence'; did you mean license?"):
        CurationConfig(extra_columns=["licence"])
