"""Parts of an output take their names when they are whole."""

from contextlib import nullcontext

import pytest

from curation.run.output_folder import Output
from runtime.errors import InputError
from runtime.folders.descriptor import DESCRIPTOR, EARLIER
from runtime.storage import paths
from runtime.storage.paths import files, is_url, names
from runtime.tallies import TaskResult
from tests.support.outputs import TALLIES, A, claimed, with_matched


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
    assert output.parts.descriptor("matched") is None
    assert is_url(folder) or not (output.path / "matched").exists()
    (opened / "00001.parquet").write_text("more rows")
    assert output.parts.reopen("matched") == opened
    output.parts.finish("matched", {"more": True})
    assert names(output.path / "matched") == {"00000.parquet", "00001.parquet", DESCRIPTOR}
    assert output.parts.descriptor("matched") == {"more": True}


def test_a_part_that_is_whole_comes_before_what_an_earlier_run_left_of_it(folder):
    output = with_matched(folder / "out")
    (output.parts.begin("matched") / "half.parquet").write_text("half")
    assert names(output.parts.reopen("matched")) == {"00000.parquet", EARLIER if is_url(folder) else DESCRIPTOR}


def test_a_part_that_is_not_there_is_opened_empty(folder):
    assert names(claimed(folder / "out").parts.reopen("matched")) == set()


@pytest.mark.slow
@pytest.mark.parametrize("moved", range(4))
def test_a_part_that_took_the_place_of_another_by_half_is_not_whole_and_the_next_run_mends_it(
    s3_folder, monkeypatch, moved
):
    output = with_matched(s3_folder, A)
    begin_three(output)
    with monkeypatch.context() as patch:
        copies = iter([output.path.fs.cp_file] * moved)
        patch.setattr(paths, "in_threads", lambda do, items: [do(item) for item in items])
        patch.setattr(output.path.fs, "cp_file", lambda *names: next(copies)(*names))
        with pytest.raises(StopIteration) if moved < 3 else nullcontext():
            output.finish_matched(TALLIES)
    if moved < 3:
        assert output.matched_result() is None
        assert claimed(s3_folder, A).lineage() == [{"inputs": 1, "first": A.path, "last": A.path}]
        output = claimed(s3_folder, A)
        begin_three(output)
        output.finish_matched(TALLIES)
    assert names(output.path / "matched") == {"0.parquet", "1.parquet", "2.parquet", DESCRIPTOR}
    assert output.matched_result()["images"] == 7
    assert len(output.lineage()) == 1


def test_a_part_whose_files_an_object_store_lists_late_gets_no_stamp(s3_folder):
    output = claimed(s3_folder, A)
    begin_three(output)
    written = TaskResult(files={"3.parquet": "00000001"})
    with pytest.raises(InputError, match="3.parquet is missing; run the same command again"):
        output.finish_matched(written)
    assert output.matched_result() is None


def begin_three(output: Output) -> None:
    begun = output.parts.begin("matched")
    for number in range(3):
        (begun / f"{number}.parquet").write_text("rows")
