"""A stand-in for a Spark session: the tasks of a stage run in this process, one after the other."""

import gc
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from types import SimpleNamespace
from unittest.mock import patch

from tests.simulator import frames
from tests.simulator.engine import Session


class _Engine:
    """Runs tasks in their order; `before` is called with the number of each, and may end the command."""

    cores, hosts = 2, 0

    def __init__(self, before: Callable[[int], object]):
        self.driver = SimpleNamespace(chance=Random(0))
        self._before, self._begun = before, 0

    def stage(self, tasks: list[Callable[[], Iterator]]) -> list[list]:
        return [self._done(task) for task in tasks]

    def _done(self, task: Callable[[], Iterator]) -> list:
        self._before(self._begun)
        self._begun += 1
        with patch.object(gc, "freeze", lambda: None):  # this process makes garbage of its own
            return [*task()]


def in_turn(before: Callable[[int], object] = lambda number: None) -> Session:
    """Return a session for `runtime.spark.run` and `over`, and `runtime.shuffle.exchange`."""
    session = Session(_Engine(before))
    session.range = partial(frames.numbers, session)
    return session


def killed_at(number: int) -> Callable[[int], None]:
    """Return what ends a command as Ctrl-C does, before the task of this number."""

    def before(task: int) -> None:
        if task == number:
            raise KeyboardInterrupt

    return before
