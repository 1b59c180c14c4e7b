"""Ctrl-C while a command writes ends it without a trace."""

import os
import sys

import pytest

from tests.support.checkout import ROOT
from tests.support.terminals import on_terminal

WRITING = """
from runtime import terminal
from runtime.console import command

with command("job"):
    while True:
        terminal.say("working")
"""


@pytest.mark.slow
def test_ctrl_c_while_a_line_is_written_ends_without_a_trace(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(WRITING)
    for _ in range(5):
        seen = on_terminal([sys.executable, script], os.environ | {"PYTHONPATH": str(ROOT)}, interrupt_at="working")
        # The terminal drops what it has not shown when Ctrl-C comes, such as the end of a line.
        assert seen.lines[-1].endswith("job: stopped; run the same command again to resume")
        assert "Traceback" not in seen.text
        assert seen.status == 130
