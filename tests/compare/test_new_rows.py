"""The rows that only the other manifest has are written as a manifest that other commands take, or as a table."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import Results
from curation.exclusion import Exclusion
from curation.plugins.compare.clip_compare import main
from curation.plugins.compare.manifests import Manifest
from curation.plugins.compare.new_rows import write_new_rows
from curation.plugins.export.card import Card
from curation.plugins.export.datacomp import DataComp
from curation.plugins.export.formats import export
from curation.plugins.export.huggingface import HuggingFace
from curation.plugins.export.removal import remove_from_manifest
from curation.run.finished_run import curated_files
from runtime.engine.local import Local
from runtime.engine.spark import Spark
from runtime.folders.verify import verify
from tests.support.downloaded import all_bytes
from tests.support.in_turn import in_turn, killed_at
from tests.support.refusals import refusal


def write(one: Path, other: Path, to: Path, engine=None) -> str:
    return write_new_rows(engine or in_turn(), Manifest.open(one), Manifest.open(other), to)


def rows(folder: Path) -> pd.DataFrame:
    return pq.read_table(folder).to_pandas()


@pytest.mark.parametrize("name", ["seed", "images", "nothing"])
def test_new_rows_of_a_run_are_those_whose_uid_the_other_lacks_in_their_order(runs, tmp_path, name):
    said = write(runs["one"], runs[name], tmp_path / "new")
    one, other, new = rows(runs["one"] / "curated"), rows(runs[name] / "curated"), rows(tmp_path / "new" / "curated")
    expected = other[~other["uid"].isin(one["uid"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(new, expected)
    assert f"wrote {len(expected):,} rows of" in said
    facts = json.loads((tmp_path / "new" / "run.json").read_text("utf-8"))
    assert facts["rows"]["kept"] == len(expected)
    languages = {code: row["kept"] for code, row in facts["languages"].items() if row["kept"]}
    assert languages == Counter(expected["language"])
    assert (facts["selections"][-1]["command"], facts["selections"][-1]["rows"]) == ("clip-compare", len(expected))
    assert verify(tmp_path / "new").endswith("files are as they were written")


def test_the_manifest_of_new_rows_is_taken_by_the_commands_for_manifests(runs, tmp_path):
    write(runs["one"], runs["images"], tmp_path / "new")
    new = rows(tmp_path / "new" / "curated")
    assert sum(file.checksum is not None for file in curated_files(Results.open(tmp_path / "new"))) == 1
    for number, form in enumerate((HuggingFace({"name": "new"}), DataComp(), Card({"name": "new"}))):
        export(in_turn(), tmp_path / "new", tmp_path / f"export{number}", form)
    card = (tmp_path / "export2" / "README.md").read_text("utf-8")
    assert f"The dataset consists of {len(new)} pairs that clip-compare selected from another manifest." in card
    remove_from_manifest(in_turn(), tmp_path / "new", Exclusion.of(uids=new["uid"][:5].tolist()), tmp_path / "left")
    assert len(rows(tmp_path / "left" / "curated")) == len(new) - 5
    write(runs["one"], tmp_path / "new", tmp_path / "again")
    assert all_bytes(tmp_path / "again" / "curated") == all_bytes(tmp_path / "new" / "curated")


def odd_table(folder: Path) -> pd.DataFrame:
    """Write a table in two files, with uids that come twice, nulls, lists and a column of categories; return it."""
    frame = pd.DataFrame({"uid": ["a", "b", None, "a", "c", "d", "d"], "number": range(7)})
    frame["list"] = [[number] * number for number in range(7)]
    frame["kind"] = pd.Categorical(["x", "y", "x", None, "y", "x", "x"])
    folder.mkdir()
    table = pa.Table.from_pandas(frame)
    for number, (begin, size) in enumerate([(0, 3), (3, 4)]):
        pq.write_table(table.slice(begin, size), folder / f"part-{number}.parquet", row_group_size=2)
    return frame


def test_new_rows_of_a_table_have_its_columns_and_rows_without_a_uid_are_left_out(tmp_path):
    frame = odd_table(tmp_path / "table")
    pq.write_table(pa.table({"uid": ["b", "d", None]}), tmp_path / "one.parquet")
    write(tmp_path / "one.parquet", tmp_path / "table", tmp_path / "new")
    new = rows(tmp_path / "new")
    assert new["number"].tolist() == [0, 3, 4]
    assert [[*each] for each in new["list"]] == [[], [3] * 3, [4] * 4]
    assert pq.read_schema(tmp_path / "new" / "00000.parquet").names == [*frame]
    assert {path.name for path in (tmp_path / "new").iterdir()} - {".work"} == {
        "00000.parquet",
        "00001.parquet",
        "_folder.json",
    }
    assert verify(tmp_path / "new").endswith("files are as they were written")


def test_new_rows_are_the_same_on_processes_and_after_an_interruption(runs, tmp_path):
    odd_table(tmp_path / "table")
    pq.write_table(pa.table({"uid": ["b"]}), tmp_path / "one.parquet")
    engine = Local(2)
    for one, other in ((runs["one"], runs["seed"]), (tmp_path / "one.parquet", tmp_path / "table")):
        folder = tmp_path / other.name.upper()
        write(one, other, folder / "whole", engine)
        for number in range(1, 5):
            with pytest.raises(KeyboardInterrupt):
                write(one, other, folder / str(number), in_turn(killed_at(number)))
            write(one, other, folder / str(number))
            assert all_bytes(folder / str(number)) == all_bytes(folder / "whole")
        assert "is already complete" in write(one, other, folder / "whole")
    engine.close()


@pytest.mark.spark
def test_spark_writes_the_same_new_rows(runs, spark, tmp_path):
    write(runs["one"], runs["seed"], tmp_path / "here")
    write(runs["one"], runs["seed"], tmp_path / "spark", Spark(spark))
    assert all_bytes(tmp_path / "spark") == all_bytes(tmp_path / "here")


def test_new_rows_are_written_to_a_url(runs, tmp_path, s3_folder):
    write(runs["one"], runs["seed"], s3_folder / "new")
    write(runs["one"], runs["seed"], tmp_path / "new")
    assert all_bytes(s3_folder / "new") == all_bytes(tmp_path / "new")
    assert verify(s3_folder / "new").endswith("files are as they were written")


def test_a_folder_with_other_files_and_one_in_a_run_are_refused(runs, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    sides = [runs["one"], runs["seed"]]
    assert "holds files that clip-compare did not write" in refusal(capsys, main, *sides, "--new", tmp_path)
    assert "is in the input" in refusal(capsys, main, *sides, "--new", runs["one"] / "new")
    assert "holds files" in refusal(capsys, main, *sides, "--output", tmp_path, "--new", tmp_path / "new")
    assert not (tmp_path / "new").exists()
