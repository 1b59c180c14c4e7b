"""Rows are packed by bucket into blocks that are worth their cost, and a store gives back each block once."""

import errno
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from curation.schemas import PAIRS
from runtime import buckets as module
from runtime.buckets import Block, Extent, Packer, Store, packed, rows_of_block
from runtime.storage.paths import FullDisk
from tests.support.pair_rows import cut, random_pairs
from tests.support.small_blocks import BUCKETS, ROWS, by_bucket, bytes_of, rows_of, small, small_blocks


@pytest.mark.parametrize("buckets", [1, 3, 64])
@pytest.mark.parametrize("fewest", [1, 20, 512])
@pytest.mark.parametrize("waiting", [0, 5000, 1 << 30])
@pytest.mark.parametrize("most", [7, 8192])
def test_rows_of_every_type_come_back_by_bucket_from_slices(monkeypatch, buckets, fewest, waiting, most):
    monkeypatch.setattr(module, "MIN_BLOCK_ROWS", fewest)
    monkeypatch.setattr(module, "WAITING_BYTES", waiting)
    monkeypatch.setattr(module, "MAX_BLOCK_ROWS", most)
    random = Random(buckets)
    rows = random_pairs(random, 300)
    numbers = np.array([random.randrange(buckets) for _ in range(300)])
    packer, blocks, expected = Packer(buckets), [], [[] for _ in range(buckets)]
    for part, own in zip(cut(rows, Random(0), 6), cut(pa.record_batch({"n": numbers}), Random(0), 6), strict=True):
        order = np.argsort(own["n"].to_numpy(), kind="stable")
        blocks += packer.add(part.take(pa.array(order)), own["n"].to_numpy()[order])
        for number, row in zip(own["n"].to_pylist(), part.to_pylist(), strict=True):
            expected[number].append(row)
    blocks += packer.finish()
    found = [[] for _ in range(buckets)]
    for block in blocks:
        unpacked = rows_of_block(block.data, PAIRS)
        unpacked.validate(full=True)
        assert block.buckets == buckets
        assert 0 < unpacked.num_rows <= most
        found[block.bucket] += unpacked.to_pylist()
    assert found == expected


def test_few_rows_wait_for_more_of_their_bucket(monkeypatch):
    monkeypatch.setattr(module, "MIN_BLOCK_ROWS", 3)
    packer, full = Packer(2), []
    for number in range(7):
        full += packer.add(small((number, "a"), (number, "b")), np.array([0, 1]))
    assert [(block.bucket, len(rows_of(block.data))) for block in full] == [(0, 3), (1, 3)] * 2
    blocks = [*full, *packer.finish()]
    assert [(block.bucket, len(rows_of(block.data))) for block in blocks[4:]] == [(0, 1), (1, 1)]
    assert by_bucket(blocks) == [(at, (number, name)) for at, name in enumerate("ab") for number in range(7)]


def test_rows_do_not_wait_where_too_much_would_be_held(monkeypatch):
    rows = small((1, "a"), (2, "b"))
    monkeypatch.setattr(module, "MIN_BLOCK_ROWS", 512)
    monkeypatch.setattr(module, "WAITING_BYTES", 2 * rows.nbytes)
    packer = Packer(2)
    given = [[len(rows_of(block.data)) for block in packer.add(rows, np.array([0, 1]))] for _ in range(7)]
    assert given == [[], [], [3, 3]] * 2 + [[]]
    assert [len(rows_of(block.data)) for block in packer.finish()] == [1, 1]


@pytest.mark.parametrize("most", [1, 2, 3, 1000])
def test_blocks_of_any_size_hold_the_same_rows(monkeypatch, most):
    monkeypatch.setattr(module, "MAX_BLOCK_ROWS", most)
    blocks = small_blocks()
    assert by_bucket(blocks) == sorted(ROWS, key=lambda row: row[0])
    assert {len(rows_of(block.data)) for block in blocks} == ({1} if most == 1 else {2})


def test_no_rows_give_no_block_and_what_was_given_is_not_given_again():
    packer = Packer(BUCKETS)
    assert list(packer.add(small(), np.zeros(0, np.int64))) == []
    assert list(packer.finish()) == []
    list(packer.add(small((1, "犬")), np.array([3])))
    assert len(list(packer.finish())) == 1
    assert list(packer.finish()) == []


def test_the_same_rows_give_the_same_bytes():
    assert small_blocks() == small_blocks()


