"""Curated files hold the kept pairs in the order of draws, however matched images are cut into files and batches."""

from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.balancing import sampling as module
from curation.balancing.sampling import DRAWN, SECTIONS_PER_FILE, keys_of_draws, sampled
from curation.run.tasks import Sampling
from curation.schemas import CURATED, MATCHED
from runtime import buckets as packing
from runtime.buckets import Block, rows_of_block
from runtime.cogroup import Grouping
from runtime.draws import draws
from runtime.shipping import opened_itself
from runtime.storage.arrays import save_array
from runtime.tallies import TaskResult
from tests.naive.curated import naive_curated
from tests.naive.sampling import naive_expected_size
from tests.support.pair_rows import cut, shuffled

RATES = np.array([1.0, 0.5, 0.1, 0.02])
LETTERED = np.array([True, False, False, True])
TEXTS = ["a dog", "犬", "x" * 300, "é\u0301", "🐕"]


def images(number: int, seed: int = 0) -> pa.RecordBatch:
    """Return matched images with one to three texts of one or two entries."""
    random = Random(seed)
    rows = [{"uid": f"{random.getrandbits(128):032x}", "candidates": _candidates(random)} for _ in range(number)]
    of_all = {"url": "http://ü", "page_url": None}
    return pa.RecordBatch.from_pylist([{**of_all, **row} for row in rows], MATCHED)


def _candidates(random: Random) -> list[dict]:
    return [
        {
            "text": random.choice(TEXTS),
            "kind": "alt",
            "language": random.choice(["en", "ja"]),
            "lid_score": random.choice([None, 0.5, 0.25]),
            "entries": sorted(random.sample(range(4), random.randrange(1, 3))),
        }
        for _ in range(random.randrange(1, 4))
    ]


def sampling(folder: Path, files: int, row_group_rows: int = 50) -> Sampling:
    """Return the writing of curated files into a folder; the rates and the seed are those of `drawn`."""
    lettered = opened_itself(save_array(folder / "lettered.npy", LETTERED))
    return Sampling(lettered, lettered, 0, files, folder, row_group_rows)


def drawn(rows: pa.RecordBatch, files: int, tasks: int = 1, seed: int = 0) -> tuple[list[Block], TaskResult]:
    """Draw as so many tasks over batches of any size do; return their blocks and tallies."""
    blocks, tallies, random = [], TaskResult(), Random(tasks)
    grouping = Grouping(DRAWN, keys_of_draws, lambda *_: None, files * SECTIONS_PER_FILE, files)
    for part in cut(rows, random, tasks):
        own = TaskResult()
        blocks += grouping.packed(sampled(batch, RATES, seed, own) for batch in cut(part, random, 3))
        tallies += own
    return blocks, tallies


def curated(folder: Path, blocks: list[Block], files: int, row_group_rows: int = 50) -> list[list[dict]]:
    return [pq.read_table(written(folder, blocks, files, at, row_group_rows)).to_pylist() for at in range(files)]


def written(folder: Path, blocks: list[Block], files: int, file: int, row_group_rows: int = 50) -> Path:
    write(folder, blocks, files, file, row_group_rows)
    return folder / f"{file:05}.parquet"


def write(folder: Path, blocks: list[Block], files: int, file: int, row_group_rows: int = 50) -> TaskResult:
    """Write a curated file of these blocks; return the tallies."""
    tallies = TaskResult()
    assert [*sampling(folder, files, row_group_rows).grouping.run(file, sent(blocks, files, file), tallies)] == []
    return tallies


def sent(blocks: list[Block], files: int, file: int) -> list[Block]:
    """Return the blocks for one file as a task receives them."""
    return [Block.of(pa.py_buffer(block.read())) for block in blocks if block.scaled(files) == file]


@pytest.mark.parametrize("files", [1, 2, 3, 7])
@pytest.mark.parametrize("seed", [0, 5])
def test_files_are_those_of_the_definition(tmp_path, files, seed):
    rows = images(400)
    blocks, _ = drawn(rows, files, tasks=3, seed=seed)
    assert curated(tmp_path, blocks, files) == naive_curated(rows.to_pylist(), RATES.tolist(), seed, files)


