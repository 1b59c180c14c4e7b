"""The proof refuses a folder that it cannot use in one sentence."""

import subprocess
import sys

import pytest

from tests.support.checkout import ROOT


@pytest.mark.parametrize(
    ("arguments", "sentence"), [(("train", "none"), "none holds no worlds"), (("draw", "none", "a.svg"), "proof.csv")]
)
def test_a_folder_of_no_use_is_refused(tmp_path, arguments, sentence):
    command = [sys.executable, ROOT / "tests" / "bench" / "proof.py", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 2
    assert sentence in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
