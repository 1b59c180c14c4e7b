"""The rows that clip-find finds are written as a manifest that other commands take, or as a table."""

import csv
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.exclusion import Exclusion
from curation.plugins.export.datacomp import DataComp
from curation.plugins.export.formats import export
from curation.plugins.export.huggingface import HuggingFace
from curation.plugins.export.metaclip import MetaClip
from curation.plugins.export.removal import remove_from_manifest
from curation.plugins.find.figures import find_figures
from curation.plugins.find.printed import facts_of
from curation.plugins.find.searching import Search
from curation.plugins.find.selecting import require_new_file, write_found_rows, write_selection
from curation.run.results import Results
from curation.schemas import CURATED
from metadata import InputError
from runtime.folders.verify import verify
from runtime.storage.own_files import part_files
from runtime.storage.paths import names
from tests.naive.searches import naive_found
from tests.support.downloaded import all_bytes
from tests.support.in_turn import in_turn
from tests.support.searched_run import searched_run

SEARCH = Search(entry=["dog", "a"])
IDS = [1, 0, 3]


@pytest.fixture
def run(tmp_path):
    return searched_run(tmp_path / "run", number=150, t=20)


def rows_of(folder) -> list[list[dict]]:
    return [pq.read_table(path).to_pylist() for path in part_files(folder / "curated")]


def select(run, to, matched=False, search=SEARCH, engine=None) -> str:
    return write_selection(engine or in_turn(), Results.open(run.path), search, to, matched)


def test_the_selected_pairs_are_in_the_files_and_the_order_of_the_manifest(run, tmp_path):
    select(run, tmp_path / "new")
    before = rows_of(run.path)
    assert rows_of(tmp_path / "new") == [[row for row, _ in naive_found(file, ids=IDS)] for file in before]
    assert 0 < sum(map(len, rows_of(tmp_path / "new"))) < sum(map(len, before))
    assert verify(tmp_path / "new").endswith("files are as they were written")
    assert pq.read_table(tmp_path / "new" / "curated").schema.equals(CURATED)


def test_run_json_says_what_was_asked_and_counts_again(run, tmp_path):
    select(run, tmp_path / "new", matched=True)
    old, new = (json.loads((path / "run.json").read_text("utf-8")) for path in (run.path, tmp_path / "new"))
    rows = [row for file in rows_of(tmp_path / "new") for row in file]
    assert len(rows) == new["rows"]["kept"] == len(naive_found(run.images, ids=IDS))
    assert new["rows"] == old["rows"] | {"kept": len(rows)}
    for code, row in new["languages"].items():
        assert row["kept"] == sum(each["language"] == code for each in rows)
    (selection,) = new["selections"]
    assert selection["search"] == {"entry": ["dog", "a"]}
    assert (selection["matched"], selection["rows"], selection["command"]) == (True, len(rows), "clip-find")
    assert new["made_from"].items() > old["made_from"].items()


def test_a_selection_is_a_manifest_for_other_commands(run, tmp_path):
    select(run, tmp_path / "new")
    kept = sum(map(len, rows_of(tmp_path / "new")))
    export(in_turn(), tmp_path / "new", tmp_path / "hub", HuggingFace())
    assert f"{kept:,} image-text pairs" in (tmp_path / "hub" / "README.md").read_text("utf-8")
    export(in_turn(), tmp_path / "new", tmp_path / "subset", DataComp())
    remove_from_manifest(in_turn(), tmp_path / "new", Exclusion.of(domains=["x.example"]), tmp_path / "less")
    left = [row for file in rows_of(tmp_path / "less") for row in file]
    assert left == [row for file in rows_of(tmp_path / "new") for row in file if "//x.example/" not in row["url"]]
    select(run, tmp_path / "again")
    assert all_bytes(tmp_path / "again") == all_bytes(tmp_path / "new")


def test_of_a_selection_the_manifest_can_be_searched_and_matched_images_are_refused(run, tmp_path):
    select(run, tmp_path / "new")
    results = Results.open(tmp_path / "new")
    assert results.find(entry="dog").num_rows == len(naive_found(run.kept, ids=[0]))
    for use in (lambda: results.find(entry="dog", matched=True), lambda: next(results.matched())):
        with pytest.raises(
            InputError, match="is a part of the manifest of another run, and has no matched images; pass the run"
        ):
            use()
    with pytest.raises(InputError, match="has no matched images"):
        export(in_turn(), tmp_path / "new", tmp_path / "out", MetaClip())


