"""Mix several balanced datasets into one stream by weights; compute common rates from the counts of several runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from os import PathLike
from typing import Any

import numpy as np

from curation.balancing.thresholds import EntryCounts, rates_of, thresholds_at
from curation.config import CurationConfig
from curation.leaves.online.dataset import BalancedDataset, Position, Resumable, full_batches
from curation.leaves.online.kernels.batch_choice import deal
from curation.run.results import Results
from runtime.errors import InputError, ParameterError, require_kind, require_number, require_several

MOST_WEIGHT = 1e12
RUN = 1024  # turns that are computed at a time

AGAIN = 1 << 20  # added to the epoch of a part that begins again, so that it shares no draws with a later epoch


@dataclass(frozen=True)
class Mix:
    """The share of each part, a dataset, among the samples of a mix: its weight divided by the sum of all weights.

    Every reader takes the next sample from the part that is furthest behind its share. So the shares hold in each
    stretch of a reader's samples, not only on average. An epoch of the mix ends with the epoch of the part `epoch_of`.
    The default is the part with the largest weight; among equals, the first by name. A part that ends earlier begins
    again, with new draws.
    """

    weights: Mapping[str, float]
    epoch_of: str | None = None

    def __post_init__(self) -> None:
        require_kind("weights", self.weights, Mapping, "the weight of each part by its name")
        if not self.weights:
            raise InputError("a mix has no part; give the weight of each part by its name")
        for name, weight in self.weights.items():
            require_number(f"the weight of {name}", weight, 0, MOST_WEIGHT)
            if not weight:
                raise InputError(f"the weight of {name} is {weight}; give a number above 0, or leave the part out")
        if self.epoch_of is not None and self.epoch_of not in self.weights:
            raise ParameterError(f"is {self.epoch_of}; the parts are {', '.join(self.weights)}", "epoch_of")

    @property
    def names(self) -> list[str]:
        """The names of the parts, sorted."""
        return sorted(self.weights)

    @property
    def whole(self) -> str:
        """The name of the part whose epoch is an epoch of the mix."""
        return self.epoch_of or max(self.names, key=lambda name: self.weights[name])

    @property
    def shares(self) -> np.ndarray:
        """The share of each part, float64, in the order of `names`."""
        weights = np.array([self.weights[name] for name in self.names], np.float64)
        return weights / weights.sum()

    @property
    def description(self) -> dict[str, Any]:
        """The shares and the part `whole`, as JSON can represent them: equal for equal mixes."""
        return {"shares": dict(zip(self.names, self.shares.tolist(), strict=True)), "epoch_of": self.whole}

    def turns(self, taken: Mapping[str, int]) -> Iterator[str]:
        """Yield, without end, the part of each next sample; `taken` has the number of samples taken from each part."""
        counts, names = np.array([taken.get(name, 0) for name in self.names], np.int64), self.names
        out = np.empty(RUN, np.int64)
        while True:
            deal(self.shares, counts, out)
            for part in out.tolist():
                yield names[part]

    def sizes(self, whole: Sequence[int]) -> list[int]:
        """Return the number of samples in an epoch of the mix, for each possible size of the part `whole` in an epoch.

        The argument `whole` has these sizes; an epoch of the mix ends with that of the part.
        """
        place, counts = self.names.index(self.whole), np.zeros(len(self.names), np.int64)
        out, begin = np.empty(1 << 16, np.int64), 0
        size_of_mix: dict[int, int] = {}
        sought = sorted({*whole})
        while len(size_of_mix) < len(sought):
            so_far = int(counts[place])
            deal(self.shares, counts, out)
            turns = begin + np.flatnonzero(out == place)  # samples of the mix before each one of the part
            size_of_mix |= {size: int(turns[size - so_far]) for size in sought if so_far <= size < so_far + len(turns)}
            begin += len(out)
        return [size_of_mix[size] for size in whole]


def common_rates(
    runs: Sequence[str | PathLike[str]], english_threshold: int = CurationConfig.english_threshold
) -> np.ndarray:
    """Return one rate per entry, float32, from the summed counts of several runs over the same metadata.

    English has the threshold `english_threshold`; each other language has the threshold with the same tail share, as in
    one run over the inputs of all runs. InputError for runs that read an input in common, or that match by different
    rules.
    """
    require_several("runs", runs)
    if not runs:
        raise InputError("common rates are of no run; give the output folders of one or several")
    results = [Results.open(run) for run in runs]
    for one, other in combinations(results, 2):
        _require_addable(one, other)
    first, *others = (EntryCounts.open(str(run.path / "counts.parquet")) for run in results)
    counts = sum(others, first)
    languages, config = results[0].languages, CurationConfig(english_threshold=english_threshold)
    return rates_of(counts.values, languages, thresholds_at(english_threshold, counts.by_language(languages), config))


def _require_addable(one: Results, other: Results) -> None:
    """Raise InputError for two runs that count the same texts, or that match by different rules."""
    of_one, of_other = one.facts["made_from"], other.facts["made_from"]
    for name in ("rules", "evidence", "metadata_of", "merge_languages"):
        values = [of_run.get(name, getattr(CurationConfig, name)) for of_run in (of_one, of_other)]
        if values[0] != values[1]:
            raise InputError(
                f"{one.path} was matched with {name} {values[0]}, and {other.path} with {values[1]}: their counts "
                "cannot be added; curate both alike"
            )
    if of_one.get("columns") == of_other.get("columns") and (shared := _inputs(of_one) & _inputs(of_other)):
        raise InputError(
            f"{one.path} and {other.path} both read {min(shared)[0]}, and its texts would count twice; give one of them"
        )


def _inputs(made_from: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """Return a set with a tuple for each input of a run: path, row groups, size, time of modification and ETag."""
    names = ("path", "row_groups", "file_size", "modified", "etag")
    return {tuple(str(file.get(name)) for name in names) for file in made_from.get("inputs", [])}


@dataclass(frozen=True)
class _Progress:
    """A reader's progress in an epoch: the number of samples taken from each part, and the position in each part."""

    epoch: int
    taken: dict[str, int]
    positions: dict[str, Position]


