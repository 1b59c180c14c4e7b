"""Processes that share the work of a command end with it."""

import os
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

from runtime.interrupts import process_pool
from tests.support.checkout import ROOT
from tests.support.terminals import on_terminal

SCRIPT = """
import time
from runtime import terminal
from runtime.console import command
from runtime.interrupts import process_pool

if __name__ == "__main__":
    with command("job"), process_pool(2) as pool:
        if WAITS:
            pool.submit(time.sleep, 0).result()
            pool.submit(time.sleep, 0).result()
            time.sleep(1)  # until both have begun
        tasks = [pool.submit(time.sleep, 60) for _ in range(8)]
        terminal.say("ready")
        tasks[0].result()
"""


WRITING = """
from runtime import terminal
from runtime.console import command

with command("job"):
    while True:
        terminal.say("working")
"""


def test_work_is_shared():
    with process_pool(2) as pool:
        assert list(pool.map(abs, [-1, -2, 3])) == [1, 2, 3]


def test_an_error_does_not_wait_for_work_that_has_not_begun():
    begin = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        fail_beside([0.2] * 300)
    assert time.monotonic() - begin < 50


def fail_beside(seconds: list[float]) -> None:
    with process_pool(1) as pool:
        pool.map(time.sleep, seconds)
        1 / 0  # noqa: B018


def test_a_process_that_dies_is_noticed():
    with pytest.raises(BrokenProcessPool), process_pool(1) as pool:
        pool.submit(os._exit, 1).result()


@pytest.mark.slow
def test_ctrl_c_while_a_line_is_written_ends_without_a_trace(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(WRITING)
    for _ in range(5):
        seen = on_terminal([sys.executable, script], os.environ | {"PYTHONPATH": str(ROOT)}, interrupt_at="working")
        # The terminal drops what it has not shown when Ctrl-C comes, such as the end of a line.
        assert seen.lines[-1].endswith("job: stopped; run the same command again to go on")
        assert "Traceback" not in seen.text
        assert seen.status == 130


@pytest.mark.slow
@pytest.mark.parametrize("waits", [True, False], ids=["at work", "as they begin"])
def test_ctrl_c_ends_all_without_a_trace(tmp_path, waits):
    script = tmp_path / "job.py"
    script.write_text(SCRIPT.replace("WAITS", str(waits)))
    seen = on_terminal([sys.executable, script], os.environ | {"PYTHONPATH": str(ROOT)}, interrupt_at="ready\r\n")
    assert seen.lines == ["ready", "job: stopped; run the same command again to go on"]
    assert seen.status == 130
