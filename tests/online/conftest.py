"""A run with tars and an index, made once."""

import pytest

from tests.support.online_run import Made
from tests.support.stand_ins import needed
from tests.support.training import write_patches


@pytest.fixture
def needs_torch():
    return needed("torch")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("online"))


@pytest.fixture
def patches(tmp_path):
    """The folder of tars of coloured patches, of a run of curate over them, and of tars of those that it kept."""
    write_patches(tmp_path)
    return tmp_path
