"""A command that is given a folder of another kind says what that folder is, and what it expected."""

from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.scoring.clip_score import ScoreRequest, score_images
from metadata import Entries, InputError
from runtime.engine.local import Local
from runtime.folders.verify import verify
from runtime.storage.listing import FOLDERS, METADATA, RUN
from tests.support.checkout import commands
from tests.support.refusals import refusal
from tests.support.written_run import write_run

ENTRIES = Entries.build({"en": ["dog"]})
A_RUN = "pass the output folder of a finished run of clip-curate or clip-remove"
SOME_METADATA = "specify a folder of clip-metadata, with metadata.json and entries.parquet"
UNLIKE_A_TABLE = ["none", "empty", "notes", "begun"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """A folder of each kind."""
    top = tmp_path_factory.mktemp("folders")
    write_run(top / "run", ENTRIES, [[("dog", "en", [0])]] * 3, t=5)
    ENTRIES.save(top / "metadata")
    for name in FOLDERS.keys() - {RUN, METADATA}:
        (top / name).mkdir()
        (top / name / name).write_text("{}")
    (top / "tars").mkdir()
    for name in ("00000.parquet", "00000.tar", "00001.parquet", "00001.tar", "00002.parquet"):
        (top / "tars" / name).touch()
    (top / "begun" / ".work").mkdir(parents=True)
    (top / "begun" / "pairs").mkdir()
    (top / "begun" / ".work" / "claim.json").write_text("{}")
    (top / "unfinished" / "matched").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "notes").mkdir()
    (top / "notes" / "thesis.txt").write_text("dear to someone")
    (top / "words.txt").write_text("dog\n")
    (top / "list.txt").write_text("example.org\n")
    pq.write_table(pa.table({"url": ["http://a.example/1.jpg"], "text": ["a dog"]}), top / "pairs.parquet")
    return top


WRONG = {
    "none": "does not exist",
    "words.txt": "is a file",
    "empty": "is empty",
    "notes": "holds thesis.txt",
    "tars": "holds 00000.parquet, 00000.tar, 00001.parquet and 2 more",
    "begun": "holds what a command has begun and not finished (run that command again)",
    "unfinished": "holds a run of clip-curate that is not finished: run.json is missing (run the same command again)",
    "run/curated": "is a part of the run in {top}/run",
    **{name: f"holds {kind} ({name})" for name, kind in FOLDERS.items() if name not in (RUN, METADATA)},
}
NO_RUN = WRONG | {"metadata": "holds metadata of clip-metadata (metadata.json)"}
NO_METADATA = WRONG | {"run": "holds a run of clip-curate or clip-remove (run.json)"}
COMMANDS = commands()
OF_A_RUN = {
    "export": ["{given}", "--format", "datacomp", "--output", "{out}"],
    "remove": ["{given}", "--exclude", "{top}/list.txt", "--output", "{out}"],
    "cluster": ["{given}", "--output", "{out}"],
    "align": ["{given}", "--classes", "en={top}/words.txt"],
}
_CURATE = ["--input", "{top}/pairs.parquet", "--output", "{out}"]
_WITH_ENTRIES = [*_CURATE, "--entries", "en={top}/words.txt"]
OF_TABLES = {
    "status": ("curate", [*_WITH_ENTRIES, "--status", "{given}"]),
    "images": ("curate", [*_WITH_ENTRIES, "--images", "{given}", "--keep", "a > 1"]),
    "captions": ("curate", [*_WITH_ENTRIES, "--match-captions", "{given}"]),
    "decontaminate": ("curate", [*_WITH_ENTRIES, "--images", "{given}", "--decontaminate", "{given}"]),
    "input": ("curate", ["--input", "{given}", "--entries", "en={top}/words.txt", "--output", "{out}"]),
    "tars": ("export", ["{top}/run", "--format", "webdataset", "--tars", "{given}", "--output", "{out}"]),
    "embeddings": ("cluster", ["{top}/run", "--embeddings", "{given}", "--output", "{out}"]),
    "pictures": ("hash", ["--input", "{given}", "--output", "{out}"]),
}


@pytest.fixture
def refused(capsys, monkeypatch, folders, tmp_path):
    """Run a command on one of the folders; return the sentence with which it refused before a task was started."""
    monkeypatch.setattr(Local, "_each", lambda *_: pytest.fail("a task was started"))

    def run(name: str, arguments: list[str], given: str) -> str:
        command = import_module(COMMANDS[f"clip-{name}"])
        words = [word.format(given=folders / given, top=folders, out=tmp_path / "out") for word in arguments]
        return refusal(capsys, command.main, *words).splitlines()[-1]

    return run


@pytest.mark.parametrize("given", NO_RUN)
@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_command_that_reads_a_run_says_what_it_was_given(refused, folders, name, given):
    what = NO_RUN[given].format(top=folders)
    assert refused(name, OF_A_RUN[name], given) == f"clip-{name}: {folders / given} {what}; {A_RUN}"


@pytest.mark.parametrize("given", NO_METADATA)
def test_a_run_that_reads_metadata_says_what_it_was_given(refused, folders, given):
    what = NO_METADATA[given].format(top=folders)
    sentence = refused("curate", [*_CURATE, "--metadata", "{given}"], given)
    assert sentence == f"clip-curate: {folders / given} {what}; {SOME_METADATA}"


@pytest.mark.parametrize("given", UNLIKE_A_TABLE)
@pytest.mark.parametrize("flag", OF_TABLES)
def test_a_flag_that_takes_tables_or_tars_names_the_folder_and_what_was_expected(refused, folders, flag, given):
    sentence = refused(*OF_TABLES[flag], given)
    assert str(folders / given) in sentence
    assert any(word in sentence for word in ("expected", "; pass ", "; specify "))
    assert "Errno" not in sentence


def test_scores_of_a_runs_texts_say_what_was_given_as_a_run(folders, tmp_path):
    request = ScoreRequest([folders / "tars" / "00000.tar"], tmp_path / "out", folders / "metadata")
    with pytest.raises(InputError, match=f"metadata.json\\); {A_RUN}"):
        score_images(request, None)


@pytest.mark.parametrize("given", [name for name in NO_RUN if name not in ("metadata", "clusters.json")])
def test_what_is_to_be_verified_is_named(folders, given):
    with pytest.raises(InputError) as refusal:
        verify(folders / given)
    assert str(refusal.value).startswith(
        f"{folders / given} {NO_RUN[given].format(top=folders)}; specify a folder that"
    )


@pytest.mark.parametrize("below", ["run/out", "run/curated"])
def test_a_run_is_not_written_into_another_run(folders, below):
    command = import_module(commands()["clip-curate"]).main
    words = ["--input", folders / "pairs.parquet", "--entries", f"en={folders / 'words.txt'}", "--output"]
    before = sorted(folders.rglob("*"))
    with pytest.raises(SystemExit, match="2"):
        command([*map(str, words), str(folders / below)])
    assert sorted(folders.rglob("*")) == before
