"""Exports are whole, repeatable, and refused where they would destroy or mislead."""

from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.export import clip_export as job
from curation.plugins.export.datacomp import DataComp
from curation.plugins.export.formats import ByCluster, export
from curation.plugins.export.huggingface import HuggingFace
from curation.plugins.export.metaclip import MetaClip
from metadata import InputError
from runtime.folders import folder
from runtime.folders.descriptor import DESCRIPTOR
from runtime.storage.paths import names
from tests.support.downloaded import all_bytes
from tests.support.finished_run import FinishedRun, finished_run, image
from tests.support.in_turn import in_turn
from tests.support.refusals import refusal


@pytest.mark.parametrize("form", [DataComp(), HuggingFace({"name": "pairs"}), MetaClip()])
def test_the_same_run_gives_the_same_bytes(run, tmp_path, form):
    for name in ("one", "two"):
        export(in_turn(), run.path, tmp_path / name, form)
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "two")


def test_an_export_that_fails_leaves_nothing(tmp_path):
    run = finished_run(tmp_path / "run", [image(1) | {"uid": "laion/7"}] * 20, t=1000)
    with pytest.raises(InputError, match="uid 'laion/7' does not consist of 32"):
        export(in_turn(), run.path, tmp_path / "out", DataComp())
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_folder_is_refused_and_replaced_only_when_told(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", HuggingFace({"name": "pairs"}))
    with pytest.raises(
        InputError,
        match=r"an export made differently \(other form, .*\); specify another folder, or replace "
        "the files with overwrite=True",
    ):
        export(in_turn(), run.path, tmp_path / "out", DataComp())
    export(in_turn(), run.path, tmp_path / "out", DataComp(), overwrite=True)
    assert list(all_bytes(tmp_path / "out")) == ["_folder.json", "uids.npy"]


@pytest.mark.parametrize("is_export", [False, True])
@pytest.mark.parametrize("name", ["thesis.txt", "data/thesis.txt", ".notes/thesis.txt"])
def test_files_that_no_export_wrote_are_never_deleted(run, tmp_path, name, is_export):
    output = tmp_path / "out"
    if is_export:
        export(in_turn(), run.path, output, HuggingFace({"name": "pairs"}))
    (output / name).parent.mkdir(parents=True, exist_ok=True)
    (output / name).write_text("dear to someone")
    before = all_bytes(output)
    shown = ".notes" if name.startswith(".") else name
    for overwrite in (False, True):
        with pytest.raises(
            InputError, match=rf"clip-export did not write \({shown}\); specify an empty or new folder$"
        ):
            export(in_turn(), run.path, output, DataComp(), overwrite)
    assert all_bytes(output) == before


def test_an_export_that_is_repeated_says_that_it_is_complete_and_writes_nothing(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", DataComp())
    (tmp_path / "out" / ".work").mkdir()  # left by a command that is killed after its last step
    (tmp_path / "out" / ".work" / "lock").touch()
    before = (tmp_path / "out" / "uids.npy").stat()
    said = export(in_turn(), run.path, tmp_path / "out", DataComp())
    assert said.startswith(f"output {tmp_path / 'out'} is already complete: the same command has made it (clip-verify ")
    assert (tmp_path / "out" / "uids.npy").stat() == before
    assert not (tmp_path / "out" / ".work").exists()


def test_an_export_that_is_not_the_same_is_refused(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", HuggingFace({"name": "pairs"}))
    with pytest.raises(InputError, match=r"holds an export made differently \(other options answers\)"):
        export(in_turn(), run.path, tmp_path / "out", HuggingFace({"name": "other"}))


def test_an_export_that_lacks_a_file_is_made_again(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", HuggingFace({"name": "pairs"}))
    before = all_bytes(tmp_path / "out")
    next((tmp_path / "out").rglob("*.parquet")).unlink()
    export(in_turn(), run.path, tmp_path / "out", HuggingFace({"name": "pairs"}))
    assert all_bytes(tmp_path / "out") == before


def test_an_export_that_lacks_a_file_and_holds_one_of_a_user_is_refused(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", HuggingFace({"name": "pairs"}))
    next((tmp_path / "out").rglob("*.parquet")).unlink()
    (tmp_path / "out" / "thesis.txt").write_text("dear to someone")
    with pytest.raises(InputError, match=r"did not write \(thesis.txt\); specify an empty"):
        export(in_turn(), run.path, tmp_path / "out", HuggingFace({"name": "pairs"}))
    assert (tmp_path / "out" / "thesis.txt").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_export_that_was_killed_while_it_cleared_a_folder_clears_the_rest(run, tmp_path, monkeypatch, overwrite):
    wanted = DataComp() if overwrite else HuggingFace({"name": "pairs"})
    export(in_turn(), run.path, tmp_path / "quiet", wanted)
    export(in_turn(), run.path, tmp_path / "out", HuggingFace({"name": "pairs"}))
    (tmp_path / "out" / "croissant.json").unlink()

    def killed(path: Path) -> None:
        (tmp_path / "out" / DESCRIPTOR).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(folder, "remove_file", killed)
        with pytest.raises(KeyboardInterrupt):
            export(in_turn(), run.path, tmp_path / "out", wanted, overwrite)
    export(in_turn(), run.path, tmp_path / "out", wanted, overwrite)
    assert all_bytes(tmp_path / "out") == all_bytes(tmp_path / "quiet")


def with_columns(folder: Path, run: FinishedRun) -> HuggingFace:
    """A dataset with captions and clusters of some images, of which two clusters are written."""
    uids = [row["uid"] for row in run.images]
    captions, clusters = (str(folder / name) for name in ("captions.parquet", "clusters.parquet"))
    pq.write_table(pa.table({"uid": uids[::2], "caption": [f"of {uid}" for uid in uids[::2]]}), captions)
    coarse = pa.array([number % 3 for number in range(len(uids) - 5)], pa.int32())
    pq.write_table(pa.table({"uid": uids[5:], "coarse": coarse}), clusters)
    return HuggingFace({"name": "pairs"}, captions=[captions], clusters=ByCluster([clusters], [0, 1], outsiders=0.1))


FORMS = {
    "huggingface": lambda *_: HuggingFace({"name": "pairs"}),
    "columns": with_columns,
    "datacomp": lambda *_: DataComp(),
}


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "task"), [("local", 0), ("local", 1), ("local", 3), ("s3", 1)], indirect=["folder"])
@pytest.mark.parametrize("form", FORMS)
def test_an_export_that_broke_off_is_gone_on_with(run, folder, tmp_path, form, task):
    wanted = FORMS[form](tmp_path, run)
    export(in_turn(), run.path, tmp_path / "quiet", wanted)

    def end(number: int) -> None:
        if number == task:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        export(in_turn(end), run.path, folder / "out", wanted)
    is_whole = DESCRIPTOR in names(folder / "out")
    export(in_turn(), run.path, folder / "out", wanted, overwrite=is_whole)
    assert all_bytes(folder / "out") == all_bytes(tmp_path / "quiet")


@pytest.mark.parametrize("form", FORMS)
def test_a_run_at_a_url_is_exported_as_a_local_one_is(run, s3_folder, tmp_path, form):
    s3_folder.fs.put(str(run.path), str(s3_folder.path), recursive=True)
    wanted = FORMS[form](tmp_path, run)
    for source, to in ((run.path, tmp_path / "one"), (s3_folder, tmp_path / "other")):
        export(in_turn(), source, to, wanted)
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "other")


def test_another_export_goes_on_with_nothing_and_replaces_it_only_when_told(run, tmp_path):
    def end(number: int) -> None:
        if number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(in_turn(end), run.path, tmp_path / "out", HuggingFace({"name": "pairs"}))
    with pytest.raises(
        InputError,
        match=r"out already holds an export made differently \(other options answers\); specify another folder",
    ):
        export(in_turn(), run.path, tmp_path / "out", HuggingFace({"name": "others"}))
    export(in_turn(), run.path, tmp_path / "out", DataComp(), overwrite=True)
    assert list(all_bytes(tmp_path / "out")) == ["_folder.json", "uids.npy"]


@pytest.mark.parametrize("to", [".", "run", "run/curated", "run/new"])
def test_the_run_itself_is_never_written_over(run, tmp_path, to):
    with pytest.raises(InputError, match=r"is in the input|the output folder"):
        export(in_turn(), run.path, tmp_path / to, DataComp(), overwrite=True)


def test_tars_are_never_written_over(run, tmp_path):
    (tmp_path / "tars").mkdir()
    (tmp_path / "tars" / "00000.tar").write_text("images")
    for to in ("tars", "tars/new"):
        with pytest.raises(InputError, match=r"is in the input|the output folder"):
            export(in_turn(), run.path, tmp_path / to, MetaClip([str(tmp_path / "tars")]), overwrite=True)
    assert (tmp_path / "tars" / "00000.tar").read_text() == "images"


@pytest.fixture
def refused(capsys):
    """Run the command; return the sentence with which it refused."""
    return lambda *arguments: refusal(capsys, job.main, *arguments)


def test_the_command_shows_stages_and_says_what_is_written(run, tmp_path, capsys):
    job.main([str(run.path), "--output", str(tmp_path / "out"), "--format", "datacomp"])
    said, messages = capsys.readouterr()
    stages = messages.splitlines()
    assert [stage.partition(": ")[0] for stage in stages] == [
        "sort the uids of 2 files",
        "write the uids",
    ]
    assert said == f"uids.npy with {len(run.kept)} uids in {tmp_path / 'out'}\n"


def test_a_folder_without_a_run_is_refused_in_one_line(refused, tmp_path):
    sentence = refused(tmp_path, "--output", tmp_path / "out", "--format", "datacomp")
    assert sentence.startswith(f"clip-export: {tmp_path} is empty; pass the output folder of a finished run")
    assert "\n" not in sentence


def test_what_a_card_says_is_refused_where_there_is_no_card(refused, run, tmp_path):
    (tmp_path / "about.json").write_text('{"license": "mit"}')
    sentence = refused(
        run.path, "--output", tmp_path / "o", "--format", "datacomp", "--answers", tmp_path / "about.json"
    )
    assert sentence == (
        "clip-export: only the formats card, huggingface and summary use --answers; leave it out for datacomp, which "
        "asks no questions"
    )
