"""Rows exchanged through files come back by bucket; a damaged or foreign file is refused, never half read."""

from random import Random

import numpy as np
import pyarrow as pa
import pytest

from curation.schemas import CURATED, MATCHED, PAIRS
from metadata import InputError
from runtime import exchange
from runtime.exchange import BucketWriter, read_buckets
from runtime.storage import whole as writing
from runtime.storage.paths import names
from tests.support.pair_rows import cut, random_pairs

SMALL = pa.schema([pa.field("a", pa.int32()), pa.field("b", pa.string())])


@pytest.fixture(autouse=True)
def each_run_gives_blocks(monkeypatch):
    """Let no row wait for more of its bucket, unless a test wants that."""
    monkeypatch.setattr(exchange, "FEWEST_ROWS", 1)


def small(*rows: tuple) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"a": a, "b": b} for a, b in rows], SMALL)


def small_file(folder, name="task"):
    """Write a file of four buckets, the second of them empty, the third in two blocks."""
    writer = BucketWriter(folder, name, 4)
    writer.add(small((1, "é"), (2, None), (None, "犬"), (4, "dd")), np.array([0, 0, 2, 3]))
    writer.add(small((5, ""), (6, "x" * 40)), np.array([2, 3]))
    return folder / writer.finish()[0]


def bucket(path, first, stop=None, schema=SMALL) -> list[tuple]:
    batches = list(read_buckets(path, schema, first, first + 1 if stop is None else stop))
    for batch in batches:
        batch.validate(full=True)
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def is_refused(path, first, stop, schema=SMALL) -> bool:
    """Say whether reading ends in the sentence that tells what to do."""
    try:
        bucket(path, first, stop, schema)
    except InputError as error:
        return "is damaged" in str(error) and "run again" in str(error)
    return False


SPANS = [(first, stop) for first in range(4) for stop in range(first, 5)]


def test_a_bucket_has_its_rows_in_the_order_in_which_they_came(folder):
    path = small_file(folder)
    assert bucket(path, 0) == [(1, "é"), (2, None)]
    assert bucket(path, 1) == []
    assert bucket(path, 2) == [(None, "犬"), (5, "")]
    assert bucket(path, 3) == [(4, "dd"), (6, "x" * 40)]


def test_several_buckets_are_read_as_one_after_the_other(folder):
    path = small_file(folder)
    for first, stop in SPANS:
        assert bucket(path, first, stop) == [row for each in range(first, stop) for row in bucket(path, each)]


@pytest.mark.parametrize("buckets", [1, 3, 64])
@pytest.mark.parametrize("worth", [1, 20, 512])
@pytest.mark.parametrize("held", [0, 5000, 1 << 30])
def test_rows_of_every_type_come_back_from_slices_and_from_all_files(tmp_path, monkeypatch, buckets, held, worth):
    monkeypatch.setattr(exchange, "HELD_BYTES", held)
    monkeypatch.setattr(exchange, "FEWEST_ROWS", worth)
    random = Random(buckets)
    rows = random_pairs(random, 300)
    numbers = np.array([random.randrange(buckets) for _ in range(300)])
    writer, expected = BucketWriter(tmp_path, "task", buckets), [[] for _ in range(buckets)]
    for part, own in zip(cut(rows, Random(0), 6), cut(pa.record_batch({"n": numbers}), Random(0), 6), strict=True):
        order = np.argsort(own["n"].to_numpy(), kind="stable")
        writer.add(part.take(pa.array(order)), own["n"].to_numpy()[order])
        for number, row in zip(own["n"].to_pylist(), part.to_pylist(), strict=True):
            expected[number].append(row)
    paths = [tmp_path / name for name in writer.finish()]
    assert len(paths) == 1 or held < 1 << 30
    assert len(paths) > 1 or held > 0 or worth > 1
    for number in range(buckets):
        blocks = [each for path in paths for each in read_buckets(path, PAIRS, number, number + 1)]
        assert [row for each in blocks for row in each.to_pylist()] == expected[number]


def test_a_writer_that_holds_too_much_goes_on_in_another_file(folder, monkeypatch):
    one = BucketWriter(folder, "one", 1)
    one.add(small((0, "犬")), np.array([0]))
    monkeypatch.setattr(exchange, "HELD_BYTES", (folder / one.finish()[0]).stat().st_size)
    writer = BucketWriter(folder, "task", 1)
    for number in range(5):
        writer.add(small((number, "犬")), np.array([0]))
    files = writer.finish()
    assert files == ["task-0.blocks", "task-1.blocks", "task-2.blocks"]
    assert [row[0] for name in files for row in bucket(folder / name, 0)] == [0, 1, 2, 3, 4]
    assert sorted(names(folder)) == ["one-0.blocks", *files]


def test_few_rows_wait_for_more_of_their_bucket(folder, monkeypatch):
    monkeypatch.setattr(exchange, "FEWEST_ROWS", 3)
    writer = BucketWriter(folder, "task", 2)
    for number in range(7):
        writer.add(small((number, "a"), (number, "b")), np.array([0, 1]))
    path = folder / writer.finish()[0]
    assert [batch.num_rows for batch in read_buckets(path, SMALL, 0, 2)] == [3, 3, 1] * 2
    assert bucket(path, 1) == [(number, "b") for number in range(7)]


