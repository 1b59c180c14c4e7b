"""Parquet files are read in any string type and up to where they are damaged."""

import io
import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.inputs.candidates import BATCH_ROWS
from curation.inputs.tables import parquet_tables as parquet
from curation.inputs.tables.columns import TableOptions
from curation.plugins.joins.image_tables import ImageTable
from runtime.errors import InputError
from tests.support.tables import URL, dropped, json_lines, of_csv, of_json, of_parquet, result, texts


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int8(), pa.string())]
)
def test_strings_of_any_arrow_type_are_read(kind):
    column = pa.array([None, "犬", "é"], pa.string()).cast(kind)
    found = of_parquet({"url": pa.array([URL] * 3), "text": column})
    assert texts(found) == ["犬", "é"]
    assert dropped(found) == {"empty_text": 1}


def test_a_uid_that_is_no_text_is_its_hexadecimal_digits():
    digest = bytes(range(240, 256))
    for kind in (pa.binary(), pa.large_binary(), pa.binary(16)):
        found = of_parquet({"url": [URL] * 2, "text": ["x"] * 2, "uid": pa.array([digest, None], kind)})
        assert [row.get("uid") for row in found[0]] == [digest.hex(), None]
    found = of_parquet({"url": [URL] * 2, "text": ["x"] * 2, "uid": pa.array([b"own", "犬".encode()])})
    assert [row["uid"] for row in found[0]] == ["own", "犬"]
    if hasattr(pa, "uuid"):
        found = of_parquet({"url": [URL], "text": ["x"], "uid": pa.array([digest], pa.binary(16)).cast(pa.uuid())})
        assert found[0][0]["uid"] == digest.hex()


def test_a_table_of_images_may_name_them_by_digests_in_bytes(tmp_path):
    digest, read = bytes(range(240, 256)), []
    for name, uid in (
        ("bytes", pa.array([digest])),
        ("fixed", pa.array([digest], pa.binary(16))),
        ("hex", [digest.hex()]),
    ):
        pq.write_table(pa.table({"Uid": uid, "score": [1]}), tmp_path / f"{name}.parquet")
        table = ImageTable.find([str(tmp_path / f"{name}.parquet")])
        read.append([batch.to_pylist() for batch in table.read(table.files[0], ["score"])])
    assert read[0] == read[1] == read[2]
    assert len(read[0][0]) == 1


def test_a_text_of_bytes_of_one_length_is_read():
    assert texts(of_parquet({"url": [URL], "text": pa.array([b"dog"], pa.binary(3))})) == ["dog"]


def test_numbers_of_json_become_strings():
    assert texts(of_json(json_lines({"url": URL, "text": 7}, {"url": URL, "text": 1.5}))) == ["7", "1.5"]


def test_a_column_of_lists_is_refused():
    with pytest.raises(InputError, match="column text of x.parquet has the type list"):
        of_parquet({"url": [URL], "text": [["x"]]})


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_strings_in_parquet_that_are_no_utf8_are_dropped(kind):
    offsets = {pa.large_string(): pa.large_binary()}.get(kind, pa.binary())
    column = pa.array(["é".encode(), b"\xff", None, b"\xed\xa0\x80", b"ok"], offsets)
    column = column if kind == pa.binary() else column.view(kind)
    found = of_parquet({"url": pa.array([URL] * 5), "text": column})
    assert texts(found) == ["é", "ok"]
    assert dropped(found) == {"bad_utf8": 2, "empty_text": 1}


def test_row_groups_are_read_each_once():
    rows = 2 * BATCH_ROWS + 5
    table = {"url": [URL] * rows, "text": [str(i) for i in range(rows)]}
    parts = [of_parquet(table, groups=range(a, b), row_group_size=1000) for a, b in ((0, 3), (3, 16), (16, 17))]
    assert sum((texts(part) for part in parts), []) == table["text"] == texts(of_parquet(table))


def noisy_parquet():
    """A file of four row groups whose texts do not pack, and where the pages of texts begin."""
    file, noise = io.BytesIO(), random.Random(0)
    table = pa.table({"url": [URL] * 4000, "text": [noise.randbytes(1000).hex() for _ in range(4000)]})
    pq.write_table(table, file, row_group_size=1000, use_dictionary=False)
    metadata = pq.read_metadata(file)
    begins = [metadata.row_group(group).column(1).data_page_offset for group in range(4)]
    return file.getvalue(), begins, table["text"].to_pylist()


def test_a_damaged_parquet_file_gives_what_comes_before_the_damage():
    data, begins, expected = noisy_parquet()
    broken = data[: begins[2]] + bytes(50) + data[begins[2] + 50 :]
    found = result(parquet.read, io.BytesIO(broken))
    assert dropped(found) == {"corrupt_file": 1}
    assert texts(found) == expected[: len(texts(found))]
    assert 1000 <= len(texts(found)) <= 2000
    assert found[1]["pairs"] == len(found[0])


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ConnectionResetError("gone")])
def test_a_disk_or_network_that_fails_under_parquet_is_an_error(error):
    data, begins, _ = noisy_parquet()

    class Failing(io.BytesIO):
        def read(self, size=-1):
            if begins[2] <= self.tell() < begins[3]:
                raise error
            return super().read(size)

    with pytest.raises(type(error)):
        list(parquet.read(Failing(data), "x.parquet", TableOptions(), Counter()))


def test_no_rows_give_tallies_only():
    assert of_parquet({"url": pa.array([], pa.string()), "text": pa.array([], pa.string())}) == ([], {"files": 1})
    assert of_json("") == of_json("\n \n") == of_csv("url,text\n") == of_csv("") == ([], {"files": 1})
