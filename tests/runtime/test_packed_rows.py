"""A file of blocks gives its rows to any reader of Arrow and zstd; a damaged or foreign one is refused."""

import shutil
import subprocess

import pyarrow as pa
import pytest

from curation.schemas import CURATED, MATCHED, PAIRS
from metadata import InputError
from runtime import buckets
from runtime import buckets as module
from runtime.buckets import read_blocks, write_blocks
from runtime.storage import own_files as writing
from runtime.storage.paths import names
from tests.support.small_blocks import ROWS, SMALL, bytes_of, read, small_blocks, small_file

SORTED = sorted(ROWS, key=lambda row: row[0])


@pytest.fixture(autouse=True)
def rows_do_not_wait(monkeypatch):
    """Let each bucket of a batch be a block, so that a file of few rows has several."""
    monkeypatch.setattr(buckets, "MIN_BLOCK_ROWS", 1)


def is_refused(path, schema: pa.Schema = SMALL) -> bool:
    """Say whether reading ends in the sentence that tells what to do."""
    try:
        read(path, schema)
    except InputError as error:
        return f"{path} is damaged" in str(error) and "run again" in str(error)
    return False


def frames_of(path) -> list[bytes]:
    """Return the schema, the blocks and the end of a file, each with its head."""
    with path.open("rb") as file:
        return bytes_of(module._frames(file, None))


def test_a_file_has_the_blocks_that_were_written_in_their_order(folder):
    path, blocks = small_file(folder), small_blocks()
    assert [block.bucket for block in blocks] == [0, 2, 3, 2, 3]
    assert bytes_of(read_blocks(path, SMALL)) == bytes_of(blocks)
    assert read(path) == SORTED
    assert names(folder) == {path.name}


def test_no_blocks_give_a_file_without_rows(folder):
    path = folder / "none.arrows.zst"
    write_blocks(path, SMALL, [])
    assert read(path) == []
    assert is_refused(path, PAIRS)


@pytest.mark.parametrize("size", [2, 7, 28, 100, 1000])
def test_blocks_are_whole_wherever_the_pieces_end_in_which_a_file_is_read(folder, monkeypatch, size):
    path = small_file(folder)
    monkeypatch.setattr(module, "READ_BYTES", size)
    assert bytes_of(read_blocks(path, SMALL)) == bytes_of(small_blocks())


def test_any_reader_of_arrow_and_zstd_reads_a_file(tmp_path):
    expected = [row for block in (ROWS[:2], ROWS[2:3], ROWS[3:4], ROWS[4:5], ROWS[5:]) for _, row in block]
    with pa.CompressedInputStream(pa.OSFile(str(small_file(tmp_path))), "zstd") as stream:
        table = pa.ipc.open_stream(stream).read_all()
    assert table.schema.equals(SMALL)
    assert [tuple(row.values()) for row in table.to_pylist()] == expected


@pytest.mark.skipif(not shutil.which("zstd"), reason="there is no command zstd")
def test_the_command_zstd_unpacks_a_file_into_a_stream_of_arrow(tmp_path):
    stream = subprocess.run(["zstd", "-dc", small_file(tmp_path)], capture_output=True, check=True).stdout
    assert pa.ipc.open_stream(stream).read_all().num_rows == len(ROWS)


def test_the_same_rows_give_the_same_bytes(folder):
    assert small_file(folder, "one").read_bytes() == small_file(folder, "two").read_bytes()


def test_a_disk_that_fails_leaves_no_file_and_nothing_half_written(tmp_path, monkeypatch):
    def fail(*paths):
        raise OSError("no space left")

    monkeypatch.setattr(writing.os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        small_file(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_blocks_that_end_in_an_error_leave_no_file(folder):
    def broken():
        yield from small_blocks()
        raise KeyError

    with pytest.raises(KeyError):
        write_blocks(folder / "broken", SMALL, broken())
    assert names(folder) == set()


def test_whatever_bit_is_flipped_the_file_is_refused(tmp_path):
    path, other = small_file(tmp_path), tmp_path / "flipped"
    data = path.read_bytes()
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        other.write_bytes(flipped)
        assert is_refused(other), f"byte {position}"


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    path, other = small_file(tmp_path), tmp_path / "cut"
    data = path.read_bytes()
    for size in range(len(data)):
        other.write_bytes(data[:size])
        assert is_refused(other), f"{size} bytes"


def test_frames_that_are_missing_or_come_twice_or_in_another_order_are_refused(tmp_path):
    path, other = small_file(tmp_path), tmp_path / "other"
    frames = frames_of(path)
    assert b"".join(frames) == path.read_bytes()
    for one in range(len(frames)):
        without, twice = [*frames[:one], *frames[one + 1 :]], [*frames[: one + 1], *frames[one:]]
        swaps = [
            [*frames[:at], frames[one], *frames[at + 1 : one], frames[at], *frames[one + 1 :]] for at in range(one)
        ]
        for number, wrong in enumerate([without, twice, *swaps]):
            other.write_bytes(b"".join(wrong))
            assert is_refused(other), (one, number)


def test_frames_of_another_file_are_refused(tmp_path):
    path, other = small_file(tmp_path), tmp_path / "other"
    write_blocks(other, SMALL, small_blocks()[1:])
    frames, others, mixed = frames_of(path), frames_of(other), tmp_path / "mixed"
    for wrong in ([*frames[:-1], others[-1]], [*others[:-1], frames[-1]], frames + others, [*frames, *frames[1:]]):
        mixed.write_bytes(b"".join(wrong))
        assert is_refused(mixed)


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
    assert is_refused(small_file(folder), schema)


FOREIGN = [
    b"",
    b"P",
    b"PAR1" * 100,
    bytes(500),
    "犬".encode() * 50,
    pa.Codec("zstd").compress(bytes(999), asbytes=True),
]


@pytest.mark.parametrize("content", FOREIGN)
def test_what_is_no_file_of_blocks_is_refused(folder, content):
    (folder / "x").write_bytes(content)
    assert is_refused(folder / "x")
    with pytest.raises(InputError, match="it is not a file of blocks" if len(content) >= 28 else "it is cut off"):
        read(folder / "x")


def test_a_file_that_is_gone_is_refused(folder):
    assert is_refused(folder / "gone.arrows.zst")


def test_a_server_that_gives_nothing_is_not_taken_for_a_damaged_file(s3_folder, s3_server):
    path = small_file(s3_folder)
    s3_server.forbidden = True
    with pytest.raises(PermissionError):
        read(path)


def test_a_file_of_s3_costs_two_requests(s3_folder, s3_server):
    path = small_file(s3_folder)
    s3_server.requests.clear()
    assert read(path) == SORTED
    assert [method for method, _ in s3_server.requests] == ["HEAD", "GET"]
