"""Exports and metadata are uploaded whole, go on after faults, and nothing becomes public or is replaced unasked."""

import json
import os
import random
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from curation.plugins.export import clip_export as exporting
from curation.plugins.hub import uploads
from metadata import Entries
from metadata import commands as building
from runtime.errors import InputError
from tests.support.checkout import ROOT, of_a_user
from tests.support.hub_runs import entries, ran, started
from tests.support.hub_server import TOKEN, Answer
from tests.support.refusals import refusal
from tests.support.written_run import write_run

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of the client
KILLS = int(os.environ.get("KILLS", "3"))
IMAGES = [[("a photo of a dog", "en", [0, 1])], [("ein Hund", "de", [2])], [("a dog", "en", [0])]] * 20


@pytest.fixture
def run(tmp_path):
    """A small finished run."""
    return write_run(tmp_path / "run", Entries.build({"en": ["dog", "photo"], "de": ["Hund"]}), IMAGES, 20)


THEIRS = {"LICENSE": b"as you like", "images/0.jpg": b"JFIF"}


def change(hub, files: dict[str, bytes]) -> None:
    """Commit files as somebody else."""
    dataset = hub.datasets["o/made"]
    dataset.commit(dataset.commits[dataset.refs["main"]] | files)


def export(run, *more, to="out") -> list:
    output = run.parent / to
    return ["clip-export", run, "--format", "huggingface", "--output", output, "--upload", "o/made", *more]


def uploaded(run, *more, to="out") -> None:
    exporting.main([str(each) for each in export(run, *more, to=to)[1:]])


def remote(hub, name="o/made") -> dict[str, bytes]:
    """Return the files of a dataset besides those that the Hub and the upload itself write."""
    dataset = hub.datasets[name]
    beside = (".gitattributes", ".clip-curation-upload.json")
    return {path: data for path, data in dataset.commits[dataset.refs["main"]].items() if path not in beside}


def local(folder) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_an_export_is_uploaded_whole_and_private(hub, run, capsys):
    uploaded(run)
    assert remote(hub) == local(run.parent / "out")
    assert hub.datasets["o/made"].private
    commit = hub.datasets["o/made"].refs["main"]
    assert f" in hf://datasets/o/made@{commit} (private)" in capsys.readouterr().out
    assert {"README.md", "croissant.json", "entries/entries.parquet"} <= {*remote(hub)}


def test_only_who_asks_makes_a_dataset_public(hub, run, capsys):
    uploaded(run, "--public")
    assert not hub.datasets["o/made"].private
    said = refusal(capsys, exporting.main, *export(run, "--private", to="out2")[1:])
    assert said.endswith("hf://datasets/o/made is public; pass --public, or another dataset (--upload)")


def test_the_same_upload_again_sends_nothing(hub, run):
    uploaded(run)
    commits, hub.requests[:] = {*hub.datasets["o/made"].commits}, []
    uploaded(run, to="again")
    assert {*hub.datasets["o/made"].commits} == commits
    assert not [request for request in hub.requests if request.method == "PUT"]


def test_other_files_are_refused_without_overwrite(hub, run, capsys):
    hub.dataset("o/made", {"README.md": b"# Another", "old.parquet": b"PAR1"}, private=True)
    said = refusal(capsys, exporting.main, *export(run)[1:])
    assert "hf://datasets/o/made holds 2 other files, such as README.md; pass another dataset" in said
    assert said.endswith("or replace the files of an earlier upload with --overwrite")


def test_an_upload_with_overwrite_replaces_what_an_earlier_one_wrote_and_leaves_all_else(hub, run, tmp_path, capsys):
    building.main(["--entries", *entries(tmp_path), "--output", str(tmp_path / "made"), "--upload", "o/made"])
    change(hub, THEIRS)
    assert {"metadata.json", "entries.parquet", *THEIRS} < {*remote(hub)}
    capsys.readouterr()
    uploaded(run, "--overwrite")
    assert remote(hub) == local(run.parent / "out") | THEIRS
    assert "(private); 2 other files of the dataset stayed" in capsys.readouterr().out


