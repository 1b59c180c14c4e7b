"""Damaged files, made from seeds: what reads them answers rightly or refuses them in one sentence, and nothing else.

All that was found is looked at with every `make test`, and a few seeds; `make soak` takes new ones for ten minutes.
"""

import os
import random
import subprocess
import sys

import pytest

from tests.fuzz.target import FOUND
from tests.fuzz.targets import TARGETS
from tests.support.checkout import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures memory as Linux does")
FEW = 100  # seeds of each target
SOAK = 600  # seconds for all
OF_DECODERS = ("Error parsing sequence header", "Overrun in OBU bit buffer")  # of Pillow 11.3, for AVIF


def fuzz(first: int, seconds: float, *names: str, **environment: str) -> None:
    """Let a process of its own look at files; see `tests.fuzz.child`."""
    command = [sys.executable, "-W", "error", "-m", "tests.fuzz.child", str(first), str(seconds), *names]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    print(done.stdout)
    said = [line for line in done.stderr.splitlines() if line not in OF_DECODERS]
    assert (done.returncode, said) == (0, []), done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.kernels
def test_damaged_files_are_read_or_refused():
    fuzz(0, -FEW)


def test_each_file_that_was_found_is_of_a_target():
    assert {path.name for path in FOUND.iterdir()} <= TARGETS.keys()


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_many_damaged_files_are_read_or_refused(name, tmp_path_factory):
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "numba")}
    fuzz(random.SystemRandom().randrange(1 << 30), SOAK / len(TARGETS), name, **checked)
