"""A PyTorch dataset that mixes several balanced datasets into one stream by their weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from curation.online.dataset import BalancedDataset, Position, full_batches
from curation.online.mix import Mix
from runtime.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch.utils.data import IterableDataset
else:
    from curation.online.dataset import IterableDataset, torch

AGAIN = 1 << 20  # added to the epoch of a part that begins again: no epoch of the mix has the same draws


@dataclass(frozen=True)
class _Progress:
    """How far a reader has come in an epoch: the samples of each part, and its position."""

    epoch: int
    taken: dict[str, int]
    positions: dict[str, Position]


class MixedDataset(IterableDataset):
    """The samples of several datasets in one stream, in the shares of a Mix.

    Each dataset balances by its own rates, which may be those of `common_rates`. All must have the same `world`.
    """

    def __init__(self, parts: Mapping[str, BalancedDataset], mix: Mix) -> None:
        super().__init__()
        if parts.keys() != mix.weights.keys():
            raise InputError(
                f"datasets of {', '.join(parts)} come with weights of {', '.join(mix.names)}; give one each"
            )
        if len({part.world for part in parts.values()}) > 1:
            raise InputError("the datasets of a mix have different ranks; give all of them the same world")
        if any(part.config.batches is not None for part in parts.values()):
            raise InputError("batches that are chosen by entries cannot be mixed; give the datasets of a mix none")
        self.parts, self.mix = dict(parts), mix
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._begun: _Progress | None = None
        self._resumed: _Progress | None = None

    def set_epoch(self, epoch: int) -> None:
        """Draw for this epoch (0, 1, …) when the dataset is iterated next; call it before each epoch."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Any]:
        begun = self._resumed or self._beginning()
        self._resumed, self._begun = None, begun
        return self._samples(begun)

    def steps(self, batch_size: int, workers: int = 0) -> int:
        """Return the full batches that every rank gets this epoch, with so many workers each and drop_last=True."""
        whole = self.parts[self.mix.whole]
        whole.set_epoch(int(self._epoch))
        return full_batches(self.mix.sizes(whole.shares(workers)), batch_size, whole.world.size)

    def state_dict(self) -> dict:
        """Return how far this worker has come, for `load_state_dict` of the same worker in the same layout."""
        return {"layout": self._layout(), "progress": asdict(self._resumed or self._begun or self._beginning())}

    def load_state_dict(self, state: dict) -> None:
        """Go on, when iterated next, after the sample that was the last when `state` was taken."""
        layout, saved = self._layout(), state.get("layout", {})
        differing = [name for name in layout | saved if saved.get(name) != layout.get(name)]
        if differing:
            what = ", ".join(differing)
            raise InputError(f"the state was taken with another {what}; resume with the same mix, or begin an epoch")
        progress = state["progress"]
        positions = {name: Position(**position) for name, position in progress["positions"].items()}
        self._resumed = _Progress(progress["epoch"], dict(progress["taken"]), positions)
        self._epoch.fill_(progress["epoch"])

    def _beginning(self) -> _Progress:
        epoch, names = int(self._epoch), self.mix.names
        return _Progress(epoch, dict.fromkeys(names, 0), dict.fromkeys(names, Position(epoch)))

    def _samples(self, progress: _Progress) -> Iterator[Any]:
        taken, positions = progress.taken, progress.positions
        streams = {name: part.samples(positions[name]) for name, part in self.parts.items()}
        for name in self.mix.turns(taken):
            found = next(streams[name], None)
            if found is None and name == self.mix.whole:
                return
            if found is None:
                streams[name] = self.parts[name].samples(Position(positions[name].epoch + AGAIN))
                found = next(streams[name], None)
            if found is None:
                raise InputError(f"{name} has no sample for a reader; read with fewer workers, or smaller block_rows")
            taken[name] += 1
            sample, positions[name] = found
            yield sample

    def _layout(self) -> dict:
        """Return all that must be the same for a saved position to mean the same."""
        parts = {f"part {name}": part.layout() for name, part in self.parts.items()}
        return {"mix": self.mix.description} | parts
