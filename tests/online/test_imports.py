"""Online balancing needs torch only where a dataset is made."""

import subprocess
import sys

import pytest

from curation import online
from tests.support.checkout import ROOT


@pytest.mark.slow
def test_an_index_is_built_without_importing_torch():
    code = "import sys; from curation.plugins.online import Index, World, build; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_dataset_is_a_public_name_with_or_without_torch():
    assert online.BalancedDataset.__name__ == "BalancedDataset"
    with pytest.raises(AttributeError, match="no attribute 'BalancedDatasets'"):
        online.BalancedDatasets  # noqa: B018
