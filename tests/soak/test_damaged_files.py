"""Damaged tars and pictures are read or refused, none for longer than 20 seconds. At length with `make soak`."""

import os
import subprocess
import sys

import pytest

from tests.support.checkout import ROOT

KINDS = ("tars", "pictures")


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
    assert (done.returncode, done.stderr) == (0, ""), f"seed {done.stdout.split()[-1:]}: {done.stderr}"
    print(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused(kind):
    damage(kind, 0, 60)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files_are_read_or_refused(kind):
    damage(kind, 1_000, 6_000)