@pytest.mark.parametrize("tasks", [2, 9])
def test_bytes_are_the_same_however_images_lie_in_files_and_in_which_order_blocks_come(tmp_path, tasks):
    rows = images(300)
    blocks, _ = drawn(rows, 2)
    expected = [written(tmp_path, blocks, 2, file).read_bytes() for file in range(2)]
    blocks, _ = drawn(shuffled(rows, Random(tasks)), 2, tasks)
    for order in (blocks, blocks[::-1], Random(tasks).sample(blocks, len(blocks))):
        assert [written(tmp_path, order, 2, file).read_bytes() for file in range(2)] == expected


def test_short_runs_and_small_blocks_that_do_not_stay_in_memory_change_nothing(tmp_path, monkeypatch):
    rows = images(300)
    few, tallies = drawn(rows, 2)
    expected = curated(tmp_path, few, 2)
    monkeypatch.setattr(packing, "MIN_BLOCK_ROWS", 1)
    monkeypatch.setattr(packing, "STORE_BYTES", 1000)
    blocks, of_blocks = drawn(rows, 2, tasks=2)
    assert len(blocks) > 2 * len(few)
    assert curated(tmp_path, blocks, 2) == expected
    assert [row["name"] for row in of_blocks.rows()] == [row["name"] for row in tallies.rows()]


@pytest.mark.parametrize("some", [[0.5], [0.0, 0.25, 1 - 2**-53], [i / 16 for i in range(16)]])
def test_of_equal_draws_the_smaller_uid_is_first(tmp_path, monkeypatch, some):
    rows = images(200)
    order_of = {uid: some[int(uid, 16) % len(some)] for uid in rows["uid"].to_pylist()}

    def drawn_alike(seed, purpose, uids):
        if purpose != "order":
            return draws(seed, purpose, uids)
        return np.array([order_of[uid] for uid in uids.to_pylist()])

    monkeypatch.setattr(module, "draws", drawn_alike)
    blocks, tallies = drawn(shuffled(rows, Random(1)), 2, tasks=3)
    found = [[row["uid"] for row in file] for file in curated(tmp_path, blocks, 2)]
    kept = sorted(found[0] + found[1], key=lambda uid: (order_of[uid], uid))
    assert found == [[uid for uid in kept if int(order_of[uid] * 2) == file] for file in range(2)]
    assert len(kept) == tallies["kept"] > 50


