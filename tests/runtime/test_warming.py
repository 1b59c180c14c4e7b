"""Kernels are compiled ahead once, by other processes, and a person is told so."""

import json
import logging
import os
import subprocess
import sys
import tempfile

import pytest

from curation.run import warm
from runtime import caches, warming
from runtime.errors import InputError
from runtime.progress import Progress
from runtime.warming import compile_kernels
from tests.support.checkout import ROOT

CALLS = [tempfile.gettempdir, tempfile.gettempprefix]  # functions that other processes can import


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of kernels in which nothing is."""
    monkeypatch.setattr(warming, "_cache_folder", lambda: str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_calls_are_made_once(cache):
    progress = Progress()
    compile_kernels(CALLS, 30, progress)
    compile_kernels(CALLS, 30, progress)
    (time,) = progress.times()
    assert time["stage"].startswith("compile kernels, once per machine (about ")
    assert (time["items"], time["unit"]) == (2, "groups")
    assert len(list(cache.glob("compiled-*"))) == 1


def test_other_calls_or_changed_kernels_are_made_anew(cache, monkeypatch):
    compile_kernels(CALLS, 30)
    compile_kernels(CALLS[:1], 30)
    assert len(list(cache.glob("compiled-*"))) == 2
    monkeypatch.setattr(warming, "_sources", lambda calls: iter([("a.py", b"changed")]))
    compile_kernels(CALLS, 30)
    assert len(list(cache.glob("compiled-*"))) == 3


def test_a_call_that_fails_stops_nobody(cache, caplog):
    with caplog.at_level(logging.WARNING):
        compile_kernels([json.loads], 30)  # which needs an argument
    assert "compiled where it is first needed" in caplog.text
    assert list(cache.glob("compiled-*")) == []


def test_a_cache_that_cannot_be_written_stops_nobody(cache):
    cache.write_text("not a folder")
    compile_kernels(CALLS, 30)


def test_without_a_cache_nothing_is_done(monkeypatch):
    monkeypatch.setattr(warming, "_cache_folder", lambda: None)
    progress = Progress()
    compile_kernels(CALLS, 30, progress)
    assert progress.times() == []


def test_a_worker_does_not_go_on_with_kernels_of_someone_else(cache, monkeypatch):
    monkeypatch.setattr(caches, "_faults", ["/cache belongs to someone else"])
    with pytest.raises(InputError, match="/cache belongs to someone else"):
        compile_kernels(CALLS, 30)
    assert not cache.exists()


@pytest.mark.soak
@pytest.mark.spark
def test_a_run_compiles_nothing_more(submit, sample, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    subprocess.run(
        [sys.executable, "-c", "from runtime.warming import compile_kernels; from curation.run import warm; "
         "compile_kernels(warm.CALLS, warm.SECONDS)"],
        cwd=ROOT, check=True, env=os.environ,
    )  # fmt: skip
    compiled = {path.name for path in (tmp_path / "cache").rglob("*.nbc")}
    entries = [f"{path.stem}={path}" for path in sorted((sample / "entries").glob("*.txt"))]
    done = submit(
        *("jobs/curate.py", "--input", sample / "crawl", sample / "pairs", "--entries", *entries),
        *("--english-threshold", 20, "--output", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    more = {path.name for path in (tmp_path / "cache").rglob("*.nbc")} - compiled
    assert more == set(), f"{warm.__name__} does not use these kernels as a run does"
