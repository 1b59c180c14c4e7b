"""Files of Delta, Iceberg and Hudi tables are refused, however they are named, and nothing else is."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.inputs import files
from runtime.errors import InputError
from runtime.storage import listing

LOGS = {
    "delta": "_delta_log/00000000000000000007.json",
    "iceberg": "metadata/00002-9d0a5d3c-3b5c-4f0e-8b1c-0c6a3c0d7e11.metadata.json",
    "hudi": ".hoodie/hoodie.properties",
}
PARTITION = {"delta": "date=1/犬", "iceberg": "data/date=1", "hudi": "eu"}


def put(path, content=b"{}"):
    if "://" not in str(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def put_pairs(path):
    sink = io.BytesIO()
    pq.write_table(pa.table({"url": ["https://example.org/a.jpg"], "text": ["x"]}), sink)
    put(path, sink.getvalue())


@pytest.fixture(params=LOGS)
def table(request, folder):
    """A table beside plain files, in a folder that is not ASCII."""
    tables = (
        folder.parent.parent / "tables" / folder.name if "://" in str(folder) else folder / "tables ü"
    )  # without glob characters
    table = tables / request.param
    put(table / LOGS[request.param])
    put_pairs(table / PARTITION[request.param] / "part-0.parquet")
    put_pairs(tables / "plain.parquet")
    return table


GIVEN = (
    "{above}",
    "{above}/*",
    "{above}/{stars}",
    "{above}/{name}",
    "{above}/{name}/{part}",
    "{above}/{name}/{part}/*.parquet",
    "{above}/{name}/{part}/part-0.parquet",
)


@pytest.mark.parametrize("given", GIVEN)
def test_a_table_is_refused_as_a_folder_a_part_a_file_and_a_glob(table, given):
    above, part = str(table.parent), PARTITION[table.name]
    path = given.format(above=above, name=table.name, part=part, stars="/".join("*" * (part.count("/") + 3)))
    with pytest.raises(InputError) as refused:
        files.find([path])
    sentence = str(refused.value)
    assert sentence.startswith(f"{table} is a {table.name.title()} table, ")
    assert "the input table:NAME" in sentence
    assert f"spark.read.format('{table.name}').load('{table}')" in sentence


def test_files_beside_a_table_are_read(table):
    assert [each.path for each in files.find([str(table.parent / "plain.parquet")])] == [
        f"{table.parent}/plain.parquet"
    ]


@pytest.mark.parametrize(
    "name",
    ["_delta_log.json", "metadata/metadata.json", "metadata/v1.json", "metadata/my.metadata.json", "hoodie.properties",
     "_temporary/table/_delta_log/0.json", ".hoodie/other"],
)  # fmt: skip
def test_folders_that_only_look_like_tables_are_read(tmp_path, name):
    put(tmp_path / name)
    put_pairs(tmp_path / "pairs" / "a.parquet")
    put_pairs(tmp_path / "_temporary" / "table" / "b.parquet")
    for given in (tmp_path / "pairs", tmp_path / "*" / "*.parquet"):
        assert [each.path for each in files.find([str(given)])] == [str(tmp_path / "pairs" / "a.parquet")]


def test_folders_around_many_files_are_looked_into_once(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr("curation.inputs.tables.parquet_tables.names_in", lambda folder: looked.append(folder) or [])
    for number in range(20):
        put_pairs(tmp_path / f"{number}.parquet")
    assert len(files.find([str(tmp_path / f"{number}.parquet") for number in range(20)])) == 20
    assert len(looked) == len(set(looked)) == 3 * (str(tmp_path).count("/"))


def test_names_in_a_folder_are_all_its_names(folder):
    put(folder / "_hidden" / "a")
    put(folder / ".b")
    assert sorted(listing.names_in(str(folder))) == [".b", "_hidden"]
    assert listing.names_in(str(folder / "none")) == listing.names_in(str(folder / ".b" / "c")) == []
