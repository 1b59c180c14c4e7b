"""Candidates become matched images as the definition says, however candidates and blocks of pairs are cut."""

from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.images import grouping as module
from curation.images.combining import OVER_LIMIT
from curation.images.grouping import DUPLICATE, ImageGrouping, key_of, keyed, pack_pairs, runs, write_unique
from curation.schemas import CANDIDATES, KEYED, MATCHED, PAIRS, SIGNALS
from runtime import buckets as packing
from runtime.buckets import Block, bucket_of, in_buckets, rows_of_block
from runtime.storage.checksums import checksum_of
from runtime.tallies import TaskResult
from tests.naive.images import naive_combine, naive_group
from tests.naive.row_ids import naive_hash, naive_uid
from tests.support.pair_rows import candidates, cut, matching, pairs, random_candidates, shuffled, stated_sizes

pytestmark = pytest.mark.kernels

NOTHING = candidates()
POWERS = st.integers(0, 13).map(lambda exponent: 1 << exponent)
KEYS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 64).map(lambda i: (1 << i) - 1), max_size=30)


def packed(
    rows: pa.RecordBatch, buckets: int = 8, max_texts: int = 64, parts: int = 3
) -> tuple[list[Block], TaskResult]:
    """Return the blocks of pairs that a task makes of candidates, and its tallies."""
    tallies = TaskResult()
    return list(pack_pairs(cut(rows, Random(1), parts), matching(), max_texts, buckets, tallies)), tallies


def written(
    folder: Path, blocks: list[Block], number: int = 1, max_texts: int = 64, partitions: int = 1
) -> tuple[list[dict], TaskResult]:
    """Return the matched images of all blocks, that tasks of a share of `number` buckets each write, and tallies."""
    tallies, images = TaskResult(), []
    for at in range(partitions):
        received = [
            Block.of(pa.py_buffer(each.read()))
            for each in in_buckets(blocks, partitions, PAIRS, key_of)
            if each.scaled(partitions) == at
        ]
        buckets = packing.by_bucket(received, number, PAIRS, key_of)
        ImageGrouping(max_texts, folder).write(at, buckets, tallies)
        images += pq.read_table(folder / f"{at:05d}.parquet").to_pylist()
    return images, tallies


def naive_images(rows: pa.RecordBatch, max_texts: int = 64) -> tuple[list[dict], dict]:
    """Return the same from the definition, for candidates without tallies."""
    combined, over = naive_combine(matching().match(keyed(rows)).to_pylist(), max_texts)
    images, tallies = naive_group(combined)
    said = Counter(name for row in rows.to_pylist() for name, bit in SIGNALS.items() if (row["signals"] or 0) & bit)
    counted = {("signal", name, None): number for name, number in said.items()}
    return images, {
        **tallies,
        **counted,
        ("dropped", OVER_LIMIT, None): over,
        ("matched_images", None, None): len(images),
    }


def sums(tallies: TaskResult, without: str = "rows") -> dict:
    rows = (row for row in tallies.rows() if row["name"] != without and row["value"])
    return {(row["name"], row["item"], row["language"]): row["value"] for row in rows}


def test_an_image_is_known_by_the_md5_of_its_url_or_the_input_s_own_uid():
    batch = candidates({"url": "http://ü/犬", "text": "dog"}, {"url": "http://x", "text": "dog", "uid": "自"})
    assert keyed(batch)["uid"].to_pylist() == [naive_uid("http://ü/犬"), "自"]


def test_keys_and_hashes_are_those_of_uid_and_of_uid_and_text_in_a_slice_too():
    batch = random_candidates(Random(1), 50)
    for row in keyed(batch.slice(7)).to_pylist():
        assert row["key"] == naive_hash(row["uid"]) % 2**64
        assert row["hash"] == naive_hash(row["uid"], row["text"])
    assert keyed(batch.slice(7)).equals(keyed(batch).slice(7))


