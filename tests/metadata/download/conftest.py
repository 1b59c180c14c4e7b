"""A server, and manners under which nobody waits."""

import pytest

from metadata.download.manners import Manners
from tests.support.downloads import FakeClock
from tests.support.http_server import serving


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def manners(clock):
    return Manners(jobs=1, tries=4, timeout=(30, 30), clock=clock)
