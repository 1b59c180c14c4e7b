"""A run with tars and an index, made once."""

import pytest

from tests.support.online_run import Made
from tests.support.stand_ins import needed


@pytest.fixture
def needs_torch():
    return needed("torch")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("online"))
