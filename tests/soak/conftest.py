"""What tests of faults share: a quiet run to compare with, and the end of all processes that a test began."""

import pytest

from tests.support.faults import curate_arguments, leave_nothing
from tests.support.sample_runs import curated
from tests.support.spark_jobs import run_here


@pytest.fixture
def afterwards():
    yield
    leave_nothing()


@pytest.fixture(scope="module")
def whole(sample, tmp_path_factory) -> dict[str, bytes]:
    """What a run writes to a local folder that nothing disturbs."""
    output = tmp_path_factory.mktemp("whole") / "out"
    assert run_here(*curate_arguments(sample, output)) == 0
    return curated(output)
