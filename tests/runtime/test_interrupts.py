"""Ctrl-C ends a command in one sentence at any moment, and not once all is written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from metadata import Entries
from runtime.interrupts import _complete, interruptible
from tests.support.checkout import ROOT
from tests.support.terminals import Seen, on_terminal
from tests.support.written_run import write_run

STUCK = """
import time
from runtime import interrupts, terminal
from runtime.console import command

interrupts.PATIENCE = 0.2
with command("job"):
    try:
        terminal.say("ready")
        while True:  # Python does not see a signal that comes as a sleep begins
            time.sleep(0.01)
    except KeyboardInterrupt:  # as a library may
        time.sleep(60)
"""
COMPLETE = """
import os, signal
from runtime import interrupts, terminal
from runtime.console import command

with command("job"):
    interrupts.complete()
    os.kill(os.getpid(), signal.SIGINT)
    terminal.say("all is written")
"""
PROGRAM = """
from runtime.start import importing, run
with importing("job"):
    from module import main
run(main)
"""
SLOW = """
import time
print("importing", flush=True)
while True:
    time.sleep(0.01)
"""
ENDED = """
import os, signal

def main():
    print("done", flush=True)

import atexit
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
"""


@pytest.fixture
def interrupted(tmp_path):
    """Run a program beside a module on a terminal, press Ctrl-C once it is ready, and return what is seen."""

    def run(program: str, ready: str | None, module: str = "") -> Seen:
        for name, text in (("program.py", program), ("module.py", module)):
            (tmp_path / name).write_text(text)
        environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
        return on_terminal([sys.executable, tmp_path / "program.py"], environment, interrupt_at=ready, timeout=50)

    return run


def test_what_catches_the_interrupt_is_ended_all_the_same(interrupted):
    seen = interrupted(STUCK, "ready\r\n")
    assert seen.lines == ["ready", "job: stopped; run the same command again to resume"]
    assert seen.status == 130


def test_it_is_ignored_once_all_is_written(interrupted):
    seen = interrupted(COMPLETE, None)
    assert (seen.lines, seen.status) == (["all is written"], 0)


def test_a_run_is_complete_once_its_results_are_written(tmp_path):
    with interruptible("stopped"):
        write_run(tmp_path / "run", Entries.build({"en": ["dog"]}), [[("a dog", "en", [0])]], t=1)
        assert _complete.is_set()


HALF_DONE = """
import os, signal
from runtime import terminal
from runtime.console import command
from runtime.interrupts import postponed

with command("job"):
    with postponed():
        os.kill(os.getpid(), signal.SIGINT)
        print("half done", flush=True)
        print("done", flush=True)
    print("more", flush=True)
"""


def test_what_must_not_be_left_half_done_is_done_after_the_sentence(interrupted):
    seen = interrupted(HALF_DONE, None)
    assert seen.lines == ["job: stopped; run the same command again to resume", "half done", "done"]
    assert seen.status == 130


def test_while_the_packages_are_imported_nothing_has_begun(interrupted):
    seen = interrupted(PROGRAM, "importing\r\n", SLOW)
    assert (seen.lines, seen.status) == (["importing", "job: stopped before it began"], 130)


def test_it_is_ignored_while_the_program_ends(interrupted):
    seen = interrupted(PROGRAM, None, ENDED)
    assert (seen.lines, seen.status) == (["done"], 0)


def test_a_package_that_is_missing_is_named(tmp_path: Path):
    (tmp_path / "module.py").write_text("import no_such_package")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"job: no_such_package is not installed in {sys.executable}: activate the ")


def test_the_trace_of_an_unforeseen_error_does_not_act_on_a_terminal(tmp_path: Path):
    (tmp_path / "module.py").write_text("def main():\n    raise KeyError('\\x1b[2J https://a.org/b?token=d00d')")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "line 2, in main" in done.stderr
    assert "\x1b" not in done.stderr
    assert "d00d" not in done.stderr.splitlines()[-1]


TALKATIVE = """
from runtime import start
start._FIRST, start._NEXT = 0.2, 0.4
with start.importing("job"):
    from module import main
start.run(main)
"""
SILENT = """
import sys, time
time.sleep(1)

def main():
    time.sleep(1)
    print("done", file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--quiet"], ["--log-format=json"]])
def test_a_program_says_that_it_runs_while_it_is_imported_and_whenever_nothing_is_said(tmp_path, flags):
    (tmp_path / "module.py").write_text(SILENT)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    program = [sys.executable, "-c", TALKATIVE, *flags]
    lines = subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stderr.splitlines()
    assert lines.pop() == "done"
    if "--quiet" in flags:
        assert lines == []
        return
    said = [json.loads(line)["message"] for line in lines] if flags else lines
    assert said[0] == "job: starting, 0 s"
    assert len(said) >= 3
    assert {line.rpartition(",")[0] for line in said[1:]} == {"job: at work"}
