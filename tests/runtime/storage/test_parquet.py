"""Workers write Parquet files that are whole or absent, with the same bytes for the same rows."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metadata import InputError
from runtime.errors import AGAIN
from runtime.storage.own_files import own_files, part_files
from runtime.storage.parquet import head_rows, part_writer, require_rows

SCHEMA = pa.schema([("text", pa.string()), ("ids", pa.list_(pa.int32()))])


def table(rows: int) -> pa.Table:
    rng = np.random.default_rng(0)
    texts = [None if n % 7 == 0 else "häß 猫 " * int(rng.integers(20)) for n in range(rows)]
    return pa.table({"text": texts, "ids": [list(range(n % 4)) for n in range(rows)]}, SCHEMA)


def written(path, batches, row_group_rows=100) -> bytes:
    with part_writer(path, SCHEMA, row_group_rows) as writer:
        for batch in batches:
            writer.write(batch)
    return path.read_bytes()


@pytest.mark.parametrize("rows", [1, 3, 64, 100, 1000])
def test_the_same_rows_give_the_same_bytes_however_they_come(tmp_path, rows):
    whole = written(tmp_path / "a.parquet", table(1000).combine_chunks().to_batches())
    assert written(tmp_path / "b.parquet", table(1000).to_batches(rows)) == whole
    assert pq.read_table(tmp_path / "b.parquet").equals(table(1000))
    assert pq.read_metadata(tmp_path / "b.parquet").row_group(3).num_rows == 100


def test_no_rows_give_a_file_with_the_schema(tmp_path):
    written(tmp_path / "a.parquet", [])
    assert pq.read_schema(tmp_path / "a.parquet").equals(SCHEMA)
    assert head_rows(own_files(tmp_path, None, AGAIN), 5) == []


def fail_in_the_middle(path):
    with part_writer(path, SCHEMA, 100) as writer:
        writer.write(table(250).to_batches()[0])
        raise RuntimeError("the task dies")


def test_nothing_stays_of_a_file_whose_writer_failed(tmp_path):
    with pytest.raises(RuntimeError):
        fail_in_the_middle(tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.parquet"
    with part_writer(path, SCHEMA, 100) as slow:
        written(path, table(10).to_batches())
        slow.write(table(10).to_batches()[0])
    assert pq.read_table(path).equals(table(10))
    assert part_files(tmp_path) == [path]


def test_files_with_fewer_rows_than_were_written_are_refused(tmp_path):
    written(tmp_path / "a.parquet", table(10).to_batches())
    require_rows(own_files(tmp_path, None, AGAIN), 10)
    with pytest.raises(InputError, match="holds 10 images, 20 were written"):
        require_rows(own_files(tmp_path, None, AGAIN), 20)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="damaged"):
        require_rows(own_files(tmp_path, None, AGAIN), 10)
