"""The ledger: what is done stays done, whatever has changed is done again, and every input is counted exactly once."""

import json
from dataclasses import replace
from itertools import count
from random import Random
from zlib import crc32

import pytest

from runtime.errors import InputError
from runtime.folders import stamps as module
from runtime.folders.descriptor import DESCRIPTOR, EARLIER, Kind, complete, set_aside
from runtime.folders.stamps import Input, Ledger, digest_of
from runtime.storage.paths import files as placed
from runtime.storage.paths import names as names_in
from runtime.storage.paths import remove
from runtime.tallies import TaskResult
from tests.naive.batching import naive_gather

DESCRIPTION = {"version": 1, "made_from": {"metadata": "abc", "rules": "unicode", "model": {"name": "lid"}}}


def source(name: str, size: int = 10, **more) -> Input:
    return Input(f"/data/{name}.parquet", "parquet", size, **{"modified": 1, **more})


A, B, C = source("a"), source("ü犬"), source("c", row_groups=(0, 3))


def opened(folder, *inputs: Input, description=None) -> Ledger:
    return Ledger.open(folder, description or DESCRIPTION, list(inputs))


def done(ledger: Ledger, *tasks: list[Input], files: int = 1, rows: int = 0) -> list[str]:
    """Do these tasks as a worker does; return the names of their files."""
    names = []
    for task in tasks:
        result = TaskResult()
        result.count({"files": len(task)} | ({"rows": rows} if rows else {}))
        for number in range(files):
            name = f"{ledger.stamps.name_of(task)}-{number}.arrows.zst"
            (ledger.stamps.folder / name).write_text("rows")
            result.files[name] = f"{crc32(b'rows'):08x}"
        ledger.stamps.write(task, result)
        names += result.files
    return names


def names(ledger: Ledger) -> list[str]:
    return sorted(path.name for path in ledger.files)


def test_a_new_folder_has_nothing_done(folder):
    ledger = opened(folder, A, B)
    assert (ledger.missing, ledger.files, ledger.sums.rows()) == ([A, B], [], [])


def test_what_has_a_stamp_is_done_with_its_files_and_tallies(folder):
    written = done(opened(folder, A, B, C), [A], [B, C], files=2)
    ledger = opened(folder, A, B, C)
    assert ledger.missing == []
    assert names(ledger) == sorted(written)
    assert ledger.sums["files"] == 3


def test_of_a_run_that_broke_off_only_what_has_no_stamp_is_missing(folder):
    ledger = opened(folder, A, B, C)
    done(ledger, [B])
    (folder / f"{ledger.stamps.name_of([A])}-0.arrows.zst").write_text("rows, but no stamp")
    assert opened(folder, A, B, C).missing == [A, C]


def test_inputs_that_were_added_are_missing_and_the_rest_is_done(folder):
    written = done(opened(folder, B), [B])
    ledger = opened(folder, A, B, C)
    assert ledger.missing == [A, C]
    assert names(ledger) == written


@pytest.mark.parametrize("change", [{"size": 11}, {"modified": 2}, {"modified": None}, {"row_groups": (0, 2)}])
def test_an_input_that_has_changed_is_missing_with_those_of_its_task_alone(folder, change):
    done(opened(folder, A, B, C), [A], [B, C])
    assert opened(folder, A, B, replace(C, **change)).missing == [B, replace(C, **change)]


@pytest.mark.parametrize("part", ["version", "made_from"])
def test_for_another_description_nothing_is_done(folder, part):
    done(opened(folder, A), [A])
    other = opened(folder, A, description=DESCRIPTION | {part: 2})
    assert (other.missing, other.files) == ([A], [])


def test_a_stamp_with_a_file_that_is_gone_does_not_count(folder):
    first, _, _ = done(opened(folder, A), [A], files=3)
    remove(folder / first)
    assert opened(folder, A).missing == [A]


def test_inputs_without_rows_are_done_without_a_file(folder):
    done(opened(folder, A), [A], files=0)
    assert (opened(folder, A).missing, opened(folder, A).files) == ([], [])


