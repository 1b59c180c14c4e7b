"""Rows of images and tables meet by key, as naive twins say: pictures, tables and repeated texts."""

from collections import Counter, defaultdict
from random import Random

import numpy as np
import pyarrow as pa

from curation.image_ids import KEY_NAMES
from curation.plugins.gate import copy_removal
from curation.plugins.gate.conditions import joined_tables
from curation.plugins.gate.conditions.joined_tables import JoinedTables
from curation.plugins.gate.conditions.sql import Conditions
from curation.plugins.gate.copy_removal import MARKS, equal_images
from curation.plugins.gate.image_limits import _COUNTS, repeated_in
from runtime.buckets import bucket_of
from runtime.cogroup import Places
from runtime.tallies import TaskResult

PLACES = Places.of([1000, 250, 0, 900])


def test_the_smallest_uid_stays_of_images_with_one_value(monkeypatch):
    monkeypatch.setattr(copy_removal, "RUN_ROWS", 30)
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


def test_of_each_table_one_row_counts_and_keys_may_share_a_half(monkeypatch):
    monkeypatch.setattr(joined_tables, "BUCKET_BYTES", 500)
    chance = Random(2)
    keys = [(high, low) for high in (0, 1, -5) for low in range(20)]
    rows, expected = [], []
    for number, key in enumerate(keys):
        own = dict(zip(KEY_NAMES, key, strict=True))
        tries = [
            (chance.choice(["success", "failed"]), chance.choice([None, 1, 2])) for _ in range(chance.randrange(9))
        ]
        rows += [own | {"table": 0, "status": status, "hash": n or 0, "column_0": n} for status, n in tries]
        rows += [own | {"table": 1, "sets": 1 << bit} for bit in range(number % 3)]
        rows.append(own | {"file": number % 2, "row": number})
        best = min(tries, key=lambda each: (each[0] != "success", each[1] is None, each[1]), default=(None, None))
        expected.append((best[1], (1 << number % 3) - 1, bool(tries)))
    join = JoinedTables((None,), False, Conditions(pa.schema({"n": pa.int64()}), ()), (("n",),), ((),))
    batch = pa.RecordBatch.from_pylist(chance.sample(rows, len(rows)), join.schema)
    tallies = TaskResult()
    (joined,) = join.joined(0, iter([(batch.slice(at, 9) for at in range(0, batch.num_rows, 9))]), tallies)
    joined = joined.sort_by("row")
    found = zip(*(joined[name].to_pylist() for name in ("column_0", "sets", "in_0")), strict=True)
    assert [*found] == expected
    assert tallies["found", 0] == sum(is_in for *_, is_in in expected)


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
    assert bucket_of(keys, 1 << PLACES.file_bits).tolist() == rows["file"].to_pylist()
