"""Candidates become matched images as the definition says, however candidates and files of pairs are cut."""

from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.images import tasks as module
from curation.images.combine import DUPLICATE, OVER_LIMIT
from curation.images.tasks import (
    KeyRange,
    bucket_of,
    keyed,
    runs,
    without_tallies,
    write_images,
    write_pairs,
    write_unique,
)
from curation.schemas import CANDIDATES, KEYED, MATCHED
from metadata import InputError
from runtime import exchange
from runtime.exchange import BucketWriter
from runtime.tallies import Tallies
from tests.naive.images import naive_combine, naive_group
from tests.naive.row_ids import naive_hash, naive_uid
from tests.support.pair_rows import candidates, cut, matching, pairs, random_candidates, shuffled

NOTHING = candidates()
POWERS = st.integers(0, 13).map(lambda exponent: 1 << exponent)
KEYS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 64).map(lambda i: (1 << i) - 1), max_size=30)


def file_of(
    folder: Path, rows: pa.RecordBatch, buckets: int = 8, max_texts: int = 64, name: str = "task", parts: int = 3
):
    """Write files of pairs as a task does; return them with their number of buckets, and the tallies."""
    writer = BucketWriter(folder, name, buckets)
    tallies = write_pairs(cut(rows, Random(1), parts), matching(), max_texts, writer, buckets)
    return [(folder / each, buckets) for each in writer.finish()], tallies


def images_of(folder: Path, files, of: int = 1, max_texts: int = 64) -> tuple[list[dict], Tallies]:
    """Return the matched images of all keys, which `of` tasks of one range write, and their tallies."""
    tallies, images = Tallies(), []
    for bucket in range(of):
        tallies += write_images(files, [KeyRange(bucket, bucket + 1, of)], max_texts, folder / f"{bucket}.parquet")
        images += pq.read_table(folder / f"{bucket}.parquet").to_pylist()
    return images, tallies


def naive_images(rows: pa.RecordBatch, max_texts: int = 64) -> tuple[list[dict], dict]:
    """Return the same from the definition, for candidates without tallies."""
    combined, over = naive_combine(matching().match(keyed(rows)).to_pylist(), max_texts)
    images, tallies = naive_group(combined)
    return images, {**tallies, (OVER_LIMIT, None): over, ("matched", None): len(images)}


def sums(tallies: Tallies, without: str = "rows") -> dict:
    rows = [row for row in tallies.rows() if row["name"] != without]
    return {(row["name"], row["language"]): row["value"] for row in rows if row["value"]}


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


@pytest.mark.parametrize("of", [1, 4, 64])
@pytest.mark.parametrize("buckets", [1, 16])
@pytest.mark.parametrize("max_texts", [2, 64])
def test_images_are_those_of_the_definition_from_one_file_or_from_many(tmp_path, buckets, of, max_texts):
    rows = shuffled(random_candidates(Random(of), 500), Random(0))
    files, tallies = [], Tallies()
    for number, part in enumerate(cut(rows, Random(2), 4)):
        own, more = file_of(tmp_path, part, buckets << number % 2, max_texts, name=f"task{number}")
        files, tallies = files + own, tallies + more
    found, more = images_of(tmp_path, files, of, max_texts)
    expected, expected_tallies = naive_images(rows, max_texts)
    assert found == expected
    assert sums(tallies + more) == {name: value for name, value in expected_tallies.items() if value}


def test_short_runs_many_files_and_combining_on_the_way_change_nothing(tmp_path, monkeypatch):
    rows = random_candidates(Random(3), 600, images=8)
    files, tallies = file_of(tmp_path, rows, max_texts=3, name="long")
    expected, more = images_of(tmp_path, files, max_texts=3)
    monkeypatch.setattr(module, "RUN_ROWS", 5)
    monkeypatch.setattr(exchange, "FEWEST_ROWS", 1)
    monkeypatch.setattr(exchange, "HELD_BYTES", 2000)
    short, of_short = file_of(tmp_path, rows, max_texts=3, name="short", parts=90)
    assert len(short) > 10
    found, more_of_short = images_of(tmp_path, short, of=2, max_texts=3)
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
    monkeypatch.setattr(exchange, "FEWEST_ROWS", 1)
    rows = [{"url": "http://logo", "text": f"dog {number}"} for number in range(1000)]
    files, _ = file_of(tmp_path, candidates(*rows), max_texts=5, parts=200)
    sizes, combine = [], module.combine

    def watched(rows, max_texts, tallies):
        sizes.append(rows.num_rows)
        return combine(rows, max_texts, tallies)

    monkeypatch.setattr(module, "combine", watched)
    images, tallies = images_of(tmp_path, files, max_texts=5)
    assert len(images[0]["candidates"]) == 5
    assert max(sizes) <= 4 * 10 + 5
    assert len(sizes) > 5


def test_tallies_of_the_input_are_added_and_give_no_pair(tmp_path):
    tally = {"url": None, "text": "dropped.empty_text", "tally": 7, "kind": None}
    rows = candidates(tally, {"url": "http://x", "text": "dog"}, tally, {**tally, "text": "files", "tally": 1})
    files, tallies = file_of(tmp_path, rows)
    assert (tallies["dropped.empty_text"], tallies["files"], tallies["rows"]) == (14, 1, 1)
    assert [row["url"] for row in images_of(tmp_path, files)[0]] == ["http://x"]
    assert [each.num_rows for each in without_tallies([rows.slice(2, 1), rows.slice(1, 3), NOTHING], Tallies())] == [1]