@pytest.mark.parametrize(
    "content",
    ["", "{", "null", "{}", "[]", "[1]", "7", '"犬"', '{"inputs": []}', pytest.param("[" * 100_000, id="deep")],
)
def test_a_stamp_that_cannot_be_read_does_not_count(folder, content):
    ledger = opened(folder, A)
    done(ledger, [A])
    (folder / f"_{ledger.stamps.name_of([A])}.json").write_text(content, "utf-8")
    assert opened(folder, A).missing == [A]


def test_a_stamp_counts_in_any_order_of_its_members_but_not_with_others(folder):
    ledger = opened(folder, A)
    done(ledger, [A])
    path = folder / f"_{ledger.stamps.name_of([A])}.json"
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content, sort_keys=True), "utf-8")
    assert opened(folder, A).missing == []
    larger = replace(A, size=11)
    path.write_text(json.dumps(content).replace(A.digest, larger.digest), "utf-8")
    assert opened(folder, larger).missing == [larger]


def test_a_stamp_of_another_version_does_not_count(folder):
    ledger = opened(folder, A)
    done(ledger, [A])
    path = folder / f"_{ledger.stamps.name_of([A])}.json"
    content = json.loads(path.read_text("utf-8")) | {"version": module.VERSION - 1}
    content["checksum"] = digest_of({name: value for name, value in content.items() if name != "checksum"})
    path.write_text(json.dumps(content), "utf-8")
    assert opened(folder, A).missing == [A]


def test_facts_and_files_of_all_tasks_are_together(folder):
    ledger = opened(folder, A, B)
    for task in ([A], [B]):
        ledger.stamps.write(task, TaskResult(facts={"path": [task[0].path]}))
    assert sorted(opened(folder, A, B).sums.noted("path")) == [A.path, B.path]


def test_an_input_that_two_tasks_have_done_counts_once(folder):
    ledger = opened(folder, A, B, C)
    done(ledger, [A, B], [A], [B], [B, C])
    again = opened(folder, A, B, C)
    counted = [path for task in again.done for path in task.inputs.values()]
    assert sorted([*counted, *(each.path for each in again.missing)]) == sorted(each.path for each in (A, B, C))


def test_the_names_of_two_tasks_differ_and_those_of_one_task_do_not(folder):
    stamps = opened(folder, A, B, C).stamps
    tasks = ([A], [B], [C], [A, B], [B, A], [replace(A, size=3)], [replace(C, row_groups=None)])
    assert len({stamps.name_of(task) for task in tasks}) == len(tasks)
    assert opened(folder).stamps.name_of([C]) == stamps.name_of([replace(C)])


def test_leftovers_are_removed_and_what_counts_is_not(folder):
    first = done(opened(folder, A, B), [A], [B], files=2)
    done(opened(folder, C, description={"other": 1}), [C])
    for name in (".half.arrows.zst.12.partial", "0123-0.arrows.zst", "_0123.json"):
        (folder / name).write_text("left")
    (folder / DESCRIPTOR).write_text("{}")
    ledger = opened(folder, A, replace(B, size=11))
    ledger.prune()
    kept = {*first[:2], f"_{ledger.stamps.name_of([A])}.json", DESCRIPTOR}
    assert names_in(folder) == kept
    assert opened(folder, A).missing == []


def test_a_stamp_says_in_plain_json_what_was_made_of_which_inputs(folder):
    ledger = opened(folder, B, C)
    files = done(ledger, [B, C])
    (stamp,) = (json.loads(path.read_text("utf-8")) for path in placed(folder, ".json"))
    assert stamp["inputs"] == {B.digest: B.path, C.digest: C.path}
    assert [*stamp["files"]] == files
    assert files == ["6a6431995010294b7d7fd73a-0.arrows.zst"]  # other names would make earlier runs read all again
    assert stamp["counts"] == [{"name": "files", "item": None, "language": None, "value": 2}]


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 6, 10, 11, 1000])
def test_lists_of_files_have_every_file_once_and_rows_enough(folder, limit):
    tasks = [source(f"{number:02}") for number in range(12)]
    for task, rows in zip(tasks, [5, 0, 5, 10, 0, 0, 1, 3, 2, 20, 4, 0], strict=True):
        done(opened(folder, *tasks), [task], files=1 + rows % 2, rows=rows)
    ledger = opened(folder, *tasks)
    parts = naive_gather([*ledger.stamps.read()], lambda stamp: stamp.result["rows"], limit, 99)
    lists = [[path.name for path in each] for each in ledger.files_of(limit)]
    assert lists == [[name for stamp in part for name in stamp.files] for part in parts]
    assert [name for each in lists for name in each] == [path.name for path in ledger.files]


