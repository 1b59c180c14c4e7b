"""Gzip members: inflated at once or by pieces, they are the same; a broken one costs itself only."""

import gzip
import io
import random
import zlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.inputs.crawl import warc
from runtime.kernels.masks import SLACK, find_bytes
from tests.support.checkout import SHARED

pytestmark = pytest.mark.kernels

needs_shared = pytest.mark.skipif(not (SHARED / "wat").is_dir(), reason="needs the shared data: wat and warc")


def read(packed: bytes) -> tuple[list[bytes], Counter]:
    """Return the members that are read, and what is counted."""
    tally = Counter()
    found = warc.gzip_members(io.BytesIO(packed), tally)
    return [bytes(content if isinstance(content, bytes | bytearray) else content.read()) for content, _ in found], tally


def read_by_pieces(packed: bytes, monkeypatch) -> tuple[list[bytes], Counter]:
    """The same, and no member is inflated at once."""
    with monkeypatch.context() as patched:
        patched.setattr(warc._Source, "at_once", lambda source: None)
        return read(packed)


def record(dice: random.Random) -> bytes:
    """Return a member like those of a crawl: it begins as a record does, and may hold what begins a member."""
    words = [b"WARC", b"\x1f\x8b\x08", b"\0\0\0\0", b"text", dice.randbytes(3)]
    content = b"WARC/1.0\r\n" + b" ".join(dice.choices(words, k=dice.randrange(60)))
    return gzip.compress(content, dice.choice([0, 1, 6, 9]), mtime=dice.choice([0, 0x088B1F]))


def damaged(packed: bytes, dice: random.Random) -> bytes:
    """Return the bytes with one change of the kinds that disks and networks make."""
    at, size = dice.randrange(3, len(packed)), dice.randrange(1, 40)
    put = dice.choice([b"", bytes(size), dice.randbytes(size), packed[at - 3 : at + 5], b"\x1f\x8b\x08"])
    return packed[:at] + put + packed[at + dice.choice([0, size]) :]


@pytest.mark.parametrize("chunk", [1, 7, 100, warc.CHUNK_BYTES])
def test_members_are_the_same_at_once_and_by_pieces(chunk, monkeypatch):
    monkeypatch.setattr(warc, "CHUNK_BYTES", chunk)
    dice = random.Random(chunk)
    for _ in range(300 if chunk > 1 else 30):
        packed = b"".join(record(dice) for _ in range(dice.randrange(1, 9)))
        for _ in range(dice.randrange(3)):
            packed = damaged(packed, dice)
        assert read(packed) == read_by_pieces(packed, monkeypatch)


def test_whole_members_are_inflated_at_once(monkeypatch):
    monkeypatch.setattr(warc._Source, "pieces", None)
    contents = [b"WARC/1.0 %d" % i * 99 for i in range(20)]
    found, tally = read(b"".join(map(gzip.compress, contents)))
    assert (found, +tally) == (contents, Counter())


@pytest.mark.parametrize("behind", [b"", b"xyz"])
def test_a_size_that_is_repeated_behind_a_member_is_none(behind, monkeypatch):
    member = gzip.compress(b"WARC/1.0 first")
    packed = member + behind + member[-4:] + gzip.compress(b"WARC/1.0 second")
    assert read(packed) == ([b"WARC/1.0 first", b"WARC/1.0 second"], {("dropped", "corrupt_gzip"): 1})
    assert read(packed) == read_by_pieces(packed, monkeypatch)


@pytest.mark.parametrize("size", [0, 1, 13, 15, 1 << 20, (1 << 32) - 1])
def test_a_wrong_size_is_found_out(size):
    member = gzip.compress(b"WARC/1.0 first")
    broken = member[:-4] + size.to_bytes(4, "little")
    found, tally = read(broken + gzip.compress(b"WARC/1.0 second"))
    assert (found, tally) == ([b"WARC/1.0 second"], {("dropped", "corrupt_gzip"): 1})


def test_a_member_that_ends_far_away_is_read_by_pieces(monkeypatch):
    monkeypatch.setattr(warc, "MAX_SEARCHED_BYTES", 1000)
    monkeypatch.setattr(warc, "CHUNK_BYTES", 100)
    content = b"WARC/1.0 " + random.Random(1).randbytes(5000)
    assert read(gzip.compress(content) * 2) == ([content] * 2, {})


def test_all_fields_of_a_head_may_be_there():
    extra, name = b"\x04\0abcd", b"name \x1f\x8b\x08\0"
    plain = b"WARC/1.0 all"
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflate.compress(plain) + deflate.flush()
    head = b"\x1f\x8b\x08\x0c\0\0\0\0\x02\xff"  # with extra field and name
    tail = zlib.crc32(plain).to_bytes(4, "little") + len(plain).to_bytes(4, "little")
    assert read((head + extra + name + body + tail) * 3) == ([plain] * 3, {})


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("name", ["recipes", "fundus", "aut-warc-example", "whirlwind"])
def test_real_members_are_the_same_at_once_and_by_pieces(name, monkeypatch):
    packed = (SHARED / "wat" / f"{name}.warc.wat.gz").read_bytes()
    assert read(packed) == read_by_pieces(packed, monkeypatch)
    dice = random.Random(name)
    for _ in range(5):
        broken = damaged(packed[: 1 << 20], dice)
        assert read(broken) == read_by_pieces(broken, monkeypatch)


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 300), st.integers(3, 8), st.data())
def test_bytes_are_found_where_python_finds_them(data, begin, size, draw):
    if len(data) > size and draw.draw(st.booleans()):
        at = draw.draw(st.integers(0, len(data) - size))
        wanted = data[at : at + size]
    else:
        wanted = draw.draw(st.binary(min_size=size, max_size=size))
    end = draw.draw(st.integers(begin, max(begin, len(data)))) if begin < len(data) else begin
    end = min(end, len(data))
    array = np.frombuffer(data + wanted * (SLACK // size + 1), np.uint8)
    word = int.from_bytes(wanted, "little", signed=size == 8)
    assert find_bytes(array, begin, end, word, size) == data.find(wanted, begin, end)