class MixedDataset(Resumable):
    """The samples of several datasets in one stream, in the shares of a Mix.

    Each dataset balances by its own rates, which may be those of `common_rates`. All datasets must have the same
    `world`.
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
        """Return the number of full batches that every rank gets this epoch, with drop_last=True.

        `workers` is the number of workers of each rank.
        """
        whole = self.parts[self.mix.whole]
        whole.set_epoch(self.epoch)
        return full_batches(self.mix.sizes(whole.shares(workers)), batch_size, whole.world.size)

    def beginning(self, epoch: int) -> _Progress:
        """Return the position before the first sample of an epoch."""
        names = self.mix.names
        return _Progress(epoch, dict.fromkeys(names, 0), dict.fromkeys(names, Position(epoch)))

    def saved(self, position: dict) -> _Progress:
        """Return the position that a state's dict describes."""
        positions = {name: Position(**fields) for name, fields in position["positions"].items()}
        return _Progress(position["epoch"], dict(position["taken"]), positions)

    def samples(self, progress: _Progress) -> Iterator[tuple[Any, _Progress]]:
        """Yield the samples of this worker after `progress`, each with `progress` itself, which is updated in place."""
        taken, positions = progress.taken, progress.positions
        streams = {name: part.samples(positions[name]) for name, part in self.parts.items()}
        for name in self.mix.turns(taken):
            following = next(streams[name], None)
            if following is None and name == self.mix.whole:
                return
            if following is None:
                streams[name] = self.parts[name].samples(Position(positions[name].epoch + AGAIN))
                following = next(streams[name], None)
            if following is None:
                raise InputError(f"{name} has no sample for a reader; read with fewer workers, or smaller block_rows")
            taken[name] += 1
            sample, positions[name] = following
            yield sample, progress

    def layout(self) -> dict:
        """Return, as JSON can represent it, all that must be unchanged for a saved position to be valid."""
        of_parts = ((name, part.layout()) for name, part in self.parts.items())
        return {"mix": self.mix.description} | {f"{name}: {key}": part[key] for name, part in of_parts for key in part}
