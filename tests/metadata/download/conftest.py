"""Servers are asked by one thread, and nobody waits."""

import random

import pytest

from metadata.download.fetch import Client, Manners


@pytest.fixture
def manners():
    return Manners(jobs=1)


@pytest.fixture(autouse=True)
def slept(monkeypatch):
    """The seconds that would have been waited."""
    seconds = []
    monkeypatch.setattr(Client, "sleep", lambda client, wait: seconds.append(wait))
    monkeypatch.setattr(random, "random", lambda: 1.0)
    return seconds
