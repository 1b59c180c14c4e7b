"""Arguments, inputs, columns, output and space are checked before anything that takes seconds."""

from collections import namedtuple
from types import SimpleNamespace

import pytest

from curation import InputError, curate
from curation.config import CurationConfig
from curation.inputs.files import find
from curation.inputs.tables.columns import TableOptions
from curation.run import disk_space, pipeline, request
from curation.run.preview import preview, preview_text
from curation.run.request import Options
from metadata.entries import Entries
from runtime.kernel_caches import scratch_folder
from runtime.progress import Progress
from tests.support.tables import json_lines

Usage = namedtuple("Usage", "total free")


@pytest.fixture
def pairs(tmp_path):
    """Inputs with 2,000 pairs; what names no folder of its own is beside them."""
    rows = ({"url": f"http://a.example/{number}.jpg", "text": f"dog {number}"} for number in range(2000))
    (tmp_path / "pairs.jsonl").write_text(json_lines(*rows))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    return tmp_path


@pytest.fixture
def fresh(monkeypatch):
    """Let what a fresh machine builds fail the test."""

    def building(*_):
        raise AssertionError("something is built")

    monkeypatch.setattr(request, "starter_entries", building)
    monkeypatch.setattr(pipeline, "compile_kernels", building)
    monkeypatch.setattr(request, "compile_kernels", building)


@pytest.mark.parametrize(
    ("inputs", "output", "options", "expected"),
    [
        ("typo.jsonl", "out", {}, "typo.jsonl does not exist"),
        ("pairs.jsonl", "out", {"columns": TableOptions(url_column="nothing")}, "no column nothing"),
        ("pairs.jsonl", "pairs.jsonl", {}, "is the output folder"),
        ("pairs.jsonl", "other/file", {}, "other/file is a file; specify a folder"),
        ("pairs.jsonl", "other", {}, "contains files that are not a run of clip-curate"),
        ("pairs.jsonl", "out", {"exclude": ["typo.txt"]}, "typo.txt"),
        ("pairs.jsonl", "out", {"model": "typo.bin"}, "typo.bin cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_built(fresh, pairs, inputs, output, options, expected):
    with pytest.raises(InputError, match=expected):
        curate(pairs / inputs, pairs / output, options=Options(**options))


def test_an_output_that_may_not_be_written_is_refused_before_anything_is_built(fresh, pairs, monkeypatch):
    real = pipeline.require_output.__globals__["os"].access
    monkeypatch.setattr("os.access", lambda path, mode: path != pairs / "other" and real(path, mode))
    with pytest.raises(InputError, match="out cannot be written, as .*other is not writable; pass another folder"):
        curate(pairs / "pairs.jsonl", pairs / "other" / "out")


class Noting(Progress):
    """Keeps the lines for the user."""

    def __init__(self):
        super().__init__()
        self.notes = []

    def note(self, line):
        self.notes.append(line)


@pytest.fixture
def free(monkeypatch):
    """Return a function that sets the bytes that are free on each disk, or on those of folders with a name."""

    def set_free(size, name=""):
        def usage(path):
            return Usage(1 << 40, size if name in str(path) else 1 << 39)

        monkeypatch.setattr(disk_space.shutil, "disk_usage", usage)

    return set_free


def test_a_run_that_will_not_fit_is_refused_with_its_folder(fresh, free, pairs):
    free(100_000)
    with pytest.raises(
        InputError, match=r"about 1\d\d\.\d kB will be written into .*/out, but only 100.0 kB are free on it"
    ):
        curate(pairs / "pairs.jsonl", pairs / "out")
    assert not (pairs / "out").exists()


def test_a_run_that_may_not_fit_says_so_and_runs(free, pairs):
    free(250_000)
    entries, progress = Entries.build({"en": ["dog"]}), Noting()
    curate(pairs / "pairs.jsonl", pairs / "out", metadata=entries, progress=progress)
    assert any(note.startswith("about ") and note.endswith("estimates this more exactly.") for note in progress.notes)
    free(100)
    curate(pairs / "pairs.jsonl", pairs / "out", metadata=entries)  # the run is there, and writes little


def test_temporary_files_of_spark_that_may_not_fit_are_named_with_their_folder(free, pairs):
    free(100_000, str(scratch_folder()))
    progress = Noting()
    inputs = find([str(pairs / "pairs.jsonl")])
    disk_space.warn_of_temporary_files(pairs / "out", inputs, Options(), SimpleNamespace(is_local=False), progress)
    (note,) = progress.notes
    assert note.endswith("kB are free on its disk; set TMPDIR to a folder on another disk.")
    assert f"will be written into {scratch_folder()}, but only 100.0 kB" in note


def test_processes_need_no_temporary_files_as_large_as_the_pairs(free, pairs):
    free(100_000, str(scratch_folder()))
    progress = Noting()
    curate(pairs / "pairs.jsonl", pairs / "out", metadata=Entries.build({"en": ["dog"]}), progress=progress)
    assert progress.notes == []


def test_a_dry_run_says_that_a_run_will_not_fit(free, pairs):
    entries, config = Entries.build({"en": ["dog"]}), CurationConfig()
    for size, expected in ((200_000, True), (10_000_000, False)):
        free(size)
        text = preview_text(preview([pairs / "pairs.jsonl"], pairs / "out", metadata=entries, config=config))
        assert ("this will not fit: about " in text) is expected
