"""Kernels are compiled ahead once, by other processes, and a person is told so."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from curation.plugins.gate.options import GateOptions
from curation.run import warm
from runtime import kernel_caches as caches
from runtime import warming
from runtime.errors import InputError
from runtime.progress import Progress
from runtime.storage.locks import alone
from runtime.storage.paths import make_folder
from runtime.warming import compile_kernels
from tests.support.checkout import ROOT, program

CALLS = {tempfile.gettempdir: 3, tempfile.gettempprefix: 4}  # functions that other processes can import


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of kernels in which nothing is."""
    monkeypatch.setattr(warming, "_cache_folder", lambda: str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_calls_are_made_once(cache):
    progress = Progress()
    compile_kernels(CALLS, progress)
    compile_kernels(CALLS, progress)
    (time,) = progress.times()
    assert time["stage"] == "compile 7 kernels, once on this machine"
    assert (time["items"], time["unit"]) == (0, "kernels")  # these functions use none
    assert len(list(cache.glob("compiled-*"))) == 2


def test_a_call_that_was_made_with_calls_of_other_modules_is_not_made_again(cache):
    compile_kernels({tempfile.gettempdir: 3, _pass: 1})
    progress = Progress()
    compile_kernels({tempfile.gettempdir: 3}, progress)
    assert progress.times() == []


@pytest.mark.slow
def test_further_calls_and_changed_kernels_are_made_anew(cache, monkeypatch):
    progress = Progress()
    compile_kernels({tempfile.gettempdir: 3})
    compile_kernels(CALLS, progress)
    assert progress.times()[0]["stage"].startswith("compile 4 kernels")
    assert len(list(cache.glob("compiled-*"))) == 2
    monkeypatch.setattr(warming, "_sources", lambda calls: iter([("a.py", b"changed")]))
    compile_kernels(CALLS)
    assert len(list(cache.glob("compiled-*"))) == 4


def test_a_process_that_waits_for_another_shows_its_kernels(cache):
    stages = []

    class Shown(Progress):
        @contextmanager
        def _shown(self, stage):
            stages.append(stage)
            with super()._shown(stage):
                yield

    make_folder(cache)
    (cache / "compiling-count").write_bytes(b"a\nb\nc\na\nd\ne\n")  # one of them by two processes
    with ThreadPoolExecutor(1) as another, alone(cache / "compiling"):
        waiting = another.submit(compile_kernels, CALLS, Shown())
        while not any("5/7 kernels" in str(stage) for stage in stages):
            assert not waiting.done()
    waiting.result()


def test_a_call_that_fails_stops_nobody(cache, caplog):
    with caplog.at_level(logging.WARNING):
        compile_kernels({json.loads: 1})  # which needs an argument
    assert "compiled where it is first needed" in caplog.text
    assert list(cache.glob("compiled-*")) == []


def test_a_compiler_that_is_killed_stops_nobody(cache, caplog):
    with caplog.at_level(logging.WARNING):
        compile_kernels({_end: 1, tempfile.gettempdir: 3})
    assert "compiled where it is first needed" in caplog.text
    assert list(cache.glob("compiled-*")) == []


def test_a_compiler_that_never_ends_stops_nobody(cache, caplog, monkeypatch):
    monkeypatch.setattr(warming, "MAX_SECONDS", 0.1)
    with caplog.at_level(logging.WARNING):
        compile_kernels({_wait: 1})
    assert "compiled where it is first needed" in caplog.text


def test_a_cache_that_cannot_be_written_stops_nobody(cache):
    cache.write_text("not a folder")
    compile_kernels(CALLS)


def test_without_a_cache_nothing_is_done(monkeypatch):
    monkeypatch.setattr(warming, "_cache_folder", lambda: None)
    progress = Progress()
    compile_kernels(CALLS, progress)
    assert progress.times() == []


def test_a_worker_does_not_go_on_with_kernels_of_someone_else(cache, monkeypatch):
    monkeypatch.setattr(caches, "_faults", ["/cache belongs to someone else"])
    with pytest.raises(InputError, match="/cache belongs to someone else"):
        compile_kernels(CALLS)
    assert not cache.exists()


@pytest.mark.soak
def test_a_dry_run_announces_once_all_kernels_of_a_run_with_a_gate(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "pairs.csv").write_text("url,text\nhttps://a.example/1.jpg,A dog\n")
    (tmp_path / "en.txt").write_text("dog\n")
    command = [sys.executable, "jobs/curate.py", "--input", str(tmp_path / "pairs.csv")]
    command += ["--entries", f"en={tmp_path / 'en.txt'}", "--output", str(tmp_path / "out")]
    command += ["--policy", "recommended", "headline:50", "min_words:2", "file_name"]
    announced, compiled = [], []
    for more in (["--dry-run"], []):
        done = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True)
        announced.append(set(re.findall(r"compile (\d+) kernels, once on this machine", done.stderr)))
        compiled.append({path.name for path in (tmp_path / "cache").rglob("*.nbc")})
    kernels = warm.CALLS | GateOptions(policy=command[command.index("--policy") + 1 :]).kernels()
    assert announced == [{str(sum(kernels.values()))}, set()]
    assert compiled[0] == compiled[1]
    (count,) = (tmp_path / "cache").rglob("compiling-count")
    assert len({*count.read_bytes().splitlines()}) == sum(kernels.values())


@pytest.mark.soak
def test_a_run_compiles_nothing_more(sample, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    subprocess.run(
        [sys.executable, "-c", "from runtime.warming import compile_kernels; from curation.run import warm; "
         "compile_kernels(warm.ALL)"],
        cwd=ROOT, check=True, env=os.environ,
    )  # fmt: skip
    (count,) = (tmp_path / "cache").rglob("compiling-count")
    assert len({*count.read_bytes().splitlines()}) == sum(warm.ALL.values())
    compiled = {path.name for path in (tmp_path / "cache").rglob("*.nbc")}
    entries = [f"{path.stem}={path}" for path in sorted((sample / "entries").glob("*.txt"))]
    command = [program("clip-curate"), "--input", sample / "crawl", sample / "pairs", "--entries", *entries]
    subprocess.run([*command, "--english-threshold", "20", "--output", tmp_path / "out"], check=True, env=os.environ)
    more = {path.name for path in (tmp_path / "cache").rglob("*.nbc")} - compiled
    assert more == set(), f"{warm.__name__} does not use these kernels as a run does"


def _pass() -> None:
    pass


def _wait() -> None:
    time.sleep(600)


def _end():
    """Kill this process, as the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
