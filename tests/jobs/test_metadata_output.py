"""The output folder of build_metadata is its own: no package, no source, and in no source."""

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
    assert f"output {tmp_path} holds {name}, which is of no metadata; give an empty or new folder" in said
    with pytest.raises(InputError, match="which is of no metadata"):
        write_metadata(lambda: None, MetadataConfig(), Sources.find(), tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "of someone"}


def test_metadata_are_built_again_beside_what_someone_has_put_there(sample, tmp_path):
    for _ in range(2):
        commands.main(["--wordnet", str(sample / "wordnet"), "--output", str(tmp_path / "out")])
        (tmp_path / "out" / "notes.txt").write_text("of someone")
    assert (tmp_path / "out" / "notes.txt").exists()
