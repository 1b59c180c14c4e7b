"""A finished run, and commands that start no Spark."""

import pytest

from curation.commands import align, export, remove
from tests.support.finished_run import finished_run, image
from tests.support.in_turn import in_turn


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "run", [image(number) for number in range(60)])


@pytest.fixture(autouse=True)
def _without_spark(monkeypatch):
    """Let commands run their tasks in this process."""
    for command in (align, export, remove):
        monkeypatch.setattr(command, "session", lambda name: in_turn(), raising=False)
