"""Pairs of a language whose strings have more than 2 GB together, which one Arrow array cannot hold, are chosen among.

Before workers chose among them in parts, 10.8 million entries of 200 bytes ended in a segmentation fault.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metadata.config import MetadataConfig
from metadata.stages.choosing import TASK_BYTES, Percentile, percentiles
from metadata.stages.ngrams import MUTUAL, NgramPlan, write_bigrams
from runtime.engine.local import Local
from runtime.storage.parquet import part_writer

pytestmark = pytest.mark.soak
ROWS, TASKS, BATCH = 10_800_000, 8, 10_000


def write_pairs(path: Path, begin: int) -> None:
    """Write every eighth pair, each with an entry of 200 bytes, from the one with that number on."""
    with part_writer(path, MUTUAL, BATCH) as writer:
        for rows in pairs(begin):
            writer.write(rows)


def pairs(begin: int) -> Iterator[pa.RecordBatch]:
    numbers = np.arange(begin, ROWS, TASKS)
    for some in np.array_split(numbers, len(numbers) // BATCH):
        entries = [f"{number:0100} {number:099}" for number in some.tolist()]
        counts, mutual = (some % 1000 + 1).astype(float), (some % 7).astype(float)
        columns = [pa.repeat("en", len(some)), entries, counts, mutual]
        yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=MUTUAL)


def test_the_best_of_pairs_whose_entries_have_more_than_two_gigabytes(tmp_path: Path):
    assert ROWS * 200 > 2**31
    (tmp_path / "en").mkdir()
    (tmp_path / "work/mutual").mkdir(parents=True)
    plan = NgramPlan(MetadataConfig(), tmp_path, tmp_path / "work", TASKS * TASK_BYTES)
    for number, file in enumerate(plan.files("mutual")):
        write_pairs(file.path, number)
    engine = Local(2)
    found = percentiles(engine, plan.files("mutual"), 30, tmp_path / "percentiles")
    assert found == {"en": Percentile(ROWS, 2.0)}
    write_bigrams(engine, found, {"en": 250_000}, plan)
    entries = pq.read_table(tmp_path / "en/bigrams.parquet")["entry"].to_pylist()
    assert len(entries) == 100_000
    best = [number for number in range(999, ROWS, 1000) if number % 7 == 6]
    assert entries[: len(best)] == [f"{number:0100} {number:099}" for number in best]