def test_what_the_input_states_stays_and_each_row_is_one_copy():
    batch = random_candidates(Random(2), 50)
    rows = keyed(batch)
    assert all(rows[name].equals(batch[name]) for name in ("url", "text", "kind", "page_url"))
    assert rows["given"].equals(batch["language"])
    assert rows["copies"].to_pylist() == [1] * 50
    assert keyed(NOTHING).equals(pa.RecordBatch.from_pylist([], KEYED))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("partitions", "number", "fewest"),
    [(1, 1, 0), (1, 8, 0), (4, 4, 1 << 20), (4, 64, 3000), pytest.param(64, 64, 0, marks=pytest.mark.soak)],
)
@pytest.mark.parametrize("buckets", [1, 4, 16, 256])
@pytest.mark.parametrize("max_texts", [2, 64])
def test_images_are_those_of_the_definition_however_candidates_are_packed_and_dealt_out(
    tmp_path, monkeypatch, partitions, number, fewest, buckets, max_texts
):
    monkeypatch.setattr(packing, "MIN_BUCKET_BYTES", fewest)
    rows = shuffled(random_candidates(Random(number), 500), Random(0))
    blocks, tallies = [], TaskResult()
    for task, part in enumerate(cut(rows, Random(2), 4)):
        own, more = packed(part, buckets << task % 2, max_texts)
        blocks, tallies = blocks + own, tallies + more
    expected, expected_tallies = naive_images(rows, max_texts)
    stated = Counter(
        {1 << 14: "cc-by", 3 << 14: "several"}.get(signals, "none") for signals in rows["signals"].to_pylist()
    )
    expected_tallies |= {("license", name, None): pairs for name, pairs in stated.items()}
    for order in (blocks, blocks[::-1], Random(buckets).sample(blocks, len(blocks))):
        found, more = written(tmp_path, order, number, max_texts, partitions)
        assert more.files == {path.name: checksum_of(path) for path in tmp_path.iterdir()}
        assert found == expected
        assert sums(tallies + more) == {name: value for name, value in expected_tallies.items() if value}


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 2_000, 20_000])
@pytest.mark.parametrize("images", [1, 8, 200])
def test_buckets_of_too_many_bytes_are_dealt_out_and_give_the_same_images(tmp_path, monkeypatch, images, most):
    blocks, _ = packed(random_candidates(Random(images), 600, images=images))
    expected, tallies = written(tmp_path, blocks, number=2)
    largest = watched(monkeypatch, "group_images")
    monkeypatch.setattr(packing, "BUCKET_BYTES", most)
    monkeypatch.setattr(packing, "MIN_BUCKET_BYTES", min(most, packing.MIN_BUCKET_BYTES))
    found, again = written(tmp_path, blocks, number=2)
    assert found == expected
    assert sums(again) == sums(tallies)
    assert images < 200 or max(largest) < 10 + most / 30


def watched(monkeypatch, name: str) -> list[int]:
    """Return a list of the rows that each call of a function gets from now on."""
    rows, function = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda batch, *more: rows.append(batch.num_rows) or function(batch, *more))
    return rows


@pytest.mark.parametrize("held", [0, 1 << 30])
def test_short_runs_many_blocks_and_combining_on_the_way_change_nothing(tmp_path, monkeypatch, held):
    rows = random_candidates(Random(3), 600, images=8)
    blocks, tallies = packed(rows, max_texts=3)
    expected, more = written(tmp_path, blocks, max_texts=3)
    monkeypatch.setattr(module, "RUN_ROWS", 5)
    monkeypatch.setattr(packing, "MIN_BLOCK_ROWS", 1)
    monkeypatch.setattr(packing, "STORE_BYTES", held)
    short, of_short = packed(rows, max_texts=3, parts=90)
    assert len(short) > 10 * len(blocks)
    found, more_of_short = written(tmp_path, short, number=16, max_texts=3, partitions=2)
    assert found == expected
    assert sums(of_short + more_of_short) == sums(tallies + more)


def test_runs_are_of_whole_batches_until_they_have_rows_or_bytes_enough(monkeypatch):
    monkeypatch.setattr(module, "RUN_ROWS", 10)
    rows = pairs(*({"uid": "a", "text": str(number)} for number in range(20)))
    batches = [rows.slice(0, 4), rows.slice(4, 7), rows.slice(11, 1), rows.slice(12, 0), rows.slice(12, 8)]
    assert [run["text"].to_pylist() for run in runs(batches)] == [
        [str(number) for number in range(11)],
        [str(number) for number in range(11, 20)],
    ]
    monkeypatch.setattr(module, "RUN_BYTES", 1)
    assert [run.num_rows for run in runs(batches) if run.num_rows] == [4, 7, 1, 8]


