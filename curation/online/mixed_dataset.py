"""A PyTorch dataset that mixes several balanced datasets into one stream by their weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from curation.online.dataset import BalancedDataset, Position, full_batches
from curation.online.mix import Mix
from curation.online.resumable import Resumable
from runtime.errors import InputError, require_kind

AGAIN = 1 << 20  # added to the epoch of a part that begins again: no epoch of the mix has the same draws


@dataclass(frozen=True)
class _Progress:
    """How far a reader has come in an epoch: the samples of each part, and its position."""

    epoch: int
    taken: dict[str, int]
    positions: dict[str, Position]


class MixedDataset(Resumable):
    """The samples of several datasets in one stream, in the shares of a Mix.

    Each dataset balances by its own rates, which may be those of `common_rates`. All must have the same `world`.
    """

    def __init__(self, parts: Mapping[str, BalancedDataset], mix: Mix) -> None:
        super().__init__()
        require_kind("parts", parts, Mapping, "a BalancedDataset by the name of each part")
        for name, part in parts.items():
            require_kind(f"the part {name}", part, BalancedDataset, "a BalancedDataset")
        require_kind("mix", mix, Mix, "a Mix of weights by the names of parts")
        if parts.keys() != mix.weights.keys():
            raise InputError(
                f"datasets of {', '.join(parts)} come with weights of {', '.join(mix.names)}; give one each"
            )
        if len({part.world for part in parts.values()}) > 1:
            raise InputError("the datasets of a mix have different ranks; give all of them the same world")
        if any(part.config.batches is not None for part in parts.values()):
            raise InputError("batches that are chosen by entries cannot be mixed; give the datasets of a mix none")
        self.parts, self.mix = dict(parts), mix

    def steps(self, batch_size: int, workers: int = 0) -> int:
        """Return the full batches that every rank gets this epoch, with so many workers each and drop_last=True."""
        whole = self.parts[self.mix.whole]
        whole.set_epoch(self.epoch)
        return full_batches(self.mix.sizes(whole.shares(workers)), batch_size, whole.world.size)

    def beginning(self, epoch: int) -> _Progress:
        """Return the position before the first sample of an epoch."""
        names = self.mix.names
        return _Progress(epoch, dict.fromkeys(names, 0), dict.fromkeys(names, Position(epoch)))

    def saved(self, position: dict) -> _Progress:
        """Return the position that a state has."""
        positions = {name: Position(**each) for name, each in position["positions"].items()}
        return _Progress(position["epoch"], dict(position["taken"]), positions)

    def samples(self, progress: _Progress) -> Iterator[tuple[Any, _Progress]]:
        """Yield the samples of this worker that come after a position, each with it: it is moved on in place."""
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
            yield sample, progress

    def layout(self) -> dict:
        """Return all that must be the same for a saved position to mean the same."""
        of_parts = ((name, part.layout()) for name, part in self.parts.items())
        return {"mix": self.mix.description} | {f"{name}: {key}": each[key] for name, each in of_parts for key in each}
