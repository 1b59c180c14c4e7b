"""An engine whose tasks run in this process, one after the other, with something done before each."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from runtime.engine.local import Call, Local


class InTurn(Local):
    """Calls `before` with the number of each task, which may end the command."""

    def __init__(self, before: Callable[[int], object]):
        super().__init__(cores=1)
        self._before, self._begun = before, 0
        self.cores = 2  # as many as steps count on

    def _each(self, items: Sequence[Any], call: Call) -> Iterator[Any]:
        for place, item in enumerate(items):
            self._before(self._begun)
            self._begun += 1
            yield call(place, item)


def in_turn(before: Callable[[int], object] = lambda number: None) -> InTurn:
    """Return an engine of this process."""
    return InTurn(before)


def killed_at(number: int) -> Callable[[int], None]:
    """Return what ends a command as Ctrl-C does, before the task of this number."""

    def before(task: int) -> None:
        if task == number:
            raise KeyboardInterrupt

    return before
