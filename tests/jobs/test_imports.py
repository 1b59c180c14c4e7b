"""A command imports what takes long when it needs it: Spark, pandas, models."""

import subprocess
import sys

import pytest

from tests.support.checkout import ROOT

LATER = {"PIL", "ahocorasick", "fasttext", "pandas", "pyspark", "torch"}


@pytest.mark.parametrize("name", ["curate", "export", "remove", "verify", "cluster", "score_images", "hash_images"])
def test_a_command_starts_without_what_takes_long_to_import(name):
    code = f"import sys, runtime.without_pandas, curation.commands.{name}; print(sorted({LATER!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