def test_a_file_of_others_under_the_name_of_a_sent_one_is_refused(hub, run, capsys):
    uploaded(run)
    change(hub, {"README.md": b"# Edited by hand"})
    edited = remote(hub)
    said = refusal(capsys, exporting.main, *export(run, "--overwrite", to="again")[1:])
    assert "hf://datasets/o/made has a different README.md, which no upload of this program wrote" in said
    assert remote(hub) == edited


@pytest.mark.parametrize("record", [None, b"", b"[]", b"[" * 100_000, b'{"files": 3}', b'{"files": {"a.txt": 3}}'])
def test_without_a_record_of_an_earlier_upload_nothing_is_replaced(hub, run, capsys, record):
    beside = {} if record is None else {".clip-curation-upload.json": record}
    hub.dataset("o/made", {"README.md": b"# Another", "a.txt": b"a"} | beside, private=True)
    said = refusal(capsys, exporting.main, *export(run, "--overwrite")[1:])
    assert "hf://datasets/o/made has a different README.md, which no upload of this program wrote" in said


def test_the_card_of_an_upload_loads_the_dataset_by_its_name(hub, run):
    uploaded(run)
    card = remote(hub)["README.md"].decode()
    assert card.count('load_dataset("o/made", ') == 2
    assert "path/of/this/folder" not in card