def test_an_input_without_pairs_gives_no_file_and_its_tallies(tmp_path):
    files, tallies = file_of(tmp_path, candidates({"url": None, "text": "files", "tally": 1, "kind": None}))
    assert (files, sums(tallies)) == ([], {("files", None): 1})


def test_no_files_give_a_file_without_images(tmp_path):
    assert images_of(tmp_path, [])[0] == []
    assert pq.read_schema(tmp_path / "0.parquet").equals(MATCHED)


def test_a_damaged_file_of_pairs_is_refused_and_no_images_are_written(tmp_path):
    files, _ = file_of(tmp_path, random_candidates(Random(4), 100))
    path = files[0][0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"task-0\.blocks is damaged"):
        images_of(tmp_path, files)
    assert not list(tmp_path.glob("*.parquet"))
    assert not list(tmp_path.glob(".*"))


def test_rows_that_state_each_image_once_give_the_same_images_without_being_grouped(tmp_path):
    random = Random(5)
    texts = ["a photo", "犬", "dog", "zzz", "é Hund"]
    rows = candidates(
        *(
            {"url": f"http://ü/{number}", "text": random.choice(texts), "page_url": random.choice([None, "http://p"])}
            for number in range(300)
        ),
        {"url": None, "text": "files", "tally": 2, "kind": None},
    )
    tallies = write_unique(cut(rows, random, 5), matching(), tmp_path / "unique.parquet")
    files, of_files = file_of(tmp_path, rows)
    images, of_images = images_of(tmp_path, files)
    unique = pq.read_table(tmp_path / "unique.parquet")
    assert unique.schema.equals(MATCHED)
    assert sorted(unique.to_pylist(), key=lambda row: row["uid"]) == sorted(images, key=lambda row: row["uid"])
    assert sums(tallies) == sums(of_files + of_images)
    assert (tallies["matched"], tallies["files"], tallies[DUPLICATE]) == (len(images), 2, 0)


def test_unique_rows_without_any_match_give_a_file_without_images(tmp_path):
    for rows in (NOTHING, candidates({"url": "http://x", "text": "zzz"})):
        tallies = write_unique([rows], matching(), tmp_path / "unique.parquet")
        assert (pq.read_table(tmp_path / "unique.parquet").num_rows, tallies["matched"]) == (0, 0)


@given(KEYS, POWERS)
def test_a_bucket_is_the_share_of_all_keys_below_a_key(keys, buckets):
    found = bucket_of(np.array(keys, np.uint64), buckets)
    assert found.tolist() == [key * buckets >> 64 for key in keys]


@given(KEYS, POWERS, POWERS, st.data())
def test_ranges_have_every_key_of_a_file_once_however_its_buckets_lie(keys, of, buckets, data):
    keys = sorted(keys)
    numbers = bucket_of(np.array(keys, np.uint64), buckets)
    bounds = sorted({0, of, *data.draw(st.lists(st.integers(0, of), max_size=4))})
    found = []
    for range_ in (KeyRange(first, stop, of) for first, stop in zip(bounds, bounds[1:], strict=False)):
        first, stop = range_.buckets(buckets)
        assert 0 <= first < stop <= buckets
        for number in np.unique(numbers[(numbers >= first) & (numbers < stop)]):
            own = [key for key, own in zip(keys, numbers, strict=True) if own == number]
            selected = range_.select(pa.record_batch({"key": pa.array(own, pa.uint64())}))["key"].to_pylist()
            assert all(range_.first <= key * of >> 64 < range_.stop for key in selected)
            found += selected
    assert sorted(found) == keys


@given(POWERS, POWERS, st.data())
def test_no_bucket_is_read_that_has_none_of_the_keys(of, buckets, data):
    first = data.draw(st.integers(0, of - 1))
    begin, end = KeyRange(first, first + 1, of).buckets(buckets)
    assert end - begin == max(1, buckets // of)


def test_a_slice_is_selected_from_as_its_own_rows():
    rows = pairs(*({"uid": "a", "text": str(i), "key": i << 61} for i in range(8)))
    assert KeyRange(1, 2, 4).select(rows.slice(3))["text"].to_pylist() == ["3"]
    assert KeyRange(0, 1, 4).select(rows.slice(3)).num_rows == 0
    assert KeyRange(0, 4, 4).select(rows.slice(8)).num_rows == 0


def test_what_is_read_again_and_again_is_counted_as_copies_and_changes_no_image(tmp_path):
    rows = random_candidates(Random(6), 100)
    once, _ = file_of(tmp_path, rows, name="once")
    again, _ = file_of(tmp_path, rows, name="again")
    images, tallies = images_of(tmp_path, once)
    twice, of_twice = images_of(tmp_path, once + again)
    assert twice == images
    assert of_twice[DUPLICATE] == tallies[DUPLICATE] + 100


def test_columns_of_candidates_may_come_in_any_order(tmp_path):
    rows = random_candidates(Random(7), 50)
    other = rows.select(CANDIDATES.names[::-1])
    expected = images_of(tmp_path, file_of(tmp_path, rows, name="a")[0])[0]
    assert images_of(tmp_path, file_of(tmp_path, other, name="b")[0])[0] == expected
