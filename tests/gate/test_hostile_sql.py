"""Hostile expressions for --keep are refused, or harmless, in bounded time and memory."""

import subprocess
import sys

import pytest

from tests.support.checkout import ROOT

MOST_SECONDS = 60  # of processors, for an expression and the process that tries it
MOST_MEGABYTES = 2000


@pytest.mark.parametrize(
    ("seed", "number"), [pytest.param(0, 20, marks=pytest.mark.slow), pytest.param(20, 80, marks=pytest.mark.soak)]
)
def test_expressions_that_want_files_settings_and_endless_work_are_refused_or_harmless(seed, number):
    command = [sys.executable, "-m", "tests.fuzz.hostile_sql", str(seed), str(number)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *lines, memory = (line.split("\t") for line in done.stdout.splitlines())
    assert len(lines) == number
    assert [line for line in lines if float(line[1]) > MOST_SECONDS] == []
    assert all(
        text.startswith(("refused: keep", "refused: condition", "refused: column", "met by")) for *_, text in lines
    )
    assert float(memory[1]) < MOST_MEGABYTES
