"""Iterate PyTorch datasets that go on where a saved state left them: each sample comes with the position after it."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from runtime.errors import InputError
from runtime.packages import missing

if TYPE_CHECKING:
    import torch
    from torch.utils.data import IterableDataset, get_worker_info
else:
    try:
        import torch
        from torch.utils.data import IterableDataset, get_worker_info
    except ImportError:  # a dataset says what to install when it is made
        torch, IterableDataset = None, object


class Resumable(IterableDataset):
    """Samples of epochs, from a position on; a position is a dataclass of what JSON has."""

    def __init__(self) -> None:
        if torch is None:
            raise InputError(f"balancing while training needs PyTorch; {missing('torch', 'torch')}")
        super().__init__()
        # In shared memory: workers that live on from one epoch to the next see it change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._position: Any = None
        self._resumed: Any = None
        self._loaded_in = 0  # the process

    @abstractmethod
    def samples(self, position: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the samples of this worker that come after a position, each with the position after it."""

    @abstractmethod
    def beginning(self, epoch: int) -> Any:
        """Return the position before the first sample of an epoch."""

    @abstractmethod
    def saved(self, position: dict) -> Any:
        """Return the position that a state has."""

    @abstractmethod
    def layout(self) -> dict:
        """Return all that must be the same for a saved position to mean the same."""

    @property
    def epoch(self) -> int:
        """The epoch that is drawn when the dataset is iterated next."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw for this epoch (0, 1, …) when the dataset is iterated next; call it before each epoch."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Any]:
        resumed, self._resumed = self._resumed, None
        if resumed and self._loaded_in != os.getpid():
            raise InputError("a process has loaded a state of its own, not of its workers; use a StatefulDataLoader")
        if resumed is None or resumed.epoch != self.epoch:  # another one was set
            resumed = self.beginning(self.epoch)
        self._position = resumed
        return self._taken(resumed)

    def _taken(self, position: Any) -> Iterator[Any]:
        for sample, after in self.samples(position):
            self._position = after
            yield sample

    def state_dict(self) -> dict:
        """Return how far this worker has come, for `load_state_dict` of the same worker in the same layout."""
        position = self._resumed or self._position or self.beginning(self.epoch)
        return {"layout": self.layout(), "position": asdict(position)}

    def load_state_dict(self, state: dict) -> None:
        """Go on, when iterated next, after the sample that was the last when `state` was taken.

        Where a later epoch is set, before or after, that epoch begins instead.
        """
        layout, taken = self.layout(), state.get("layout", {})
        differing = [name for name in layout | taken if taken.get(name) != layout.get(name)]
        if differing:
            was, now = ({name: each.get(name) for name in differing} for each in (taken, layout))
            raise InputError(f"the state was taken with {was}, here is {now}; resume with the same, or begin an epoch")
        self._resumed, self._loaded_in = self.saved(state["position"]), os.getpid()
        self._epoch.fill_(max(self.epoch, self._resumed.epoch))


def this_worker() -> tuple[int, int]:
    """Return the number of this worker and the number of workers; a process without workers is worker 0 of 1."""
    info = get_worker_info()
    return (info.id, info.num_workers) if info else (0, 1)
