"""Rows of images and tables meet by key, as naive twins say: pictures, verdicts and repeated texts."""

from collections import Counter, defaultdict
from random import Random

import numpy as np
import pyarrow as pa

from curation.image_ids import KEY_NAMES
from curation.joins import uid_join
from curation.joins.uid_join import Groups, _together
from curation.leaves.gate import copies
from curation.leaves.gate.copies import MARKS, equal_images
from curation.leaves.gate.limits import _COUNTS, repeated_in
from curation.leaves.gate.verdicts import Part, VerdictJoin, facts_schema, judged
from runtime.buckets import bucket_of
from runtime.placed_rows import Places
from runtime.tallies import Tallies

PLACES = Places.of([1000, 250, 0, 900])


def test_the_smallest_uid_stays_of_images_with_one_value(monkeypatch):
    monkeypatch.setattr(copies, "RUN_ROWS", 30)
    chance = Random(1)
    rows = [
        {"file": number % 3, "row": number, "uid": f"{chance.getrandbits(64):x}", "value": b"%d" % chance.randrange(60)}
        for number in range(100)
    ]
    groups = defaultdict(list)
    for row in rows:
        groups[row["value"]].append(row)
    expected = [
        {"file": row["file"], "row": row["row"], "copy_of": min(each["uid"] for each in group)}
        for group in groups.values()
        for row in group
        if len(group) > 1
    ]
    schema = pa.schema([*list(MARKS)[:2], pa.field("uid", pa.string()), pa.field("value", pa.binary())])
    batches = [pa.RecordBatch.from_pylist(each, schema) for each in (chance.sample(rows[:40], 40), rows[40:])]
    found = [row for some in equal_images(batches) for row in some.to_pylist()]
    assert sorted(found, key=lambda row: row["row"]) == sorted(expected, key=lambda row: row["row"])
    assert not [*equal_images([])]


def test_of_each_part_the_row_that_meets_most_counts_and_keys_may_share_a_half(monkeypatch):
    """Two parts: tables 0 and 1 with conditions 0 to 2, table 2 with condition 3, which an image of no table meets."""
    monkeypatch.setattr(uid_join, "BUCKET_BYTES", 500)
    chance = Random(2)
    keys = [(high, low) for high in (0, 1, -5) for low in range(20)]
    parts = [Part(0b011, 0b0111, 0b0100), Part(0b100, 0b1000, 0b1000)]
    rows, expected = [], []
    for number, key in enumerate(keys):
        own = dict(zip(KEY_NAMES, key, strict=True))
        met = 0
        for part in parts:
            tries = [chance.randrange(16) & part.conditions for _ in range(chance.randrange(3))]
            rows += [own | {"met": each, "found": part.tables} for each in tries]
            met |= max(tries, key=lambda each: (each.bit_count(), each), default=part.unmet)
        rows.append(own | {"file": number % 2, "row": number})
        expected.append(met)
    batch = pa.RecordBatch.from_pylist(chance.sample(rows, len(rows)), facts_schema(3))
    batch = _together(batch.slice(at, 9) for at in range(0, batch.num_rows, 9))
    tallies = Tallies()
    found = judged(batch, Groups.of(batch), VerdictJoin(None, parts, 3, False), tallies).sort_by("row")
    assert found["met"].to_pylist() == expected
    assert not tallies.beginning("status.")


def test_texts_that_more_images_have_come_to_the_files_that_have_them():
    chance = Random(3)
    counts = [{"hash": chance.randrange(50), "images": chance.randrange(1, 4), "file": file} for file in (0, 1, 1, 2)]
    counts = [each | {"hash": chance.randrange(50)} for each in counts for _ in range(50)]
    number = Counter()
    for each in counts:
        number[each["hash"]] += each["images"]
    expected = sorted({(each["file"], each["hash"]) for each in counts if number[each["hash"]] > 8})
    (found,) = (each.to_pylist() for each in repeated_in([pa.RecordBatch.from_pylist(counts, _COUNTS)], 8))
    assert sorted({(each["file"], each["hash"]) for each in found}) == expected
    assert 0 < len(expected) < len({(each["file"], each["hash"]) for each in counts})


def test_keys_of_places_are_in_the_order_of_files_and_rows():
    rows = pa.RecordBatch.from_pylist([{"file": file, "row": row} for file in range(4) for row in range(0, 1024, 7)])
    keys = PLACES.keys(rows)
    assert np.all(np.diff(keys.astype(object)) > 0)
    assert bucket_of(keys, PLACES.buckets).tolist() == rows["file"].to_pylist()
