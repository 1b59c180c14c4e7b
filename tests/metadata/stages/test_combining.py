"""Rows of equal keys are combined wherever they are, however few are held."""

from collections import Counter
from random import Random

import pyarrow as pa
import pytest

from metadata.stages import choosing
from metadata.stages.choosing import BUCKET_BYTES, LANGUAGE, by_string, combined
from runtime.tallies import TaskResult

ROWS = pa.schema([LANGUAGE, ("word", pa.string()), ("count", pa.int64()), ("article", pa.bool_())])


@pytest.mark.parametrize("held", [1, 1 << 20])
def test_rows_of_a_key_meet_in_one_bucket_and_are_combined(held, monkeypatch):
    monkeypatch.setattr(choosing, "HELD_BYTES", held)
    chance = Random(0)
    rows = [(chance.randrange(3), chance.choice(["the", "猫", ""]), chance.randrange(9), False) for _ in range(500)]
    batches = [pa.RecordBatch.from_arrays([*zip(*rows[i::50], strict=True)], schema=ROWS) for i in range(50)]
    grouping, sums, seen = by_string(ROWS, "word", 8 * BUCKET_BYTES, _combined), Counter(), 0
    for language, word, count, _ in rows:
        sums[language, word] += count
    for batch in grouping.run(0, grouping.packed(batches), TaskResult()):
        for row in batch.to_pylist():
            assert sums[row["language"], row["word"]] == row["count"]
            seen += 1
    assert seen == len(sums)


def _combined(_, rows_by_bucket, tallies):
    return (combined(bucket, {"count": "sum", "article": "max"}) for bucket in rows_by_bucket)
