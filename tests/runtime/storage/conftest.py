"""Short waits and small blocks, for all tests of storage."""

from dataclasses import replace

import pytest

from curation.inputs import files
from curation.inputs.files import formats
from runtime.storage import remote
from runtime.storage import remote as retrying
from tests.support.remote_files import SMALL


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """Nobody waits, and blocks are small."""
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.0001)
    small = {each.name: replace(each, reading=SMALL) for each in formats().values() if each.reading == remote.AHEAD}
    monkeypatch.setattr(files, "formats", lambda: formats() | small)
