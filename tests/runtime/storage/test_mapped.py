"""Batches are joined in files, and equal what memory would hold of them."""

import numpy as np
import pyarrow as pa
import pytest

from runtime.storage.arrays import mapped_batch

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.large_string()), ("score", pa.float64())])
TEXTS = ["", "a dog", "犬", "", "a much longer text"]


def rows(number: int) -> pa.RecordBatch:
    texts = [TEXTS[row % len(TEXTS)] for row in range(number)]
    return pa.RecordBatch.from_arrays(
        [np.arange(number), pa.array(texts, pa.large_string()), np.ones(number)], schema=SCHEMA
    )


@pytest.mark.parametrize(
    "batches",
    [[], [rows(0)], [rows(1)], [rows(7), rows(0), rows(3)], [rows(9).slice(2, 5), rows(5).slice(3), rows(4).slice(4)]],
)
def test_batches_are_joined_to_one(batches, tmp_path):
    found = mapped_batch(iter(batches), SCHEMA, tmp_path)
    found.validate(full=True)
    assert found.to_pylist() == [row for batch in batches for row in batch.to_pylist()]
