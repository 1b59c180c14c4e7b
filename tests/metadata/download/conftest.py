"""Manners under which nobody waits."""

import pytest

from metadata.download.manners import Manners
from tests.support.downloads import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def manners(clock):
    return Manners(jobs=1, tries=4, timeout=(30, 30), clock=clock)