def test_the_files_of_one_task_are_in_one_list(folder):
    done(opened(folder, A, B), [A], [B], files=3, rows=7)
    assert [len(each) for each in opened(folder, A, B).files_of(7)] == [3, 3]
    assert [len(each) for each in opened(folder, A, B).files_of(8)] == [6]
    assert opened(folder, C).files_of(7) == []


SIZES = [[], [0], [0, 0, 0], [5], [1] * 100, [10**12], [10**12, 1, 1, 10**12], [0, 7, 0, 10**9, 0]]
SIZES += [[Random(seed).randrange(10 ** Random(seed).randrange(1, 10)) for _ in range(seed * 9)] for seed in range(9)]


@pytest.mark.parametrize("cores", [1, 2, 64])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_tasks_have_every_input_once_in_order_and_are_near_the_limit(tmp_path, sizes, cores):
    inputs = [source(f"{number:03}", size) for number, size in zip(count(), sizes)]
    tasks = opened(tmp_path, *inputs).tasks(cores)
    assert [each for task in tasks for each in task] == inputs
    limit = min(module.TASK_BYTES, sum(sizes) / (cores * module.TASKS_PER_CORE))
    for task in tasks:
        assert sum(each.size for each in task[:-1]) <= limit  # the last one may take it over
    for task in tasks[:-1]:
        assert sum(each.size for each in task) >= int(limit)


@pytest.mark.parametrize("task_bytes", [1, 250.5, 10**12])
def test_tasks_are_as_large_as_is_asked_for_but_leave_no_core_idle(tmp_path, task_bytes):
    tasks = opened(tmp_path, *(source(f"{number:03}", 100) for number in range(300))).tasks(2, task_bytes)
    limit = min(task_bytes, 300 * 100 // (2 * module.TASKS_PER_CORE))
    assert {len(task) for task in tasks} == {int(-(-limit // 100))}


def test_few_inputs_are_enough_tasks_for_all_cores_and_small_ones_share_a_task(tmp_path):
    even = [source(str(number), 1000) for number in range(600)]
    assert len(opened(tmp_path, *even).tasks(4)) == 4 * module.TASKS_PER_CORE
    assert len(opened(tmp_path, *even[:5]).tasks(4)) == 5


def test_inputs_that_are_done_are_in_no_task(folder):
    done(opened(folder, A, B), [A])
    assert opened(folder, A, B, C).tasks(1) == [[B], [C]]


def test_a_ledger_is_completed_by_running_what_is_missing_and_what_is_damaged(tmp_path):
    first = opened(tmp_path, A, B).checked()
    assert first.missing == [A, B]
    done(first, [A], [B])
    completed = first.completed(tmp_path)
    assert (completed.missing, len(completed.done)) == ([], 2)
    (tmp_path / f"{completed.stamps.name_of([A])}-0.arrows.zst").unlink()
    again = opened(tmp_path, A, B, C).checked()
    assert again.missing == [A, C]
    done(again, [A], [C])
    assert again.completed(tmp_path).missing == []


def test_a_ledger_with_tasks_that_have_not_finished_is_refused(tmp_path):
    ledger = opened(tmp_path, A, B)
    done(ledger, [A])
    with pytest.raises(InputError, match="workers wrote the results of 1 inputs, but the files are missing from"):
        ledger.completed(tmp_path)


def test_a_descriptor_takes_the_place_of_stamps(folder):
    written = done(opened(folder, A, B, C), [A], [B, C], files=2)
    before = opened(folder, A, B, C)
    complete(folder, Kind("rows", "clip-test").content("a", before.sums.files, {"tasks": before.described()}))
    before.stamps.remove()
    assert names_in(folder) == {*written, DESCRIPTOR}
    for set_it_aside in (False, True):
        if set_it_aside:
            set_aside(folder)
            assert names_in(folder) == {*written, EARLIER}
        after = opened(folder, A, B, C)
        assert (after.done, after.missing, after.sums.rows()) == (before.done, [], before.sums.rows())
        assert opened(folder, A, B, C, description={"other": 1}).missing == [A, B, C]
