"""Damage to an archive costs the records that it hits, and no others."""

import gzip
import io
import random
from collections import Counter

import pytest

from curation.inputs.crawl import warc
from curation.inputs.crawl.wat import read as read_wat
from curation.inputs.tables.columns import TableOptions
from tests.support.crawl_records import dropped, envelope, image, of_warc, of_wat, record, wat

FOUR = [wat(image(f"{i}.jpg", alt=f"text {i}")) for i in range(4)]


def texts(packed):
    pairs, tally = of_wat(packed)
    return [text for _, text, _, _ in pairs], dropped(tally)


@pytest.mark.parametrize("at", [0, 3, 10, 60, -8, -5, -1])
def test_a_corrupt_member_costs_only_itself(at):
    broken = bytearray(FOUR[1])
    broken[at] ^= 0xFF
    found, reasons = texts(FOUR[0] + bytes(broken) + FOUR[2] + FOUR[3])
    # The last four bytes are the length, the four before them the checksum: both are checked.
    assert found == ["text 0", "text 2", "text 3"]
    assert reasons == {"corrupt_gzip": 1}


@pytest.mark.parametrize("chunk", [1, 7, 100, warc.CHUNK_BYTES])
def test_no_flipped_byte_costs_more_than_its_member(chunk, monkeypatch):
    monkeypatch.setattr(warc, "CHUNK_BYTES", chunk)
    whole = b"".join(FOUR)
    dice = random.Random(chunk)
    for _ in range(40):
        broken = bytearray(whole)
        at = dice.randrange(3, len(whole))
        broken[at] ^= 1 << dice.randrange(8)
        found, _ = texts(bytes(broken))
        assert set(found) <= {f"text {i}" for i in range(4)}
        assert len(found) >= 3


def test_a_corrupt_member_that_seems_to_go_on_is_none_that_was_cut():
    stored = bytearray(gzip.compress(gzip.decompress(FOUR[1]), 0))
    stored[11:15] = b"\xff\xff\0\0"  # its one block now claims the 64 KB that follow
    assert texts(FOUR[0] + bytes(stored) + FOUR[2]) == (["text 0", "text 2"], {"corrupt_gzip": 1})


def test_bytes_between_members_are_skipped():
    assert texts(FOUR[0] + b"garbage \x1f\x8b\x08 more" + FOUR[1]) == (["text 0", "text 1"], {"corrupt_gzip": 1})
    assert texts(FOUR[0] + b"\0" * 1000 + FOUR[1] + b"\0") == (["text 0", "text 1"], {})


def test_a_cut_file_gives_all_records_before_the_cut():
    start = len(FOUR[0] + FOUR[1])
    for end in range(start + 1, start + len(FOUR[2])):
        assert texts(b"".join(FOUR)[:end]) == (["text 0", "text 1"], {"truncated": 1})


@pytest.mark.parametrize("content", [b"", b"\x1f", b"hello " * 99, gzip.compress(b"hello " * 99), gzip.compress(b"")])
def test_a_file_that_is_no_warc_is_counted(content):
    assert of_wat(content)[1] in ({"files": 1, ("dropped", "bad_file"): 1}, {"files": 1, ("dropped", "truncated"): 1})
    assert of_warc(content)[0] == []


def test_a_file_compressed_in_one_go_is_read_piece_by_piece(monkeypatch):
    monkeypatch.setattr(warc, "MAX_BUFFERED_BYTES", 1000)
    monkeypatch.setattr(warc, "CHUNK_BYTES", 100)
    plain = b"".join(map(gzip.decompress, FOUR)) + record("metadata", b"0" * 50_000)
    assert texts(gzip.compress(plain, 1)) == ([f"text {i}" for i in range(4)], {})


def test_a_file_compressed_in_one_go_gives_what_is_before_the_break(monkeypatch):
    monkeypatch.setattr(warc, "MAX_BUFFERED_BYTES", 1000)
    monkeypatch.setattr(warc, "CHUNK_BYTES", 100)
    noise = random.Random(1).randbytes(50_000)
    plain = b"".join(map(gzip.decompress, FOUR)) + record("metadata", noise)
    found, reasons = texts(gzip.compress(plain)[:-20_000])
    assert found == [f"text {i}" for i in range(4)]
    assert reasons == {"truncated": 1, "bad_record": 1}


def test_a_disk_that_fails_is_no_broken_record(monkeypatch):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 100:
                raise OSError("disk failed")
            return super().read(50)

    for whole in (warc.MAX_BUFFERED_BYTES, 10):
        monkeypatch.setattr(warc, "MAX_BUFFERED_BYTES", whole)
        with pytest.raises(OSError, match="disk failed"):
            list(read_wat(Failing(gzip.compress(random.Random(1).randbytes(1000))), "", TableOptions(), Counter()))


def test_a_record_shorter_than_it_says_is_counted():
    short = gzip.compress(record("metadata", envelope([image(alt="x")]), length=9999))
    no_length = gzip.compress(gzip.decompress(FOUR[0]).replace(b"Content-Length", b"Content-Width"))
    found, reasons = texts(short + no_length + FOUR[1])
    assert found == ["text 1"]
    assert reasons["bad_record"] >= 2
