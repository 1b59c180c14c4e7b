"""A finished run."""

import pytest

from tests.support.finished_run import finished_run, image


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "run", [image(number) for number in range(60)])
