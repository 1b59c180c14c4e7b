"""PyTorch datasets that continue from a saved state: each sample comes with the position after it."""

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
    except ImportError:  # Resumable.__init__ says what to install
        torch, IterableDataset = None, object


class Resumable(IterableDataset):
    """The base of datasets over epochs of samples, which are yielded from any position on.

    A position is a dataclass whose fields JSON can represent.
    """

    def __init__(self) -> None:
        if torch is None:
            raise InputError(f"balancing while training needs PyTorch; {missing('torch', 'torch')}")
        super().__init__()
        # In shared memory: workers that live on from one epoch to the next see it change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._position: Any = None
        self._resumed: Any = None
        self._loaded_in = 0  # the id of the process that loaded the state

    @abstractmethod
    def samples(self, position: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the samples of this worker that come after a position, each with the position after it."""

    @abstractmethod
    def beginning(self, epoch: int) -> Any:
        """Return the position before the first sample of an epoch."""

    @abstractmethod
    def saved(self, position: dict) -> Any:
        """Return the position that a state's dict describes."""

    @abstractmethod
    def layout(self) -> dict:
        """Return, as JSON can represent it, all that must be unchanged for a saved position to be valid."""

    @property
    def epoch(self) -> int:
        """The epoch that the next iteration draws."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch (0, 1, …) that the next iteration draws; call this before each epoch."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Any]:
        resumed, self._resumed = self._resumed, None
        if resumed and self._loaded_in != os.getpid():
            raise InputError("a process has loaded a state of its own, not of its workers; use a StatefulDataLoader")
        if resumed is None or resumed.epoch != self.epoch:  # another epoch was set
            resumed = self.beginning(self.epoch)
        self._position = resumed
        return self._taken(resumed)

    def _taken(self, position: Any) -> Iterator[Any]:
        for sample, after in self.samples(position):
            self._position = after
            yield sample

    def state_dict(self) -> dict:
        """Return the layout and the position of this worker, for `load_state_dict` of the same worker."""
        position = self._resumed or self._position or self.beginning(self.epoch)
        return {"layout": self.layout(), "position": asdict(position)}

    def load_state_dict(self, state: dict) -> None:
        """Let the next iteration continue after the last sample before `state` was taken.

        If a later epoch is set, before or after this call, that epoch begins instead. InputError for a state of another
        layout.
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
