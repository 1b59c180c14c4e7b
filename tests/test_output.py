"""The output folder: whose it is, what is refused, what may be added to it, and that a part with its name is whole."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from curation.inputs import Input
from curation.output import Output
from metadata import InputError
from metadata.parts import STAMP
from metadata.tallies import Tallies

A, B, C = (Input(f"/data/{name}.parquet", "parquet", 10, modified=1) for name in ("a", "ü犬", "c"))
A_CHANGED = Input(A.path, "parquet", 11, modified=2)
DESCRIPTION = {"rules": "unicode", "row_groups": (0, 3)}  # a tuple: what was read is compared with what JSON gives
TALLIES = Tallies([{"name": "images", "language": None, "value": 7}])


def description(*inputs: Input) -> dict:
    return DESCRIPTION | {"inputs": [asdict(each) for each in inputs]}


def claimed(path: Path, *inputs: Input, overwrite: bool = False, **other) -> Output:
    return Output.claim(path, description(*(inputs or [A])) | other, overwrite)


def with_matched(path: Path, *inputs: Input) -> Output:
    """Return an output whose matched images are whole."""
    output = claimed(path, *inputs)
    (output.parts.begin("matched") / "00000.parquet").write_text("rows")
    output.finish_matched(TALLIES)
    return output


def with_inputs_done(path: Path, *inputs: Input, unique: bool = False) -> Output:
    """Return an output in which these inputs have been read and matched, one in each task."""
    output = claimed(path, *inputs)
    ledger = output.ledger(list(inputs), unique)
    for task in ledger.tasks(100):
        name = f"{ledger.stamps.name_of(task)}.parquet"
        (ledger.stamps.folder / name).write_text("rows")
        ledger.stamps.write(task, [name], 0, TALLIES)
    return output


def test_matched_images_of_the_same_description_are_used_again(tmp_path):
    with_matched(tmp_path / "out")
    assert claimed(tmp_path / "out").matched_tallies()["images"] == 7


def test_matched_images_of_an_unfinished_run_are_not_used(tmp_path):
    output = claimed(tmp_path / "out")
    (output.parts.begin("matched") / "00000.parquet").write_text("some of the rows")
    again = claimed(tmp_path / "out")
    assert again.matched_tallies() is None
    assert list(again.parts.begin("matched").iterdir()) == []


def test_another_description_is_refused_and_names_what_differs(tmp_path):
    with_matched(tmp_path / "out")
    with pytest.raises(InputError, match=r"holds another run \(other rules\).*--overwrite"):
        claimed(tmp_path / "out", rules="meta")
    assert (tmp_path / "out" / "matched" / "00000.parquet").exists()


def test_another_description_is_refused_also_where_the_run_broke_off_at_once(tmp_path):
    claimed(tmp_path / "out")
    with pytest.raises(InputError, match=r"holds another run \(other rules\)"):
        claimed(tmp_path / "out", rules="meta")


@pytest.mark.parametrize("inputs", [(A, B), (B, A, C), (A_CHANGED,), (A_CHANGED, C)])
def test_inputs_may_be_added_or_have_changed_and_then_matched_images_are_not_used(tmp_path, inputs):
    with_matched(tmp_path / "out", A)
    assert claimed(tmp_path / "out", *inputs).matched_tallies() is None


@pytest.mark.parametrize("inputs", [(A,), (C,), (A, C)])
def test_a_run_that_leaves_an_input_out_is_refused(tmp_path, inputs):
    with_matched(tmp_path / "out", A, B)
    with pytest.raises(InputError, match=r"holds another run \(other inputs\)"):
        claimed(tmp_path / "out", *inputs)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("dear to someone")
    with pytest.raises(InputError, match="holds files that are no run of curate"):
        claimed(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_overwrite_removes_the_other_run_and_nothing_else(tmp_path):
    with_matched(tmp_path / "out")
    with_inputs_done(tmp_path / "out", A)
    (tmp_path / "out" / "existing").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("dear to someone")
    output = claimed(tmp_path / "out", overwrite=True, rules="meta")
    assert output.matched_tallies() is None
    assert {path.name for path in output.path.iterdir()} == {"thesis.txt", ".work"}


def test_a_part_takes_the_place_of_the_earlier_one_when_it_is_finished(tmp_path):
    output = claimed(tmp_path / "out")
    for content in ("first", "second"):
        (output.parts.begin("curated") / "00000.parquet").write_text(content)
        output.parts.finish("curated")
    assert [path.read_text() for path in (tmp_path / "out" / "curated").iterdir()] == ["second"]


def test_a_part_that_is_added_to_has_no_name_until_it_is_whole_again(tmp_path):
    output = with_matched(tmp_path / "out")
    folder = output.parts.reopen("matched")
    assert not output.matched.exists()
    (folder / "00001.parquet").write_text("more rows")
    assert output.parts.reopen("matched") == folder
    output.parts.finish("matched", {"more": True})
    assert {path.name for path in output.matched.iterdir()} == {"00000.parquet", "00001.parquet", STAMP}
    assert output.parts.stamp("matched") == {"more": True}


def test_a_part_that_is_whole_comes_before_what_an_earlier_run_left_of_it(tmp_path):
    output = with_matched(tmp_path / "out")
    (output.parts.begin("matched") / "half.parquet").write_text("half")
    assert {path.name for path in output.parts.reopen("matched").iterdir()} == {"00000.parquet", STAMP}


def test_a_part_that_is_not_there_is_opened_empty(tmp_path):
    assert list(claimed(tmp_path / "out").parts.reopen("matched").iterdir()) == []


@pytest.mark.parametrize("unique", [False, True])
def test_inputs_that_were_read_are_not_read_again_when_others_are_added(tmp_path, unique):
    with_inputs_done(tmp_path / "out", A, B, unique=unique)
    assert claimed(tmp_path / "out", A, B).ledger([A, B], unique).missing == []
    assert claimed(tmp_path / "out", A, B, C).ledger([A, B, C], unique).missing == [C]
    assert claimed(tmp_path / "out", A_CHANGED, B, C).ledger([A_CHANGED, B, C], unique).missing == [A_CHANGED, C]


def test_unique_images_are_added_to_matched_where_it_was_whole_and_where_adding_broke_off(tmp_path):
    output = with_inputs_done(tmp_path / "out", A, unique=True)
    output.finish_matched(TALLIES)
    for _ in range(2):
        output = claimed(tmp_path / "out", A, B)
        assert output.matched_tallies() is None
        assert output.ledger([A, B], unique_images=True).missing == [B]
        assert not output.matched.exists()
    with_inputs_done(tmp_path / "out", A, B, unique=True).finish_matched(TALLIES)
    assert len(list(output.matched.glob("*.parquet"))) == 2
    assert claimed(tmp_path / "out", A, B).matched_tallies()["images"] == 7


def test_lineage_says_which_inputs_came_when(tmp_path):
    with_matched(tmp_path / "out", A)
    with_matched(tmp_path / "out", A)
    with_matched(tmp_path / "out", A, B, C)
    output = with_matched(tmp_path / "out", A_CHANGED, B, C)
    assert output.lineage() == [
        {"inputs": 1, "first": A.path, "last": A.path},
        {"inputs": 2, "first": B.path, "last": C.path},
        {"inputs": 1, "first": A.path, "last": A.path},
    ]


def test_lineage_outlasts_a_run_that_broke_off_while_it_added(tmp_path):
    output = with_inputs_done(tmp_path / "out", A, unique=True)
    output.finish_matched(TALLIES)
    with_inputs_done(tmp_path / "out", A, B, unique=True)
    output = claimed(tmp_path / "out", A, B, C)
    output.ledger([A, B, C], unique_images=True)
    output.finish_matched(TALLIES)
    assert [(each["inputs"], each["first"]) for each in output.lineage()] == [(1, A.path), (2, B.path)]


def test_results_are_taken_back_before_the_sample_changes(tmp_path):
    output = with_matched(tmp_path / "out")
    for name in ("run.json", "report.html", "thresholds.json"):
        (output.path / name).write_text("{}")
    output.retract_results()
    output.retract_results()
    assert {path.name for path in output.path.iterdir()} == {"matched", "thresholds.json", ".work"}


def test_files_of_another_version_are_refused(tmp_path):
    with_matched(tmp_path / "out")
    stamp = tmp_path / "out" / "matched" / STAMP
    stamp.write_text(json.dumps(json.loads(stamp.read_text("utf-8")) | {"version": 0}), "utf-8")
    with pytest.raises(InputError, match="version of this program"):
        claimed(tmp_path / "out")


@pytest.mark.parametrize("path", ["s3://bucket/out", "hdfs://name/out"])
def test_a_url_is_refused(path):
    with pytest.raises(InputError, match="give a local folder"):
        claimed(path)


def test_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"):
        claimed(tmp_path / "out")
