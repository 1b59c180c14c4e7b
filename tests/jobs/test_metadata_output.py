"""The output folder of build_metadata is its own: no package, no source, and in no source."""

import re
import shutil

import pytest

from metadata import Entries, InputError, MetadataConfig, Sources, commands
from metadata.pipeline import write_metadata
from tests.support.refusals import refusal


def test_an_output_in_a_source_or_a_source_in_the_output(sample, tmp_path, capsys):
    for output in (sample / "wikipedia" / "out", sample / "wikipedia", sample):
        assert "output folder" in refusal(
            capsys, commands.main, "--wikipedia", sample / "wikipedia", "--output", output
        )
    assert not (sample / "wikipedia" / "out").exists()


def test_what_was_downloaded_into_the_output_is_a_source(sample, tmp_path):
    shutil.copytree(sample / "wordnet", tmp_path / "out" / "downloads" / "wordnet")
    commands.main(["--wordnet", str(tmp_path / "out" / "downloads" / "wordnet"), "--output", str(tmp_path / "out")])
    assert len(Entries.open(tmp_path / "out")) > 100


def test_the_package_itself_as_the_output(tmp_path, capsys):
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "__init__.py").touch()
    assert "metadata is the folder of a Python package" in refusal(
        capsys, commands.main, "--output", tmp_path / "metadata"
    )


@pytest.mark.parametrize("name", ["run.json", "00000.tar"])
def test_a_folder_that_holds_something_else_is_refused_and_left_alone(sample, tmp_path, capsys, name):
    (tmp_path / name).write_text("of someone")
    said = refusal(capsys, commands.main, "--wordnet", sample / "wordnet", "--output", tmp_path)
    assert f"output {tmp_path} holds {name}, which does not belong to metadata; specify an empty or new folder" in said
    with pytest.raises(InputError, match="which does not belong to metadata"):
        write_metadata(lambda: None, MetadataConfig(), Sources.find(), tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "of someone"}


OTHER_BUILDS = {
    "languages": ["--languages", "en"],
    "rules": ["--rules", "meta"],
    "title_limit": ["--set", "title_limit=5"],
    "lists": ["--entries", "en={list}"],
    "wordnet": ["--wordnet", "{wordnet}"],
}


@pytest.fixture
def built(sample, tmp_path):
    """The beginning of the command of a build, and its folder."""
    command = ["--wordnet", str(sample / "wordnet" / "dict"), "--output", str(tmp_path / "out")]
    commands.main(command)
    return command, tmp_path / "out"


@pytest.mark.parametrize("differing", OTHER_BUILDS)
def test_other_metadata_are_replaced_only_if_asked_for(sample, built, tmp_path, capsys, differing):
    command, output = built
    (tmp_path / "list.txt").write_text("dog\n")
    places = {"list": tmp_path / "list.txt", "wordnet": sample / "wordnet" / "wn-data-jpn.tab"}
    other = [*command, *(part.format(**places) for part in OTHER_BUILDS[differing])]
    before = {path: path.read_bytes() for path in output.iterdir()}
    capsys.readouterr()
    said = refusal(capsys, commands.main, *other)
    assert re.search(
        rf"{output} already holds metadata made differently \(.*{differing}.*\); specify another folder, or replace",
        said,
    )
    assert {path: path.read_bytes() for path in output.iterdir()} == before
    commands.main([*other, "--overwrite"])
    assert (output / "metadata.json").read_bytes() != before[output / "metadata.json"]


def test_the_same_command_again_leaves_the_same_metadata(built):
    command, output = built
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    commands.main(command)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


def test_other_metadata_are_refused_before_anything_is_fetched(built, capsys, monkeypatch):
    monkeypatch.setattr(commands, "fetch_sources", lambda *_: pytest.fail("it fetches"))
    _, output = built
    fetching = ["--download", "--contact", "me@example.org", "--languages", "sw", "--output", output]
    assert "holds metadata made differently" in refusal(capsys, commands.main, *fetching)


def test_entries_that_python_saved_are_other_metadata(sample, tmp_path, capsys):
    Entries.build({"en": ["dog"]}).save(tmp_path / "out")
    command = ["--wordnet", sample / "wordnet" / "dict", "--output", tmp_path / "out"]
    assert "(other sources)" in refusal(capsys, commands.main, *command)


@pytest.mark.parametrize("content", ["[]", '{"name": "of someone"}'])
def test_a_metadata_json_of_another_program_is_left_alone(sample, tmp_path, capsys, content):
    (tmp_path / "metadata.json").write_text(content)
    command = ["--wordnet", sample / "wordnet" / "dict", "--output", tmp_path, "--overwrite"]
    assert "a metadata.json of another program; specify an empty or new folder" in refusal(
        capsys, commands.main, *command
    )
    assert (tmp_path / "metadata.json").read_text() == content


def test_metadata_are_built_again_beside_what_someone_has_put_there(sample, tmp_path):
    for _ in range(2):
        commands.main(["--wordnet", str(sample / "wordnet"), "--output", str(tmp_path / "out")])
        (tmp_path / "out" / "notes.txt").write_text("of someone")
    assert (tmp_path / "out" / "notes.txt").exists()
