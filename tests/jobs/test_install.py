"""A job says what is missing where it runs. `.ci/wheel` tries what the wheel installs."""

import shutil
import subprocess
import sys

import pytest

from tests.support.checkout import ROOT


@pytest.mark.parametrize("job", ["build_metadata", "curate", "run"])
def test_a_job_says_what_is_missing(job, tmp_path):
    shutil.copy(ROOT / "jobs" / f"{job}.py", tmp_path)
    bare = [sys.executable, "-S", "-E", f"{job}.py"]
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "clip-curation is not installed in" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["clip-nothing"]])
def test_a_job_for_any_command_says_which_there_are(arguments):
    job = [sys.executable, str(ROOT / "jobs" / "run.py"), *arguments]
    done = subprocess.run(job, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "give one of clip-align, clip-cluster" in done.stderr