@pytest.mark.parametrize("files", [1, 3, 8])
def test_a_pair_lies_in_the_section_of_its_draw(files):
    blocks, tallies = drawn(images(300), files, tasks=2)
    rows = 0
    for block in blocks:
        draws = rows_of_block(block.data, DRAWN)["draw"].to_numpy()
        assert block.buckets == files * SECTIONS_PER_FILE
        assert (np.floor(draws * files) == block.bucket // SECTIONS_PER_FILE).all()
        assert (np.floor(draws * files * SECTIONS_PER_FILE) == block.bucket).all()
        rows += len(draws)
    assert rows == tallies["kept"]


def test_draws_at_the_bounds_of_files_lie_in_a_section_of_the_right_file():
    for files in (1, 2, 3, 5, 6, 7, 49, 129, 1000, 1025, 4097):
        bounds = np.arange(files + 1) / files
        values = np.unique(np.concatenate([bounds, np.nextafter(bounds, 0), np.nextafter(bounds, 1), [1 - 2**-53]]))
        values = values[(values >= 0) & (values < 1)]
        values = values[values * 2.0**53 % 1 == 0]  # as draws are
        rows = {name: pa.nulls(len(values), DRAWN.field(name).type) for name in CURATED.names}
        keys = keys_of_draws(pa.RecordBatch.from_pydict({**rows, "draw": values}, DRAWN))
        sections = packing.bucket_of(keys, files * SECTIONS_PER_FILE)
        assert (sections // SECTIONS_PER_FILE == (values * files).astype(int)).all()
        assert len(sections) > files


def test_tallies_say_what_was_expected_and_what_was_kept(tmp_path):
    rows = images(300)
    blocks, tallies = drawn(rows, 2, tasks=4)
    expected = [naive_expected_size(image, RATES.tolist()) for image in rows.to_pylist()]
    found = [row for file in curated(tmp_path, blocks, 2) for row in file]
    assert (tallies["images"], tallies["kept"]) == (300, len(found))
    assert tallies["expected_images"] == pytest.approx(sum(expected))
    assert tallies["variance"] == pytest.approx(sum(p * (1 - p) for p in expected))
    languages = [row["language"] for row in found]
    assert tallies.by_language("kept") == {code: languages.count(code) for code in ("en", "ja")}
    assert sum(tallies.by_language("expected").values()) == pytest.approx(sum(expected))
    texts = [text for image in rows.to_pylist() for text in image["candidates"]]
    assert tallies["texts"] == len(texts)
    assert tallies["matches"] == sum(len(text["entries"]) for text in texts)


def test_what_was_written_is_counted_and_has_the_schema_and_the_row_groups(tmp_path):
    blocks, tallies = drawn(images(300), 1)
    path = tmp_path / "00000.parquet"
    assert write(tmp_path, blocks, 1, 0)["written"] == tallies["kept"]
    groups = pq.ParquetFile(path).metadata
    assert pq.read_schema(path).equals(CURATED)
    sizes = [groups.row_group(number).num_rows for number in range(groups.num_row_groups)]
    assert set(sizes[:-1]) == {50}
    assert sum(sizes) == tallies["kept"]


def test_kept_rows_of_low_scores_and_without_letters_are_counted_by_language(tmp_path):
    blocks, _ = drawn(images(400), 2)
    rows, tallies = [row for file in curated(tmp_path, blocks, 2) for row in file], TaskResult()
    for file in range(2):
        tallies += write(tmp_path, blocks, 2, file)
    for code in ("en", "ja"):
        own = [row for row in rows if row["language"] == code]
        doubtful = [row for row in own if row["lid_score"] == 0.25]
        unproven = [row for row in own if not any(LETTERED[id] for id in row["entries"])]
        assert tallies.by_language("kept_doubtful")[code] == len(doubtful) > 0
        assert tallies.by_language("kept_without_letters")[code] == len(unproven) > 0


def test_no_images_give_no_block_and_an_empty_curated_file(tmp_path):
    for rows in (images(0), images(3).slice(1, 0)):
        blocks, tallies = drawn(rows, 1)
        assert blocks == []
        assert (tallies["images"], tallies["kept"]) == (0, 0)
    assert curated(tmp_path, [], 1) == [[]]
    assert pq.read_schema(tmp_path / "00000.parquet").equals(CURATED)


def test_a_damaged_block_of_drawn_pairs_is_refused_and_nothing_is_written(tmp_path):
    (block, *others), _ = drawn(images(100), 1)
    data = bytearray(block.data)
    data[-1] ^= 1
    with pytest.raises(ValueError, match="a checksum differs"):
        curated(tmp_path, [block._replace(data=bytes(data)), *others], 1)
    assert [path.name for path in tmp_path.iterdir()] == ["lettered.npy"]


def test_the_number_of_kept_images_varies_by_nothing_where_every_text_is_kept():
    texts = [{"text": "x", "kind": "alt", "language": "en", "lid_score": None, "entries": [0]}]
    rows = [{"uid": f"{n}", "url": "http://ü", "page_url": None, "candidates": texts * n} for n in range(1, 60)]
    tallies = TaskResult()
    sampled(pa.RecordBatch.from_pylist(rows, MATCHED), np.ones(1), 0, tallies)
    assert tallies["kept"] == tallies["images"] == 59
    assert 0 <= tallies["variance"] < 1e-12
