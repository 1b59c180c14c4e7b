"""The output folder: whose it is, what is refused, what may be added to it, and that a part with its name is whole."""

import json
import signal as signals
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from threading import Lock

import pytest

from curation.inputs.files import Input
from curation.runs.output import Output
from metadata import InputError
from runtime.storage import paths
from runtime.storage.paths import files, is_url, make_folder, names
from runtime.storage.whole import EARLIER, STAMP
from runtime.tallies import Tallies

A, B, C = (Input(f"/data/{name}.parquet", "parquet", 10, modified=1) for name in ("a", "ü犬", "c"))
A_CHANGED = Input(A.path, "parquet", 11, modified=2)
DESCRIPTION = {
    "rules": "unicode",
    "exclusion": None,
    "row_groups": (0, 3),
}  # a tuple: what was read is compared with what JSON gives
TALLIES = Tallies([{"name": "images", "language": None, "value": 7}])


def description(*inputs: Input) -> dict:
    return DESCRIPTION | {"inputs": [asdict(each) for each in inputs]}


def claimed(path: Path, *inputs: Input, overwrite: bool = False, **other) -> Output:
    """Return an output as a run leaves it whose process has ended."""
    output = Output.claim(path, description(*(inputs or [A])) | other, overwrite)
    output.release()
    return output


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


def test_matched_images_of_the_same_description_are_used_again(folder):
    with_matched(folder / "out")
    assert claimed(folder / "out").matched_tallies()["images"] == 7


def test_matched_images_of_an_unfinished_run_are_not_used(folder):
    output = claimed(folder / "out")
    (output.parts.begin("matched") / "00000.parquet").write_text("some of the rows")
    again = claimed(folder / "out")
    assert again.matched_tallies() is None
    assert names(again.parts.begin("matched")) == set()


def test_another_description_is_refused_and_names_what_differs(folder):
    with_matched(folder / "out")
    with pytest.raises(InputError, match=r"holds another run \(other rules\).*--overwrite"):
        claimed(folder / "out", rules="meta")
    assert (folder / "out" / "matched" / "00000.parquet").exists()


def test_another_description_is_refused_also_where_the_run_broke_off_at_once(folder):
    claimed(folder / "out")
    with pytest.raises(InputError, match=r"holds another run \(other rules\)"):
        claimed(folder / "out", rules="meta")


@pytest.mark.parametrize("inputs", [(A, B), (B, A, C), (A_CHANGED,), (A_CHANGED, C)])
def test_inputs_may_be_added_or_have_changed_and_then_matched_images_are_not_used(folder, inputs):
    with_matched(folder / "out", A)
    assert claimed(folder / "out", *inputs).matched_tallies() is None


@pytest.mark.parametrize("unique", [False, True])
def test_lists_of_what_is_excluded_may_change_and_then_all_is_matched_again(tmp_path, unique):
    output = with_inputs_done(tmp_path / "out", A, B, unique=unique)
    if not unique:
        output.parts.begin("matched")
    output.finish_matched(TALLIES)
    output = claimed(tmp_path / "out", A, B, exclusion="d1")
    assert output.matched_tallies() is None
    assert output.ledger([A, B], unique).missing == [A, B]
    output.parts.begin("matched")
    output.finish_matched(TALLIES)
    assert claimed(tmp_path / "out", A, B, exclusion="d1").matched_tallies()["images"] == 7
    assert claimed(tmp_path / "out", A, B, exclusion="d2").matched_tallies() is None
    assert claimed(tmp_path / "out", A, B).matched_tallies() is None
    assert output.lineage() == [{"inputs": 2, "first": A.path, "last": B.path}]


def test_other_lists_excuse_no_other_difference(tmp_path):
    with_matched(tmp_path / "out")
    with pytest.raises(InputError, match=r"holds another run \(other rules\)"):
        claimed(tmp_path / "out", rules="meta", exclusion="d1")


@pytest.mark.parametrize("inputs", [(A,), (C,), (A, C)])
def test_a_run_that_leaves_an_input_out_is_refused(folder, inputs):
    with_matched(folder / "out", A, B)
    with pytest.raises(InputError, match=r"holds another run \(other inputs\)"):
        claimed(folder / "out", *inputs)


def test_a_folder_of_something_else_is_refused(folder):
    (folder / "thesis.txt").write_text("dear to someone")
    with pytest.raises(InputError, match="holds files that are no run of curate"):
        claimed(folder)
    assert names(folder) == {"thesis.txt"}


