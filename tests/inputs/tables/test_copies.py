"""Copies of a table's partitions are named by what they hold, and hold the bytes that the table has."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.run import catalog
from runtime.storage.paths import files, read_bytes

SCHEMA = pa.schema([("img.src", pa.binary()), ("alt", pa.binary())])


def batches(texts):
    urls = [f"https://example.org/{number}" for number in range(len(texts))]
    rows = pa.record_batch([pa.array(urls), pa.array(texts)], ["c0", "c1"])
    return [rows.slice(0, 1), rows.slice(1, 0), rows.slice(1)]


def copied(texts, folder):
    found = [row for batch in catalog._copy(batches(texts), SCHEMA, folder) for row in batch.to_pylist()]
    assert all(len(read_bytes(folder / row["name"])) == row["size"] for row in found)
    return [row["name"] for row in found]


def test_the_same_rows_have_the_same_name_and_others_another(folder):
    first, again = copied(["a", None, "犬"], folder), copied(["a", None, "犬"], folder)
    (other,) = copied(["a", "", "犬"], folder)
    assert first == again != [other]
    assert [path.name for path in files(folder)] == sorted([*first, other])


def test_rows_are_the_bytes_of_the_table(tmp_path):
    bad = pa.array([b"\xff\xfe", None, "犬".encode()], pa.binary())
    kinds = {"string": bad.view(pa.string()), "binary": bad, "large": bad.cast(pa.large_binary())}
    for kind, texts in kinds.items():
        (tmp_path / kind).mkdir()
        (name,) = copied(texts, tmp_path / kind)
        table = pq.read_table(tmp_path / kind / name)
        assert table.schema.equals(SCHEMA)
        assert table["alt"].to_pylist() == [b"\xff\xfe", None, "犬".encode()]


@pytest.mark.parametrize("values", [np.arange(2), np.array([True, False]), [1.5, None]])
def test_other_types_are_the_strings_that_a_file_gives(tmp_path, values):
    (name,) = copied(pa.array(values), tmp_path)
    expected = [None if value is None else value.encode() for value in pa.array(values).cast(pa.string()).to_pylist()]
    assert pq.read_table(tmp_path / name)["alt"].to_pylist() == expected


def test_a_partition_without_rows_has_no_file(tmp_path):
    assert copied([], tmp_path) == []
    assert list(tmp_path.iterdir()) == []