FAULTS = {
    "busy": ("/preupload/", Answer(429, b"{}", {"Retry-After": "0"})),
    "listing": ("/tree/", Answer(502)),
    "batch": ("/objects/batch", Answer(503)),
    "store": ("/store/", Answer(500)),
    "commit": ("/commit/", Answer(500)),
    "create": ("/repos/create", Answer(503)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_uploads_go_on_after_faults(hub, run, name, monkeypatch):
    part, answer = FAULTS[name]
    monkeypatch.setattr("time.sleep", lambda _: None)
    answers = [answer] * 2
    hub.fault = lambda request: answers.pop() if answers and part in request.path else None
    uploaded(run)
    assert remote(hub) == local(run.parent / "out")
    assert answers == []


def test_an_upload_that_failed_is_gone_on_with_by_the_same_command(hub, run, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.fault = lambda request: Answer(503) if "/commit/" in request.path else None
    with pytest.raises(SystemExit) as stopped:
        uploaded(run)
    assert stopped.value.code == 1
    hub.fault = None
    uploaded(run)
    assert remote(hub) == local(run.parent / "out")


def test_a_commit_of_someone_else_meanwhile_is_not_overwritten(hub, run, capsys):
    hub.dataset("o/made", {}, private=True)

    def meanwhile(request):
        if "/preupload/" in request.path and len(hub.datasets["o/made"].commits) == 1:
            hub.datasets["o/made"].commit({"theirs.txt": b"hello"})

    hub.fault = meanwhile
    with pytest.raises(SystemExit):
        uploaded(run)
    assert "status 412: A commit has happened since" in capsys.readouterr().err
    assert remote(hub) == {"theirs.txt": b"hello"}


def test_a_store_that_keeps_other_bytes_is_noticed(hub, run, capsys):
    def other(request):
        if "/commit/" in request.path:
            hub.stored = {digest: b"x" * len(data) for digest, data in hub.stored.items()}

    hub.fault = other
    said = refusal(capsys, exporting.main, *export(run)[1:])
    assert "from the one that was sent; upload it again" in said


def test_uploads_that_cannot_begin_are_refused_before_anything_is_written(hub, run, capsys, monkeypatch):
    def said(*more: str) -> str:
        return refusal(capsys, exporting.main, *export(run)[1:], *more)

    assert "--upload sends the folder that --format huggingface writes" in refusal(
        capsys, exporting.main, run, "--format", "card", "--output", run.parent / "out", "--upload", "o/made"
    )
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert said().endswith("an upload needs a token that may write; log in by `hf auth login`, or set HF_TOKEN")
    monkeypatch.setattr("runtime.packages.find_spec", lambda name: None)
    assert said().endswith("huggingface_hub is not installed: pip install 'clip-curation[hf]'")
    assert not (run.parent / "out").exists()
    assert hub.datasets == {}
    for name in ("made", "o/n/x", "o/ü"):
        with pytest.raises(InputError, match="pass OWNER/NAME"):
            uploads.require(SimpleNamespace(upload=name, output="out"))


def test_a_damaged_folder_is_not_uploaded(hub, run, capsys):
    uploaded(run)
    (run.parent / "out" / "croissant.json").write_text("{}")
    with pytest.raises(InputError, match=r"has changed since it was written: croissant.json is damaged"):
        uploads.upload(SimpleNamespace(upload="o/other", output=run.parent / "out", public=False, overwrite=False))
    assert [*hub.datasets] == ["o/made"]


def test_metadata_by_name_are_uploaded_with_a_card_and_opened_at_their_commit(hub, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    lists = entries(tmp_path)
    building.main(["--entries", *lists, "--output", str(tmp_path / "made"), "--upload", "o/entries"])
    assert {*remote(hub, "o/entries")} == {"README.md", "metadata.json", "entries.parquet"}
    facts = json.loads(remote(hub, "o/entries")["metadata.json"])
    assert facts["digest"] in remote(hub, "o/entries")["README.md"].decode()
    opened = Entries.open("hf://datasets/o/entries@main")
    commit = hub.datasets["o/entries"].refs["main"]
    assert opened.about["path"] == f"hf://datasets/o/entries@{commit}"
    assert opened.digest == facts["digest"] == Entries.open(tmp_path / "made").digest
    assert opened.table.equals(Entries.open(tmp_path / "made").table)
    hub.requests.clear()
    Entries.open("hf://datasets/o/entries@main")
    assert not [request for request in hub.requests if "entries.parquet" in request.path]


@pytest.mark.parametrize("damage", ["metadata.json", "entries.parquet"])
def test_damaged_metadata_by_name_are_refused(hub, tmp_path, damage):
    building.main(["--entries", *entries(tmp_path), "--output", str(tmp_path / "made"), "--upload", "o/entries"])
    files = remote(hub, "o/entries")
    middle = len(files[damage]) // 2
    files[damage] = files[damage][:middle] + b"~" + files[damage][middle + 1 :]
    hub.datasets["o/entries"].commit(files)
    with pytest.raises(InputError, match="hf://datasets/o/entries@"):
        _ = Entries.open("hf://datasets/o/entries").table


@pytest.mark.slow
def test_the_command_of_metadata_alone_uploads_and_opens(hub, tmp_path):
    arguments = ["--entries", *entries(tmp_path), "--output", tmp_path / "made", "--upload", "o/entries"]
    assert " in hf://datasets/o/entries@" in ran("clip-metadata", *arguments)
    commit = hub.datasets["o/entries"].refs["main"]
    code = "from metadata import Entries; print(Entries.open('hf://datasets/o/entries')._file.path)"
    opened = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=of_a_user(), capture_output=True, text=True)
    assert opened.stdout.strip() == f"hf://datasets/o/entries@{commit}/entries.parquet", opened.stderr


@pytest.mark.soak
def test_killed_uploads_go_on(hub, run):
    hub.fault = lambda request: time.sleep(0.05)
    chance, kills, outputs = random.Random(4), 0, 0
    begin = time.monotonic()
    ran(*export(run, to="first"))
    whole = time.monotonic() - begin
    while kills < KILLS:
        hub.datasets.clear()
        hub.stored.clear()
        for is_killed in (True, True, True, False):
            process = started(*export(run, to=f"out{outputs}"))
            if is_killed:
                time.sleep(chance.uniform(0.4, 1.0) * whole)
                process.kill()
            printed = process.communicate(timeout=300)[0]
            assert TOKEN not in printed
            kills += process.returncode == -9
            if process.returncode != -9:
                break
        assert process.returncode == 0, printed
        assert remote(hub) == local(run.parent / f"out{outputs}")
        outputs += 1
    assert all(TOKEN.encode() not in content for content in local(run.parent).values())
