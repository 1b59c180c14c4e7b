"""The proof in miniature refuses a folder that it cannot use in one sentence."""

import subprocess
import sys

import pytest

from tests.support.checkout import ROOT


@pytest.mark.parametrize(("step", "exists", "sentence"), [("world", True, "exists"), ("draw", False, "holds no world")])
def test_a_folder_of_no_use_is_refused(tmp_path, step, exists, sentence):
    folder = tmp_path if exists else tmp_path / "none"
    command = [sys.executable, ROOT / "tests" / "bench" / "miniature.py", step, folder]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2
    assert f"{folder} {sentence}" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
