"""Matching imports no engine that it does not use."""

import subprocess
import sys

import pytest

from tests.support.checkout import ROOT


@pytest.mark.slow
def test_matching_by_the_default_engines_imports_no_other_engine():
    code = (
        "import sys; from curation import Matching; from metadata import Entries; "
        "Matching.of(Entries.build({'en': ['dog']})).find(['a dog in the park']); "
        "sys.exit(bool({'ahocorasick', 'fasttext', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