def test_overwrite_removes_the_other_run_and_nothing_else(folder):
    with_matched(folder / "out")
    with_inputs_done(folder / "out", A)
    (make_folder(folder / "out" / "existing") / "00000.parquet").write_text("rows")
    (folder / "out" / "thesis.txt").write_text("dear to someone")
    output = claimed(folder / "out", overwrite=True, rules="meta")
    assert output.matched_tallies() is None
    assert names(output.path) == {"thesis.txt", ".work"}


def test_a_part_takes_the_place_of_the_earlier_one_when_it_is_finished(folder):
    output = claimed(folder / "out")
    for content in ("first", "second"):
        (output.parts.begin("curated") / "00000.parquet").write_text(content)
        output.parts.finish("curated")
    assert [path.read_text() for path in files(folder / "out" / "curated")] == ["second"]


def test_what_a_killed_task_left_of_a_file_is_no_part(tmp_path):
    output = claimed(tmp_path / "out")
    begun = output.parts.begin("curated")
    for name in ("00000.parquet", ".00000.parquet.b80073.partial"):
        (begun / name).write_text("rows")
    output.parts.finish("curated")
    assert names(output.path / "curated") == {"00000.parquet"}


def test_a_part_that_is_added_to_is_not_whole_until_it_is_finished_again(folder):
    output = with_matched(folder / "out")
    opened = output.parts.reopen("matched")
    assert output.parts.stamp("matched") is None
    assert is_url(folder) or not output.matched.exists()
    (opened / "00001.parquet").write_text("more rows")
    assert output.parts.reopen("matched") == opened
    output.parts.finish("matched", {"more": True})
    assert names(output.matched) == {"00000.parquet", "00001.parquet", STAMP}
    assert output.parts.stamp("matched") == {"more": True}


def test_a_part_that_is_whole_comes_before_what_an_earlier_run_left_of_it(folder):
    output = with_matched(folder / "out")
    (output.parts.begin("matched") / "half.parquet").write_text("half")
    assert names(output.parts.reopen("matched")) == {"00000.parquet", EARLIER if is_url(folder) else STAMP}


def test_a_part_that_is_not_there_is_opened_empty(folder):
    assert names(claimed(folder / "out").parts.reopen("matched")) == set()


@pytest.mark.parametrize("moved", range(4))
def test_a_part_that_took_the_place_of_another_by_half_is_not_whole_and_the_next_run_mends_it(
    s3_folder, monkeypatch, moved
):
    output = with_matched(s3_folder, A)
    begin_three(output)
    with monkeypatch.context() as patch:
        copies = iter([output.path.fs.cp_file] * moved)
        patch.setattr(paths, "_each", lambda do, items: [do(item) for item in items])
        patch.setattr(output.path.fs, "cp_file", lambda *names: next(copies)(*names))
        with pytest.raises(StopIteration) if moved < 3 else nullcontext():
            output.finish_matched(TALLIES)
    if moved < 3:
        assert output.matched_tallies() is None
        assert claimed(s3_folder, A).lineage() == [{"inputs": 1, "first": A.path, "last": A.path}]
        output = claimed(s3_folder, A)
        begin_three(output)
        output.finish_matched(TALLIES)
    assert names(output.matched) == {"0.parquet", "1.parquet", "2.parquet", STAMP}
    assert output.matched_tallies()["images"] == 7
    assert len(output.lineage()) == 1


def begin_three(output: Output) -> None:
    begun = output.parts.begin("matched")
    for number in range(3):
        (begun / f"{number}.parquet").write_text("rows")


@pytest.mark.parametrize("unique", [False, True])
def test_inputs_that_were_read_are_not_read_again_when_others_are_added(folder, unique):
    with_inputs_done(folder / "out", A, B, unique=unique)
    assert claimed(folder / "out", A, B).ledger([A, B], unique).missing == []
    assert claimed(folder / "out", A, B, C).ledger([A, B, C], unique).missing == [C]
    assert claimed(folder / "out", A_CHANGED, B, C).ledger([A_CHANGED, B, C], unique).missing == [A_CHANGED, C]


def test_unique_images_are_added_to_matched_where_it_was_whole_and_where_adding_broke_off(folder):
    output = with_inputs_done(folder / "out", A, unique=True)
    output.finish_matched(TALLIES)
    for _ in range(2):
        output = claimed(folder / "out", A, B)
        assert output.matched_tallies() is None
        assert output.ledger([A, B], unique_images=True).missing == [B]
        assert output.parts.stamp("matched") is None
    with_inputs_done(folder / "out", A, B, unique=True).finish_matched(TALLIES)
    assert len(files(output.matched, ".parquet")) == 2
    assert claimed(folder / "out", A, B).matched_tallies()["images"] == 7


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
    output = with_inputs_done(folder / "out", A, unique=True)
    output.finish_matched(TALLIES)
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


