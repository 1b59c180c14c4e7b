"""A PyTorch dataset over the index of all matched images that draws texts and kept images anew in each epoch."""

import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from curation.balancing.thresholds import CountedEntries
from curation.plugins.annotations.captions import WHOLE, Captions, Ratio
from curation.plugins.online.batches import OnlineConfig, World
from curation.plugins.online.building import Index
from curation.plugins.online.epochs import Epoch, block_groups, number_taken, order_of_blocks, read, require_any
from runtime.argument_types import require_kind
from runtime.errors import InputError
from runtime.packages import missing

if TYPE_CHECKING:
    import torch
    from torch.utils.data import IterableDataset, get_worker_info
else:
    try:
        import torch
        from torch.utils.data import IterableDataset, get_worker_info
    except ImportError:  # BalancedDataset.__init__ says what to install.
        torch = None
        IterableDataset = object

File = Captions | str | PathLike[str]


@dataclass(frozen=True)
class Position:
    """A worker's progress in an epoch: how many groups of blocks it has finished, and samples of the next taken."""

    epoch: int
    group: int = 0
    taken: int = 0


class BalancedDataset(IterableDataset):
    """The samples that an epoch keeps, as webdataset yields them: `__key__`, `jpg`, and the drawn text as `txt`.

    Each kept sample goes to exactly one worker of one rank. `rates` is the counts.parquet of a run of curate, or one
    rate per entry. `transform` is applied to each sample, in the worker. `captions` is a file that `curation.captions`
    builds, or one for each source: a caption replaces the text of a sample with the probability `caption_ratio` of the
    config. If the config has an `expert`, only its images are kept; with `batches`, only samples of chosen batches are
    yielded, batch by batch; with `weights`, images are yielded as often as their weights say, whatever their rates.
    """

    def __init__(
        self,
        index: Index | str | PathLike[str],
        rates: str | PathLike[str] | Sequence[float] | np.ndarray,
        config: OnlineConfig | None = None,
        transform: Callable[[dict], Any] | None = None,
        world: World | None = None,
        captions: File | Mapping[str, File] | None = None,
    ) -> None:
        if torch is None:
            raise InputError(f"balancing while training needs PyTorch; {missing('torch', 'torch')}")
        super().__init__()
        # Workers may live on from one epoch to the next; in shared memory, they see the epoch change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._position: Position | None = None
        self._resumed: Position | None = None
        self._loaded_in = 0  # The process with this id loaded the state.
        self.index = index if isinstance(index, Index) else Index.open(index)
        self.rates = read_rates(rates, self.index.metadata) if isinstance(rates, str | PathLike) else _checked(rates)
        self._rates_digest = zlib.crc32(np.ascontiguousarray(self.rates).data)
        self.config = OnlineConfig() if config is None else config
        self.transform = transform
        self.world = World.here() if world is None else world
        require_kind("config", self.config, OnlineConfig, "an OnlineConfig")
        require_kind("world", self.world, World, "a World(rank, size)")
        if self.config.batches is not None:
            self.config.batches.require_entries(len(self.rates))
        self.captions = _opened(captions, self.config.caption_ratio)

    def steps(self, batch_size: int, workers: int = 0) -> int:
        """Return the smallest number of full batches that a rank gets this epoch, if loaders have drop_last=True.

        `workers` is the number of workers of each rank. Ranks get slightly different numbers of samples; ranks that
        wait for each other must all take the same number of batches.
        """
        of_readers = np.array(self.shares(workers, batch_size)).reshape(-1, self.world.size)
        return int((of_readers // batch_size).sum(axis=0).min())

    def shares(self, workers: int, batch_size: int = 1) -> list[int]:
        """Return the number of samples that each worker of each rank gets this epoch: worker 0 of all ranks first.

        `workers` is the number of workers of each rank.
        """
        consumers = max(workers, 1) * self.world.size
        if self.config.batches is not None:
            self.config.batches.require_size(batch_size)
        order = self._order(self.epoch)
        sizes = self._sizes(self.epoch)
        shares = []
        for consumer in range(consumers):
            groups = block_groups(order, self.config, consumer, consumers)
            shares.append(sum(number_taken(int(sizes[group].sum()), self.config) for group in groups))
        return shares

    def samples(self, position: Position) -> Iterator[tuple[Any, Position]]:
        """Yield the samples of this worker that come after a position, each with the position after it."""
        worker, workers = this_worker()
        # Blocks are dealt to worker 0 of every rank, then to worker 1: so ranks get equal shares even of few blocks.
        consumer = worker * self.world.size + self.world.rank
        consumers = workers * self.world.size
        dealt = block_groups(self._order(position.epoch), self.config, consumer, consumers)
        epoch = self._drawn(position.epoch)
        done = position.taken
        any_came = False
        for group, blocks in islice(enumerate(dealt), position.group, None):
            for sample in read(self.index, epoch.kept(blocks).slice(done)):
                done += 1
                yield self.transform(sample) if self.transform else sample, Position(position.epoch, group, done)
                any_came = True
            done = 0
        if self.config.batches is not None and dealt and not any_came and position == Position(position.epoch):
            self._sizes(position.epoch)  # This raises an error if no worker gets a sample in this epoch.

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
            raise InputError("a state was loaded into a process instead of its workers; use a StatefulDataLoader")
        if resumed is None or resumed.epoch != self.epoch:  # Another epoch was set.
            resumed = Position(self.epoch)
        self._position = resumed
        return self._taken(resumed)

    def _taken(self, position: Position) -> Iterator[Any]:
        for sample, after in self.samples(position):
            self._position = after
            yield sample

    def state_dict(self) -> dict:
        """Return the layout and the position of this worker, for `load_state_dict` of the same worker."""
        position = self._resumed or self._position or Position(self.epoch)
        return {"layout": self.layout(), "position": asdict(position)}

    def load_state_dict(self, state: dict) -> None:
        """Let the next iteration continue after the last sample before `state` was taken.

        If a later epoch is set, before or after this call, that epoch begins instead. InputError for a state of another
        layout.
        """
        layout = self.layout()
        taken = state.get("layout", {})
        differing = [name for name in layout | taken if taken.get(name) != layout.get(name)]
        if differing:
            was = {name: taken.get(name) for name in differing}
            now = {name: layout.get(name) for name in differing}
            raise InputError(
                f"the state was taken with {was}, but now there is {now}; resume with the same, or begin a new epoch"
            )
        self._resumed = Position(**state["position"])
        self._loaded_in = os.getpid()
        self._epoch.fill_(max(self.epoch, self._resumed.epoch))

    def _order(self, epoch: int) -> np.ndarray:
        return order_of_blocks(int(self.index.first_blocks[-1]), self.config.seed, epoch)

    def _sizes(self, epoch: int) -> np.ndarray:
        """Return the number of samples that an epoch keeps of each block.

        ParameterError if batches are chosen, and no super-batch keeps enough samples for a batch.
        """
        sizes = self._drawn(epoch).sizes()
        require_any(self._order(epoch), sizes, self.config)
        return sizes

    def _drawn(self, epoch: int) -> Epoch:
        return Epoch(self.index, self.rates, self.config, epoch, self.captions)

    def layout(self) -> dict:
        """Return, as JSON can represent it, all that must be unchanged for a saved position to be valid."""
        worker, workers = this_worker()
        config = self.config
        reader = {"rank": self.world.rank, "ranks": self.world.size, "worker": worker, "workers": workers}
        settings: dict[str, Any] = {
            "index": self.index.digest,
            "rates": self._rates_digest,
            "seed": config.seed,
            "mixed_blocks": config.mixed_blocks,
            "expert": config.expert and config.expert.description,
            "weights": None if config.weights is None else config.weights.digest,
            "batches": config.batches and config.batches.description,
        }
        if self.captions is not None:
            settings |= {"captions": _digests(self.captions), "caption_ratio": config.caption_ratio}
            settings["caption_sentence"] = None if config.caption_sentence == WHOLE else config.caption_sentence
        return reader | {name: setting for name, setting in settings.items() if setting is not None}


def read_rates(path: str | PathLike[str], metadata: str | None = None) -> np.ndarray:
    """Return the rates in a counts.parquet; InputError if it is of metadata with another digest than `metadata`."""
    rates = CountedEntries.open(str(path), metadata).rates
    if np.isnan(rates).any():
        raise InputError(f"{path} holds counts without rates; pass the counts.parquet of a finished run")
    return rates


def _checked(rates: Sequence[float] | np.ndarray) -> np.ndarray:
    rates = np.asarray(rates)
    if rates.ndim != 1 or rates.dtype.kind != "f":
        raise InputError(
            f"rates have the type {rates.dtype} and the shape {rates.shape}; pass counts.parquet, or a number per entry"
        )
    return rates


def _opened(captions: File | Mapping[str, File] | None, ratio: Ratio) -> Captions | dict[str, Captions] | None:
    """Return opened captions, by source if they are given by source; InputError unless `ratio` has their shares.

    Without sources, `ratio` must be one number.
    """
    if not isinstance(captions, Mapping):
        if isinstance(ratio, Mapping):
            raise InputError(
                f"caption_ratio has shares of {', '.join(ratio)}; pass a file of captions for each of them"
            )
        return None if captions is None else _file(captions)
    if not isinstance(ratio, Mapping) or ratio.keys() != captions.keys():
        raise InputError(
            f"there are captions of {', '.join(captions)}, but caption_ratio is {ratio!r}; pass a share for each source"
        )
    return {name: _file(file) for name, file in captions.items()}


def _file(captions: File) -> Captions:
    """Return captions, which may be given opened or by the path of their file."""
    if isinstance(captions, str | PathLike):
        return Captions.open(captions)
    require_kind("captions", captions, Captions, "a file that curation.captions builds, or one for each source")
    return captions


def _digests(captions: Captions | Mapping[str, Captions]) -> Any:
    """Return the digest of the file of captions or, if there is a file for each source, the digests by source."""
    return captions.digest if isinstance(captions, Captions) else {name: file.digest for name, file in captions.items()}


def this_worker() -> tuple[int, int]:
    """Return the number of this worker and the number of workers; a process without workers is worker 0 of 1."""
    info = get_worker_info()
    return (info.id, info.num_workers) if info else (0, 1)
