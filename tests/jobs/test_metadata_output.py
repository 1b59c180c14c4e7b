"""The output folder of build_metadata is its own: no package, no source, and in no source."""

import shutil

from metadata import Entries, commands
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