def test_a_selection_that_broke_off_is_continued_and_one_that_is_done_is_not_written_again(run, tmp_path):
    def interrupt(number: int) -> None:
        if number == 1:
            raise KeyboardInterrupt

    select(run, tmp_path / "quiet")
    with pytest.raises(KeyboardInterrupt):
        select(run, tmp_path / "new", engine=in_turn(interrupt))
    assert names(tmp_path / "new") <= {".work", "curated"}
    with pytest.raises(InputError, match=r"made differently \(.*selection search.*\); specify another folder"):
        select(run, tmp_path / "new", search=Search(entry=["dog"]))
    begun = []
    select(run, tmp_path / "new", engine=in_turn(begun.append))
    assert len(begun) == 2
    assert all_bytes(tmp_path / "new") == all_bytes(tmp_path / "quiet")
    assert select(run, tmp_path / "new").startswith(f"output {tmp_path / 'new'} is already complete")


def test_a_folder_with_other_files_is_refused_and_left_alone(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for to, why in ((tmp_path / "mine", "did not write"), (run.path, "is the output folder")):
        before = all_bytes(to)
        with pytest.raises(InputError, match=why):
            select(run, to)
        assert all_bytes(to) == before


def test_a_run_at_a_url_is_selected_from_as_a_local_one_is(run, s3_folder, tmp_path):
    s3_folder.fs.put(str(run.path), str((s3_folder / "run").path), recursive=True)
    select(run, tmp_path / "one", matched=True)
    write_selection(in_turn(), Results.open(s3_folder / "run"), SEARCH, s3_folder / "other", matched=True)
    assert all_bytes(tmp_path / "one") == all_bytes(s3_folder / "other")
    found = [facts_of(find_figures(in_turn(), Results.open(path), SEARCH)) for path in (run.path, s3_folder / "run")]
    assert found[0] == found[1]


@pytest.mark.parametrize("matched", [False, True])
def test_a_table_has_the_first_rows(run, tmp_path, matched):
    results = Results.open(run.path)
    wanted = results.find(entry=["dog", "a"], matched=matched)
    for name, limit in (("a.parquet", 10_000), ("b.csv", 10_000), ("c.parquet", 3), ("d.csv", 3)):
        written = write_found_rows(results, SEARCH, require_new_file(tmp_path / name), matched, limit)
        assert written == min(limit, wanted.num_rows)
        if name.endswith(".parquet"):
            assert pq.read_table(tmp_path / name).equals(wanted.slice(0, limit))
            continue
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:
            rows = [*csv.DictReader(file)]
        expected = wanted.slice(0, limit).to_pylist()
        assert [row["text"] for row in rows] == [row["text"] for row in expected]
        assert [[*map(int, row["entries"].split())] for row in rows] == [row["entries"] for row in expected]


def test_a_table_needs_no_condition(run, tmp_path):
    results = Results.open(run.path)
    assert write_found_rows(results, Search(), tmp_path / "all.parquet", False, 10_000) == len(run.kept)
    assert pq.read_table(tmp_path / "all.parquet").to_pylist() == run.kept


def test_a_table_has_nested_columns_as_text(tmp_path):
    run = searched_run(tmp_path / "run", number=20, t=20)
    facts = json.loads((run.path / "run.json").read_text("utf-8"))
    facts["parameters"]["extra_columns"] = ["license", "record"]
    facts.pop("checksum", None)
    (run.path / "run.json").write_text(json.dumps(facts), "utf-8")
    for path in part_files(run.path / "curated"):
        table = pq.read_table(path)
        records = pa.array([{"file": "a.warc", "offset": 7}] * len(table))
        pq.write_table(
            table.append_column("license", pa.array(["cc0"] * len(table))).append_column("record", records), path
        )
    write_found_rows(Results.open(run.path), Search(), tmp_path / "rows.csv", False, 1)
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["license"], json.loads(row["record"])) == ("cc0", {"file": "a.warc", "offset": 7})


@pytest.mark.parametrize(
    ("name", "said"),
    [("rows.txt", "ends in .csv or .parquet"), ("rows", "ends in .csv"), ("there.csv", "exists; give")],
)
def test_a_file_of_another_kind_or_one_that_exists_is_refused(tmp_path, name, said):
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(InputError, match=said):
        require_new_file(tmp_path / name)


def test_a_damaged_file_is_refused_in_a_sentence(run, tmp_path):
    path = part_files(run.path / "curated")[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"curated/00000.parquet is damaged"):
        select(run, tmp_path / "new")
    assert not (tmp_path / "new" / "run.json").exists()
    shutil.rmtree(run.path / "matched")
    with pytest.raises(InputError, match="contains no Parquet files"):
        select(run, tmp_path / "newer", matched=True)
