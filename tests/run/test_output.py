"""An output folder is used again only by the run that made it, or one that adds inputs."""

from dataclasses import asdict
from uuid import uuid4

import pytest

from curation.run.output_folder import Output
from metadata import InputError
from runtime.folders.descriptor import DESCRIPTOR
from runtime.storage.json_files import read_json, write_json
from runtime.storage.paths import files, make_folder, names, remove
from runtime.storage.whole import PARTIAL
from runtime.tallies import TaskResult
from tests.support import outputs
from tests.support.outputs import (
    A_CHANGED,
    TALLIES,
    A,
    B,
    C,
    claimed,
    description,
    finish_unique,
    with_inputs_done,
    with_matched,
)


def test_matched_images_of_the_same_description_are_used_again(folder):
    with_matched(folder / "out")
    assert claimed(folder / "out").matched_result()["images"] == 7


def test_matched_images_of_an_unfinished_run_are_not_used(folder):
    output = claimed(folder / "out")
    (output.parts.begin("matched") / "00000.parquet").write_text("some of the rows")
    again = claimed(folder / "out")
    assert again.matched_result() is None
    assert names(again.parts.begin("matched")) == set()


def test_another_description_is_refused_and_names_what_differs(folder):
    with_matched(folder / "out")
    with pytest.raises(
        InputError, match=r"contains a run made differently \(rules unicode, not meta\).*overwrite=True"
    ):
        claimed(folder / "out", rules="meta")
    assert (folder / "out" / "matched" / "00000.parquet").exists()


def test_other_columns_are_named(folder, monkeypatch):
    columns = {"url_column": None, "text_column": "alt"}
    monkeypatch.setitem(outputs.DESCRIPTION, "columns", columns)
    with_matched(folder / "out")
    with pytest.raises(InputError, match=r"\(columns url_column none, not img src\)"):
        claimed(folder / "out", columns=columns | {"url_column": ("img", "src")})


@pytest.mark.parametrize("unique", [False, True])
def test_another_description_is_refused_also_where_the_run_broke_off_once_it_had_read_something(folder, unique):
    with_inputs_done(folder / "out", A, unique=unique)
    with pytest.raises(InputError, match=r"contains a run made differently \(rules unicode, not meta\)"):
        claimed(folder / "out", A, B, rules="meta")


@pytest.mark.parametrize("unique", [False, True])
def test_a_folder_in_which_nothing_was_read_belongs_to_nobody(folder, unique):
    output = claimed(folder / "out", A, B)
    (output.ledger([A, B], unique).stamps.folder / "0.parquet").write_text("rows of a task that was killed")
    (make_folder(output.path / "tables" / "nope") / "0.parquet").write_text("a copy")
    output = claimed(folder / "out", C, rules="meta")
    assert names(folder / "out") == {".work"}
    assert output.ledger([C], unique).missing == [C]


def test_what_was_made_for_workers_goes_where_a_run_breaks_off(folder):
    output = claimed(folder / "out")
    (make_folder(output.artefacts / "exclusion") / "exclusion.json").write_text("{}")
    with pytest.raises(ZeroDivisionError), output:
        raise ZeroDivisionError
    assert not output.artefacts.exists()


