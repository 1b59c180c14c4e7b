"""Short waits and small blocks, for all tests of storage."""

import pytest

from curation.inputs import files
from runtime.storage import retrying
from tests.support.http_server import serving
from tests.support.remote_files import SMALL


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """Nobody waits, and blocks are small."""
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.0001)
    monkeypatch.setattr(files, "AHEAD", SMALL)


@pytest.fixture
def server():
    with serving() as server:
        yield server