def test_memory_holds_little_more_than_what_stays_of_an_image_that_is_everywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RUN_ROWS", 10)
    monkeypatch.setattr(packing, "MIN_BLOCK_ROWS", 1)
    rows = [{"url": "http://logo", "text": f"dog {number}"} for number in range(1000)]
    blocks, _ = packed(candidates(*rows), max_texts=5, parts=200)
    first = rows_of_block(blocks[0].data, PAIRS)
    monkeypatch.setattr(module, "BUCKET_BYTES", 40 * first.nbytes // first.num_rows)
    sizes = watched(monkeypatch, "combine")
    images, tallies = written(tmp_path, blocks, max_texts=5)
    assert len(images[0]["candidates"]) == 5
    assert max(sizes) <= 60
    assert len(sizes) > 5


def test_an_input_without_pairs_gives_no_block():
    blocks, tallies = packed(NOTHING)
    assert (blocks, sums(tallies)) == ([], {})


@pytest.mark.parametrize("number", [1, 8])
def test_no_blocks_give_a_file_without_images(tmp_path, number):
    assert written(tmp_path, [], number)[0] == []
    assert pq.read_schema(tmp_path / "00000.parquet").equals(MATCHED)


@pytest.mark.parametrize("buckets", [1, 8])
def test_a_damaged_block_of_pairs_is_refused_and_no_images_are_written(tmp_path, buckets):
    (block, *others), _ = packed(random_candidates(Random(4), 100), buckets)
    data = bytearray(block.data)
    data[-1] ^= 1
    with pytest.raises(ValueError, match="a checksum differs"):
        written(tmp_path, [block._replace(data=bytes(data)), *others], number=8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wanted", [1, 2, 8, 64])
@pytest.mark.parametrize("buckets", [1, 4, 16])
def test_blocks_of_fewer_buckets_are_split_and_those_of_more_are_left_as_they_are(monkeypatch, buckets, wanted):
    monkeypatch.setattr(packing, "MIN_BLOCK_ROWS", 5)
    blocks, _ = packed(random_candidates(Random(8), 300, images=200), buckets)
    found = list(in_buckets(blocks, wanted, PAIRS, key_of))
    if buckets >= wanted:
        assert found == blocks
    assert {block.buckets for block in found} == {max(buckets, wanted)}
    rows = [(block, row) for block in found for row in rows_of_block(block.data, PAIRS).to_pylist()]
    assert all(block.bucket == row["key"] * block.buckets >> 64 for block, row in rows)
    before = [row for block in blocks for row in rows_of_block(block.data, PAIRS).to_pylist()]
    assert sorted(map(str, before)) == sorted(str(row) for _, row in rows)


def test_rows_that_state_each_image_once_give_the_same_images_without_being_grouped(tmp_path):
    random = Random(5)
    texts = ["a photo", "犬", "dog", "zzz", "é Hund"]
    rows = candidates(
        *(
            {
                "url": f"http://ü/{number}",
                "text": random.choice(texts),
                "page_url": random.choice([None, "http://p"]),
                "signals": random.choice([None, 0, 3]),
                **stated_sizes(random),
            }
            for number in range(300)
        ),
    )
    write_unique(cut(rows, random, 5), matching(), tmp_path / "unique.parquet", tallies := TaskResult())
    blocks, of_blocks = packed(rows)
    images, of_images = written(tmp_path, blocks)
    unique = pq.read_table(tmp_path / "unique.parquet")
    assert unique.schema.equals(MATCHED)
    assert sorted(unique.to_pylist(), key=lambda row: row["uid"]) == sorted(images, key=lambda row: row["uid"])
    assert sums(tallies) == sums(of_blocks + of_images)
    assert (tallies["matched_images"], tallies["dropped", DUPLICATE]) == (len(images), 0)


def test_pairs_are_counted_by_signal_before_texts_come_together(tmp_path):
    row = {"url": "http://x", "text": "dog"}
    rows = candidates({**row, "signals": 3}, {**row, "signals": 2}, {**row, "signals": 0}, row)
    write_unique([rows], matching(), tmp_path / "unique.parquet", unique := TaskResult())
    for tallies in (packed(rows)[1], unique):
        assert tallies.by_item("signal") == {"noimageai": 2, "noai": 1}


def test_unique_rows_without_any_match_give_a_file_without_images(tmp_path):
    for rows in (NOTHING, candidates({"url": "http://x", "text": "zzz"})):
        write_unique([rows], matching(), tmp_path / "unique.parquet", tallies := TaskResult())
        assert (pq.read_table(tmp_path / "unique.parquet").num_rows, tallies["matched_images"]) == (0, 0)


@given(KEYS, POWERS)
def test_a_bucket_is_the_share_of_all_keys_below_a_key(keys, buckets):
    found = bucket_of(np.array(keys, np.uint64), buckets)
    assert found.tolist() == [key * buckets >> 64 for key in keys]


@given(KEYS, POWERS, POWERS)
def test_a_bucket_of_many_lies_in_the_bucket_of_few_that_has_its_keys(keys, some, others):
    few, many = sorted([some, others])
    buckets = bucket_of(np.array(keys, np.uint64), many).tolist()
    found = [Block(bucket, many, 0, b"").scaled(few) for bucket in buckets]
    assert found == bucket_of(np.array(keys, np.uint64), few).tolist()


def test_what_is_read_again_and_again_is_counted_as_copies_and_changes_no_image(tmp_path):
    blocks, _ = packed(random_candidates(Random(6), 100))
    images, tallies = written(tmp_path, blocks)
    twice, of_twice = written(tmp_path, blocks + blocks)
    assert twice == [row | {"shown": 2 * row["shown"]} for row in images]
    assert of_twice["dropped", DUPLICATE] == tallies["dropped", DUPLICATE] + 100


def test_columns_of_candidates_may_come_in_any_order():
    rows = random_candidates(Random(7), 50)
    other = rows.select(CANDIDATES.names[::-1])
    assert packed(other)[0] == packed(rows)[0] != []