def test_a_run_that_was_killed_while_it_claimed_a_folder_leaves_it_to_anybody(tmp_path):
    for folder in (tmp_path / "out" / ".work", tmp_path / "out"):
        (make_folder(folder) / f".run.json.{uuid4().hex}{PARTIAL}").write_text('{"version"')
    claimed(tmp_path / "out")
    assert not any(path.name.endswith(PARTIAL) for path in (tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("unique", [False, True])
def test_a_run_that_found_no_pairs_leaves_its_folder_to_another(folder, unique):
    output = claimed(folder / "out", A)
    output.ledger([A], unique).stamps.write(
        [A], TaskResult([{"name": "files", "item": None, "language": None, "value": 1}])
    )
    assert claimed(folder / "out", B, rules="meta").ledger([B], unique).missing == [B]
    with_inputs_done(folder / "out", B, unique=unique)
    with pytest.raises(InputError, match=r"contains a run made differently \(rules unicode, not other\)"):
        claimed(folder / "out", B, rules="other")


def test_a_table_that_could_not_be_copied_binds_no_later_run(folder):
    with_inputs_done(folder / "out", A)
    Output.claim(folder / "out", {**description(A), "inputs": [asdict(A), {"path": "table:nope"}]}).release()
    assert claimed(folder / "out", A, B).ledger([A, B]).missing == [B]


@pytest.mark.parametrize("inputs", [(A, B), (B, A, C), (A_CHANGED,), (A_CHANGED, C)])
def test_inputs_may_be_added_or_have_changed_and_then_matched_images_are_not_used(folder, inputs):
    with_matched(folder / "out", A)
    assert claimed(folder / "out", *inputs).matched_result() is None


@pytest.mark.parametrize("unique", [False, True])
def test_lists_of_what_is_excluded_may_change_and_then_all_is_matched_again(tmp_path, unique):
    output = with_inputs_done(tmp_path / "out", A, B, unique=unique)
    if not unique:
        output.parts.begin("matched")
    output.finish_matched(TALLIES)
    output = claimed(tmp_path / "out", A, B, exclusion="d1")
    assert output.matched_result() is None
    assert output.ledger([A, B], unique).missing == [A, B]
    if not unique:
        output.finish_pairs(output.ledger([A, B]))
    output.parts.begin("matched")
    output.finish_matched(TALLIES)
    assert claimed(tmp_path / "out", A, B, exclusion="d1").matched_result()["images"] == 7
    assert claimed(tmp_path / "out", A, B, exclusion="d2").matched_result() is None
    assert claimed(tmp_path / "out", A, B).matched_result() is None
    assert output.lineage() == [{"inputs": 2, "first": A.path, "last": B.path}]


def test_other_lists_excuse_no_other_difference(tmp_path):
    with_matched(tmp_path / "out")
    with pytest.raises(InputError, match=r"contains a run made differently \(rules unicode, not meta\)"):
        claimed(tmp_path / "out", rules="meta", exclusion="d1")


@pytest.mark.parametrize("inputs", [(A,), (C,), (A, C)])
def test_a_run_that_leaves_an_input_out_is_refused(folder, inputs):
    with_matched(folder / "out", A, B)
    with pytest.raises(InputError, match=r"contains a run made differently \(it read \S+\); pass another folder"):
        claimed(folder / "out", *inputs)


def test_a_folder_of_something_else_is_refused(folder):
    (folder / "thesis.txt").write_text("dear to someone")
    with pytest.raises(InputError, match="contains files that are not a run of clip-curate"):
        claimed(folder)
    assert names(folder) == {"thesis.txt"}


def test_overwrite_removes_the_other_run_and_nothing_else(folder):
    with_matched(folder / "out")
    with_inputs_done(folder / "out", A)
    (make_folder(folder / "out" / "gated") / "00000.parquet").write_text("rows")
    (folder / "out" / "thesis.txt").write_text("dear to someone")
    output = claimed(folder / "out", overwrite=True, rules="meta")
    assert output.matched_result() is None
    assert names(output.path) == {"thesis.txt", ".work"}


@pytest.mark.parametrize("unique", [False, True])
def test_inputs_that_were_read_are_not_read_again_when_others_are_added(folder, unique):
    with_inputs_done(folder / "out", A, B, unique=unique)
    assert claimed(folder / "out", A, B).ledger([A, B], unique).missing == []
    assert claimed(folder / "out", A, B, C).ledger([A, B, C], unique).missing == [C]
    assert claimed(folder / "out", A_CHANGED, B, C).ledger([A_CHANGED, B, C], unique).missing == [A_CHANGED, C]


def test_unique_images_are_added_to_matched_where_it_was_whole_and_where_adding_broke_off(folder):
    output = finish_unique(folder / "out", A)
    for _ in range(2):
        output = claimed(folder / "out", A, B)
        assert output.matched_result() is None
        assert output.ledger([A, B], unique_images=True).missing == [B]
        assert output.parts.descriptor("matched") is None
    finish_unique(folder / "out", A, B)
    assert len(files(output.path / "matched", ".parquet")) == 2
    assert claimed(folder / "out", A, B).matched_result()["images"] == 7


@pytest.mark.slow
def test_lineage_says_which_inputs_came_when(folder):
    with_matched(folder / "out", A)
    with_matched(folder / "out", A)
    with_matched(folder / "out", A, B, C)
    output = with_matched(folder / "out", A_CHANGED, B, C)
    assert output.lineage() == [
        {"inputs": 1, "first": A.path, "last": A.path},
        {"inputs": 2, "first": B.path, "last": C.path},
        {"inputs": 1, "first": A.path, "last": A.path},
    ]


def test_lineage_outlasts_a_run_that_broke_off_while_it_added(folder):
    output = finish_unique(folder / "out", A)
    with_inputs_done(folder / "out", A, B, unique=True)
    output = claimed(folder / "out", A, B, C)
    output.ledger([A, B, C], unique_images=True)
    output.finish_matched(TALLIES)
    assert [(each["inputs"], each["first"]) for each in output.lineage()] == [(1, A.path), (2, B.path)]


def test_results_are_taken_back_before_the_sample_changes(folder):
    output = with_matched(folder / "out")
    for name in ("run.json", "report.html", "thresholds.json"):
        (output.path / name).write_text("{}")
    output.retract_results()
    output.retract_results()
    assert names(output.path) == {"matched", "thresholds.json", ".work"}


def test_images_with_other_columns_are_refused_also_where_they_were_deleted(folder):
    output = with_matched(folder / "out")  # without a version of matched images, as before there was one
    for _ in range(2):
        with pytest.raises(InputError, match=r"contains a run made differently \(another version of this program\)"):
            claimed(folder / "out", matched_version=2)
        write_json(output.path / "run.json", {"version": 1, "made_from": output.description})
        remove(output.path / "matched")


def test_files_of_another_version_are_refused(folder):
    with_matched(folder / "out")
    stamp = folder / "out" / "matched" / DESCRIPTOR
    write_json(stamp, (read_json(stamp) or {}) | {"version": 0})
    with pytest.raises(InputError, match="version of this program"):
        claimed(folder / "out")


@pytest.mark.parametrize("name", ["pairs", "matched", "curated"])
def test_a_link_for_a_part_is_refused_and_goes_where_the_folder_is_emptied(tmp_path, name):
    claimed(tmp_path / "out")
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "dog.jpg").touch()
    (tmp_path / "out" / name).symlink_to(tmp_path / "photographs")
    with pytest.raises(InputError, match=f"out/{name} is a link, which is not followed; put the folder there"):
        claimed(tmp_path / "out")
    claimed(tmp_path / "out", overwrite=True)
    assert names(tmp_path / "photographs") == {"dog.jpg"}
    assert name not in names(tmp_path / "out")
