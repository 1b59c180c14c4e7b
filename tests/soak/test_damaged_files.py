"""Damaged tars and pictures are read or named, none for longer than 20 seconds, and end no run. More in `make soak`."""

import os
import subprocess
import sys

import pytest

from tests.support.checkout import ROOT

KINDS = ("tars", "pictures")


RUNS = "runs"


def damage(kind: str, first: int, stop: int) -> None:
    command = [
        sys.executable,
        "-W",
        "error",
        ROOT / "tests" / "support" / "damage_files.py",
        kind,
        str(first),
        str(stop),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, f"seed {done.stdout.split()[-1:]}: {done.stderr}"
    assert kind == RUNS or done.stderr == ""
    print(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused(kind):
    damage(kind, 0, 60)


def test_a_run_over_damaged_tars_ends_well():
    damage(RUNS, 0, 20)


@pytest.mark.soak
def test_a_run_over_many_damaged_tars_ends_well():
    damage(RUNS, 0, 5_000)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files_are_read_or_refused(kind):
    damage(kind, 1_000, 6_000)