def test_rows_do_not_wait_where_too_much_would_be_held(folder, monkeypatch):
    rows = small((1, "a"), (2, "b"))
    monkeypatch.setattr(exchange, "FEWEST_ROWS", 512)
    monkeypatch.setattr(exchange, "WAITING_BYTES", 2 * rows.nbytes)
    writer = BucketWriter(folder, "task", 2)
    for _ in range(7):
        writer.add(rows, np.array([0, 1]))
    path = folder / writer.finish()[0]
    assert [batch.num_rows for batch in read_buckets(path, SMALL, 0, 1)] == [3, 3, 1]


@pytest.mark.parametrize("rows", [1, 2, 3, 1000])
def test_blocks_of_any_size_hold_the_same_rows(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(exchange, "MOST_ROWS", rows)
    path = small_file(tmp_path)
    assert bucket(path, 0, 4) == [(1, "é"), (2, None), (None, "犬"), (5, ""), (4, "dd"), (6, "x" * 40)]
    assert {batch.num_rows for batch in read_buckets(path, SMALL, 0, 4)} == ({1} if rows == 1 else {1, 2})


def test_no_rows_give_no_file(folder):
    writer = BucketWriter(folder, "task", 4)
    writer.add(small(), np.zeros(0, np.int64))
    assert writer.finish() == []
    assert names(folder) == set()


def test_the_same_rows_give_the_same_bytes(folder):
    assert small_file(folder, "one").read_bytes() == small_file(folder, "two").read_bytes()


def test_a_disk_that_fails_leaves_no_file_and_nothing_half_written(tmp_path, monkeypatch):
    def fail(*paths):
        raise OSError("no space left")

    monkeypatch.setattr(writing.os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        small_file(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_whatever_bit_is_flipped_the_rows_are_right_or_refused(tmp_path):
    path, other = small_file(tmp_path), tmp_path / "flipped"
    data, whole = path.read_bytes(), {span: bucket(path, *span) for span in SPANS}
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        other.write_bytes(flipped)
        wrong = [span for span in SPANS if not is_refused(other, *span) and bucket(other, *span) != whole[span]]
        assert wrong == [], f"byte {position}"


def test_rows_that_a_flipped_bit_is_in_are_refused(folder):
    path = small_file(folder)
    data = bytearray(path.read_bytes())
    data[-3] ^= 16
    path.write_bytes(data)
    assert is_refused(path, 3, 4)
    assert is_refused(path, 0, 4)


def test_a_file_cut_off_anywhere_is_refused_where_rows_are_missing(tmp_path):
    path, other = small_file(tmp_path), tmp_path / "cut"
    data = path.read_bytes()
    for size in range(len(data)):
        other.write_bytes(data[:size])
        assert is_refused(other, 0, 4), f"{size} bytes"
        assert is_refused(other, 3, 4), f"{size} bytes"


def test_offsets_in_another_order_are_refused_by_whoever_reads_there(tmp_path):
    path, other = small_file(tmp_path), tmp_path / "swapped"
    whole = {span: bucket(path, *span) for span in SPANS}
    data = path.read_bytes()
    begin, size = offsets_at(data, 5)
    for one in range(5):
        for two in range(one):
            swapped = bytearray(data)
            a, b = (slice(begin + size * i, begin + size * (i + 1)) for i in (one, two))
            swapped[a], swapped[b] = data[b], data[a]
            other.write_bytes(swapped)
            wrong = [span for span in SPANS if not is_refused(other, *span) and bucket(other, *span) != whole[span]]
            assert wrong == [], (one, two)


def offsets_at(data: bytes, number: int) -> tuple[int, int]:
    """Return where the offsets of a file begin, and the size of each."""
    begin = len(exchange.MAGIC) + 8  # after the number of buckets
    return begin, (int.from_bytes(data[begin : begin + 8], "little") - begin) // number


@pytest.mark.parametrize(
    "schema",
    [
        PAIRS,
        CURATED,
        MATCHED,
        pa.schema([SMALL.field("b"), SMALL.field("a")]),
        pa.schema([pa.field("a", pa.int64()), SMALL.field("b")]),
        pa.schema([pa.field("a", pa.float32()), SMALL.field("b")]),
        pa.schema([SMALL.field("a"), pa.field("b", pa.binary())]),
        pa.schema([SMALL.field("a"), pa.field("c", pa.string())]),
        pa.schema([SMALL.field("a")]),
    ],
    ids=str,
)
def test_rows_of_another_schema_are_refused(folder, schema):
    assert is_refused(small_file(folder), 0, 4, schema)


@pytest.mark.parametrize("content", [b"", b"clipblk", b"clipblk1", b"PAR1" * 100, bytes(500), "犬".encode() * 50])
def test_what_is_no_file_of_blocks_is_refused(folder, content):
    (folder / "x").write_bytes(content)
    assert is_refused(folder / "x", 0, 1)


def test_a_file_with_fewer_buckets_is_refused(folder):
    path = small_file(folder)
    assert is_refused(path, 4, 5)
    assert is_refused(path, 2, 6)


def test_a_file_that_is_gone_is_refused(folder):
    assert is_refused(folder / "gone.blocks", 0, 1)


def test_a_server_that_gives_nothing_is_not_taken_for_a_damaged_file(s3_folder, s3_server):
    path = small_file(s3_folder)
    s3_server.forbidden = True
    with pytest.raises(PermissionError):
        bucket(path, 0)


def test_a_bucket_of_s3_costs_two_requests(s3_folder, s3_server):
    path = small_file(s3_folder)
    for span in ((0, 1), (1, 2), (0, 4)):
        s3_server.requests.clear()
        bucket(path, *span)
        assert [method for method, _ in s3_server.requests] == ["GET"] * (1 if span == (1, 2) else 2)
