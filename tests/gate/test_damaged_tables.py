"""Tables that our own commands wrote are compared with the checksums that these recorded; those of others are not."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.joins.image_tables import ImageTable
from metadata import Entries
from runtime.errors import InputError
from runtime.folders.recorded import recorded
from runtime.storage.json_files import write_json
from tests.support import own_tables

FLIPS = 20
ENTRIES = Entries.build({"en": ["a", "dog"]})


def test_tables_of_others_are_read_whatever_lies_beside_them(tmp_path):
    (tmp_path / "t").mkdir()
    path = tmp_path / "t" / "a.parquet"
    pq.write_table(pa.table({"uid": ["x"]}), path)
    for content in ({"checksums": {"a.parquet": "0" * 64}}, {"checksums": ["a.parquet"]}, {"a": 1}):
        for name in ("_a.json", "_folder.json"):
            (tmp_path / "t" / name).write_text(json.dumps(content))
        (tmp_path / "run.json").write_text(json.dumps(content))
        assert recorded([str(path)]) == {}
        assert len(own_tables.rows_of(tmp_path / "t")) == 1
    assert recorded(["https://a.example/a.parquet", "zip://t/a.parquet::a.zip"]) == {}


def test_a_table_of_ours_at_a_url_is_compared(s3_folder):
    path = s3_folder / "a.parquet"
    with path.open("wb") as file:
        pq.write_table(pa.table({"uid": ["x"]}), file)
    write_json(s3_folder / "_folder.json", {"checksums": {"a.parquet": "00000000"}})
    with pytest.raises(InputError, match=r"a.parquet is damaged \(its checksum differs\)"):
        ImageTable.find([str(s3_folder)])


def test_a_damaged_table_of_others_is_refused_in_one_line(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"uid": ["x"]}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + b"\xff" * 32 + whole[-8:])
    with pytest.raises(InputError, match="a.parquet cannot be read as Parquet") as refused:
        own_tables.rows_of(tmp_path)
    assert "\n" not in str(refused.value)
