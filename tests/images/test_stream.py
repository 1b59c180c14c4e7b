"""Images of pairs that come key by key are those of all pairs at once, however the rows are cut."""

from random import Random

import pyarrow as pa
import pytest

from curation.dataframes.in_order import images_in_order
from curation.schemas import MATCHED
from runtime.tallies import Tallies
from tests.naive.images import naive_combine, naive_group
from tests.support.pair_rows import cut, pairs, random_pairs

LARGEST = 2**64 - 1


def by_key(rows: pa.RecordBatch, random: Random) -> pa.RecordBatch:
    """Return rows with more keys, of which one may have several images, in the order of keys as Spark sorts them."""
    keys = {uid: random.choice([*range(20), 2**63, LARGEST]) for uid in sorted(set(rows["uid"].to_pylist()))}
    signed = {key: key - 2**64 if key >= 2**63 else key for key in keys.values()}
    listed = [row | {"key": keys[row["uid"]]} for row in rows.to_pylist()]
    return pa.RecordBatch.from_pylist(sorted(listed, key=lambda row: signed[row["key"]]), rows.schema)


def images(batches: list[pa.RecordBatch], max_texts: int) -> list[dict]:
    found = [batch for batch in images_in_order(batches, max_texts)]
    assert all(batch.schema == MATCHED for batch in found)
    rows = [row for batch in found for row in batch.to_pylist()]
    assert len({row["uid"] for row in rows}) == len(rows)
    return sorted(rows, key=lambda row: row["uid"])


@pytest.mark.parametrize("max_texts", [1, 3, 64])
@pytest.mark.parametrize("parts", [1, 2, 9, 200])
@pytest.mark.parametrize("size", [1, 30, 500])
def test_they_equal_those_of_the_naive_twin(size, parts, max_texts):
    random = Random(size * parts)
    rows = by_key(random_pairs(random, size), random)
    expected, _ = naive_group(naive_combine(rows.to_pylist(), max_texts)[0])
    assert images(cut(rows, random, parts), max_texts) == sorted(expected, key=lambda row: row["uid"])


def test_no_rows_give_no_images():
    assert images([], 3) == images([pairs(), pairs()], 3) == []


def test_an_image_with_more_texts_than_a_batch_waits_combined(monkeypatch):
    combined = []
    monkeypatch.setattr("curation.dataframes.in_order.combine", lambda rows, most, tallies: spied(rows, most, combined))
    batches = [pairs(*({"uid": "a", "text": "x" * (n % 40 + 1)} for n in range(k, k + 25))) for k in range(0, 1000, 25)]
    (image,) = images(batches, 4)
    assert len(image["candidates"]) == 2  # of four texts those of an odd length
    assert max(combined) == 25 + 4


def spied(rows: pa.RecordBatch, most: int, sizes: list[int]) -> pa.RecordBatch:
    from curation.images.combine import combine

    sizes.append(rows.num_rows)
    return combine(rows, most, Tallies())
