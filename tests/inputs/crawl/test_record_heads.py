"""The kernels read the heads of records as FastWARC does."""

import gzip
import io
import random
from collections import Counter

import pytest

from curation.inputs.crawl import warc, wat
from curation.inputs.crawl import warc as warc_records
from curation.inputs.tables.columns import TableOptions
from curation.kernels.warc_heads import UNUSUAL
from tests.support.wat_records import image, of_links, record

pytestmark = pytest.mark.kernels


def by_fastwarc(read, packed, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(warc_records, "read_heads", lambda data, begins, ends, heads: heads.fill(UNUSUAL))
        return pairs_and_tally(read, packed)


def pairs_and_tally(read, packed):
    tally = Counter()
    return [batch.to_pylist() for batch in read(io.BytesIO(packed), "", TableOptions(), tally)], tally


@pytest.mark.parametrize("kind", ["metadata", "request", "response", "warcinfo", "unheard"])
@pytest.mark.parametrize("read", [wat.read, warc.read])
def test_heads_are_read_as_fastwarc_reads_them(kind, read, monkeypatch):
    whole = record(kind, of_links(image(alt="x")))
    places = [*range(whole.index(b"{")), *range(len(whole) - 6, len(whole))]
    inserted = [b"\n", b"\r\n", b" ", b"\r\nContent-Length: 5", b"\r\nWARC-Type: response", b"\r", b"\xff", b"0"]
    dice = random.Random(kind)
    changed = [whole, record(kind, b""), whole + whole, whole + b"\r\n", whole[:-1]]
    changed.append(whole.replace(b"Content-Length", b"WARC-Long: a\r\n" * 2000 + b"Content-Length", 1))
    for _ in range(250):
        at = dice.choice(places)
        changed.append(whole[:at] + dice.choice([b"", *inserted]) + whole[at + dice.randrange(2) :])
    for data in changed:
        packed = gzip.compress(data, 1)
        assert pairs_and_tally(read, packed) == by_fastwarc(read, packed, monkeypatch), data


def test_a_usual_record_needs_no_fastwarc(monkeypatch):
    monkeypatch.setattr(warc_records, "ArchiveIterator", None)
    (pairs,) = wat.read(
        io.BytesIO(gzip.compress(record("metadata", of_links(image(alt="x"))))), "", TableOptions(), Counter()
    )
    assert pairs["text"].to_pylist() == ["x"]