def test_a_block_is_known_by_its_bytes_alone():
    for block in small_blocks():
        for data in (block.data, pa.py_buffer(block.data)):
            assert Block.of(data) == (block.bucket, BUCKETS, block.unpacked, data, None)
            assert rows_of(data) == rows_of(block.data)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7, 8])
def test_a_bucket_of_many_is_in_the_bucket_of_few_that_has_its_share(number):
    found = [Block(bucket, 8, 0, b"").scaled(number) for bucket in range(8)]
    assert found == [int(bucket / 8 * number) for bucket in range(8)]
    assert set(found) == set(range(number))


def test_a_block_that_a_flipped_bit_is_in_is_refused():
    data = small_blocks()[1].data
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        try:
            assert rows_of(bytes(flipped)) == rows_of(data), position
        except ValueError as error:
            assert "checksum" in str(error)  # noqa: PT017
        else:
            pytest.fail(f"byte {position} is in no checksum")


# Store


def block_of(data: bytes) -> Block:
    return packed(pa.py_buffer(data))


def of_each(store: Store, buckets: int) -> list[list[bytes]]:
    return [sorted(block.read() for block in store.take(bucket)) for bucket in range(buckets)]


@pytest.mark.parametrize("held", [1, 100, 1 << 20])
def test_a_store_gives_the_blocks_of_each_bucket_once(tmp_path, monkeypatch, held):
    monkeypatch.setattr(module, "STORE_BYTES", held)
    random = Random(held)
    expected = [[] for _ in range(5)]
    unpacked = Counter()
    with Store(tmp_path) as store, (tmp_path / "file").open("wb") as file:
        for _ in range(200):
            bucket = random.randrange(4)
            block = block_of(random.randbytes(random.randrange(1, 40)))
            expected[bucket].append(block.read())
            unpacked[bucket] += block.unpacked
            if random.random() < 0.5:
                extent = Extent(tmp_path / "file", file.tell(), len(block.data))
                file.write(block.data)
                file.flush()
                block = block._replace(data=random.choice([None, block.data]), extent=extent)
            store.add(bucket, block)
        assert store.unpacked == unpacked
        assert of_each(store, 5) == [sorted(blocks) for blocks in expected]
        assert of_each(store, 5) == [[]] * 5


def test_a_store_takes_blocks_while_it_gives_others(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STORE_BYTES", 3)
    blocks = [[block_of(b"%d%d" % (bucket, number)) for number in range(10)] for bucket in range(3)]
    given = []
    with Store(tmp_path) as store:
        for number in range(10):
            store.add(0, blocks[0][number])
            store.add(1, blocks[1][number])
        for number, block in enumerate(store.take(0)):
            given.append(block)
            store.add(2, blocks[2][number])
        assert given == blocks[0]
        assert [list(store.take(bucket)) for bucket in (1, 2)] == blocks[1:]


def test_a_block_in_a_file_is_known_by_its_header_and_read_when_it_is_needed(tmp_path):
    blocks = small_blocks()
    path = tmp_path / "blocks"
    path.write_bytes(b"".join(bytes_of(blocks)))
    begin = 0
    for block in blocks:
        found = Block.at(Extent(path, begin, len(block.data)))
        assert found == block._replace(data=None, extent=found.extent)
        assert found.read() == block.data
        begin += len(block.data)


def is_written(folder: Path, monkeypatch, held: int) -> bool:
    """Say whether a store has a file that is given ten blocks and may hold so many of them."""
    block = block_of(b"x")
    monkeypatch.setattr(module, "STORE_BYTES", held * len(block.data))
    with Store(folder) as store:
        for _ in range(10):
            store.add(0, block)
        return store._file._rolled


def test_a_store_writes_what_is_too_much_to_hold_and_leaves_no_file(tmp_path, monkeypatch):
    assert [is_written(tmp_path, monkeypatch, held) for held in (1, 4, 10)] == [True, True, False]
    with suppress(KeyError), Store(tmp_path) as store:
        store.add(0, block_of(b"x" * 100))
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["write", "flush"])
def test_a_store_on_a_full_disk_says_so(tmp_path, monkeypatch, step):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with Store(tmp_path) as store:
        monkeypatch.setattr(store._file, step, full)
        with pytest.raises(FullDisk, match=f"no space left in {tmp_path}"):
            store.add(0, block_of(b"x"))