def test_files_of_another_version_are_refused(folder):
    with_matched(folder / "out")
    stamp = folder / "out" / "matched" / STAMP
    stamp.write_text(json.dumps(json.loads(stamp.read_text("utf-8")) | {"version": 0}), "utf-8")
    with pytest.raises(InputError, match="version of this program"):
        claimed(folder / "out")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("http://example.org/out", "cannot be written to"),
        ("memory://out", "cannot be written to"),
        ("s3://", "cannot be written to"),
        ("foo://bucket/out", "Unsupported filesystem: 'foo'"),
        ("gs://bucket/out", "install gcsfs"),
        ("s3://no-such-bucket/out", "bucket does not exist.*make the bucket first"),
        ("s3://Ü/out", "cannot be used .*Ü"),
    ],
)
def test_a_url_to_which_nothing_can_be_written_is_refused(s3_server, path, reason):
    with pytest.raises(InputError, match=reason):
        claimed(path)


def test_wrong_credentials_are_refused(s3_folder, s3_server, monkeypatch):
    s3_server.forbidden = True
    with pytest.raises(InputError, match=r"s3://outputs/.* cannot be used \(.*Access Denied"):
        claimed(s3_folder)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_run_into_a_local_folder_is_refused_while_the_first_goes_on(tmp_path, overwrite):
    with Output.claim(tmp_path / "out", description(A)) as first:
        (first.parts.begin("matched") / "00000.parquet").write_text("rows")
        with pytest.raises(InputError, match=r"another run is writing to .*out; wait"):
            Output.claim(tmp_path / "out", description(A), overwrite)
        first.finish_matched(TALLIES)
    assert claimed(tmp_path / "out").matched_tallies()["images"] == 7


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
def test_a_folder_is_free_when_the_process_that_had_it_is_gone_however_it_ended(tmp_path, signal):
    program = (
        "import sys, time; from curation.runs.output import Output; "
        "output = Output.claim(sys.argv[1], {'inputs': []}); print('has it', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path / "out"], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"has it\n"
        with pytest.raises(InputError, match="another run is writing"):
            Output.claim(tmp_path / "out", {"inputs": []})
        process.send_signal(getattr(signals, signal))
    Output.claim(tmp_path / "out", {"inputs": []}).release()


def test_of_many_runs_that_begin_at_once_one_has_a_folder_and_another_when_it_has_ended(tmp_path):
    (tmp_path / "out").mkdir()

    def run(number: int) -> int | None:
        try:
            with Output.claim(tmp_path / "out", description(A)) as output:
                assert held.acquire(blocking=False)
                held.release()
                output._remove_work()
                return number
        except InputError:
            return None

    held = Lock()
    with ThreadPoolExecutor(8) as pool:
        had = [number for number in pool.map(run, range(200)) if number is not None]
    assert had
    assert names(tmp_path / "out") <= {".work"}


def test_a_second_run_takes_a_url_over_and_the_first_ends_before_it_names_anything(s3_folder):
    first = Output.claim(s3_folder, description(A))
    (first.parts.begin("matched") / "00000.parquet").write_text("rows of the first")
    second = Output.claim(s3_folder, description(A))
    (second.parts.begin("matched") / "00000.parquet").write_text("rows of the second")
    for name_something in (lambda: first.finish_matched(TALLIES), first.finish_curated):
        with pytest.raises(InputError, match=r"another run has taken over s3://outputs/.*, so this one ends"):
            name_something()
    first.release()
    second.finish_matched(TALLIES)
    assert files(second.matched, ".parquet")[0].read_text() == "rows of the second"
    second.release()


def test_that_another_run_has_taken_over_explains_what_goes_wrong_then(s3_folder):
    def run():
        with Output.claim(s3_folder, description(A)):
            claimed(s3_folder)
            raise OSError("a file is gone")

    with pytest.raises(InputError, match="another run has taken over"):
        run()


def test_artefacts_are_local_and_go_with_the_run(folder):
    with Output.claim(folder / "out", description(A)) as output:
        assert not is_url(output.artefacts)
        (output.artefacts / "rates.npy").write_text("rates")
        assert is_url(folder) or output.artefacts == folder / "out" / ".work"
    assert output.artefacts.exists() != is_url(folder)


def test_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"):
        claimed(tmp_path / "out")
