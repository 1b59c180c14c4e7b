"""Exports are whole, repeatable, and refused where they would destroy or mislead."""

import os
import subprocess

import pytest

from curation.commands import export as job
from curation.export.datacomp import DataComp
from curation.export.forms import export
from curation.export.huggingface import HuggingFace
from curation.export.metaclip import MetaClip
from metadata import InputError
from tests.support.checkout import ROOT, program
from tests.support.downloaded import all_bytes
from tests.support.finished_run import finished_run, image
from tests.support.in_turn import in_turn
from tests.support.refusals import refusal


@pytest.mark.parametrize("form", [DataComp(), HuggingFace("pairs"), MetaClip()])
def test_the_same_run_gives_the_same_bytes(run, tmp_path, form):
    for name in ("one", "two"):
        export(in_turn(), run.path, tmp_path / name, form)
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "two")


def test_an_export_that_fails_leaves_nothing(tmp_path):
    run = finished_run(tmp_path / "run", [image(1) | {"uid": "laion/7"}] * 20, t=1000)
    with pytest.raises(InputError, match="uid 'laion/7' is no 32"):
        export(in_turn(), run.path, tmp_path / "out", DataComp())
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_folder_is_refused_and_replaced_only_when_told(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("dear to someone")
    with pytest.raises(InputError, match="out is not empty; give a new or empty folder, or --overwrite"):
        export(in_turn(), run.path, tmp_path / "out", DataComp())
    export(in_turn(), run.path, tmp_path / "out", DataComp(), overwrite=True)
    assert list(all_bytes(tmp_path / "out")) == ["uids.npy"]


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


def test_a_damaged_file_is_refused(run, tmp_path):
    file = run.path / "curated" / "00000.parquet"
    content = bytearray(file.read_bytes())
    content[40:60] = b"\xff" * 20
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"00000.parquet is damaged .*curate again"):
        export(in_turn(), run.path, tmp_path / "out", DataComp())


@pytest.fixture
def refused(capsys):
    """Run the command; return the sentence with which it refused."""
    return lambda *arguments: refusal(capsys, job.main, *arguments)


def test_the_command_runs_as_a_user_runs_it(run, tmp_path):
    command = [program("clip-export"), run.path, "--output", tmp_path / "out"]
    done = subprocess.run([*command, "--format", "datacomp"], cwd=ROOT, env=with_packages(), capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode().startswith("uids.npy with ")
    assert (tmp_path / "out" / "uids.npy").exists()


def with_packages() -> dict:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def test_a_folder_without_a_run_is_refused_in_one_line(refused, tmp_path):
    sentence = refused(tmp_path, "--output", tmp_path / "out", "--format", "datacomp")
    assert sentence.startswith(f"export: {tmp_path} holds no run.json of a finished run")
    assert "\n" not in sentence


def test_what_a_card_says_is_refused_where_there_is_no_card(refused, run, tmp_path):
    sentence = refused(run.path, "--output", tmp_path / "o", "--format", "datacomp", "--license", "mit")
    assert sentence == "export: --license would be said on a dataset card; --format datacomp writes none"


def test_no_workers_are_refused(refused, run, tmp_path):
    sentence = refused(run.path, "--output", tmp_path / "o", "--format", "metaclip", "--workers", 0)
    assert sentence == "export: the number of workers is 0; it must be at least 1"
