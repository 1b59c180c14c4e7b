"""The parameters of online balancing: the draws of an epoch, the images of an expert, and the rank of a process.

An expert is a model that learns from one coarse cluster of the data, as in MoDE (arXiv 2404.16030). `ByEntries` chooses
batches from super-batches by the entries of their samples, after concept-aware batch sampling (arXiv 2511.20643).
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from curation.plugins.annotations.captions import CaptionDraw, Ratio, Sentence, require_ratio, require_sentence
from curation.plugins.annotations.clusters import Choice, Clusters
from curation.plugins.annotations.weights import Weights
from curation.plugins.online.kernels import batch_choice as kernels
from runtime.argument_types import require_integer, require_kind, require_seed
from runtime.errors import InputError, ParameterError


@dataclass(frozen=True, eq=False)
class ByEntries:
    """Choose one batch from each super-batch, which is all samples that an epoch keeps of `mixed_blocks` blocks.

    The batch has the samples whose entries are most diverse, or nearest to a target distribution, or the samples with
    the most entries. For the first two, each sample of a batch divides a mass of 1 evenly among its entries; m is the
    mass of an entry in the batch. Samples are added one after the other. Each time the sample is taken that adds most
    to

        the sum over all entries of t * m / (t + m)

    For a target, t is the mass of the entry in a batch that has the target's distribution. The sum is then half the sum
    of the harmonic means of t and m, so a larger sum means a smaller Vincze-Le Cam distance, which is the sum of
    (t - m)^2 / (t + m).
    For diversity, t is 1 for each entry: a sample adds less, the more of its entries the batch already has. The sum is
    submodular and never falls, so greedy choice reaches at least 1 - 1/e of its maximum. Concept-aware batch sampling
    (arXiv 2511.20643) takes the sample with the largest mean over its entries of (t - n) / t + 1 / f, where n samples
    of the batch and f of the super-batch have the entry; an entry counts nothing once n is t. With `most`, the choice
    is the one of the paper.

    batch: the number of samples of a batch. A super-batch with fewer samples yields none.
    target: one number of 0 or more per entry, of which only the proportions count; None chooses the most diverse batch.
    most: take the samples with the most entries instead; among equals, the order of the epoch decides.
    """

    batch: int
    target: Sequence[float] | np.ndarray | None = None
    most: bool = False

    def __post_init__(self) -> None:
        require_integer("batch", self.batch, 1)
        require_kind("most", self.most, bool, "True or False")
        if self.target is None:
            return
        if self.most:
            raise InputError("most and target choose batches in different ways; pass only one of them")
        target = np.asarray(self.target)
        if target.ndim != 1 or target.dtype.kind not in "iuf":
            raise InputError(f"the target is {target.dtype} of shape {target.shape}; pass one number per entry")
        with np.errstate(over="ignore"):
            target = target.astype(np.float64)
            is_finite = np.isfinite(target.sum())
        if not (is_finite and (target >= 0).all() and target.any()):
            raise InputError("the target has a negative or infinite number or sum, or no number above 0; pass shares")
        object.__setattr__(self, "target", target)

    @cached_property
    def description(self) -> dict[str, Any]:
        """The parameters that decide which batches are chosen, as JSON can represent them."""
        target = None if self.target is None else zlib.crc32(np.asarray(self.target).data)
        return {"batch": int(self.batch), "target": target} | ({"most": True} if self.most else {})

    def targets(self, entries: int) -> np.ndarray | None:
        """Return t (see the class) of each of `entries` entries; None if `most` is set. Callers must not change it."""
        if self.most:
            return None
        return np.broadcast_to(1.0, entries) if self.target is None else self._scaled

    @cached_property
    def _scaled(self) -> np.ndarray:
        target = np.asarray(self.target)
        return target * (self.batch / target.sum())

    def require_entries(self, entries: int) -> None:
        """Raise InputError unless the target, if there is one, has a number for each of `entries` entries."""
        if self.target is not None and len(self.target) != entries:
            lengths = f"{len(self.target):,} numbers, but there are {entries:,} entries"
            raise InputError(f"the target has {lengths}; pass one number per entry")

    def require_size(self, batch_size: int) -> None:
        """Raise ParameterError for a loader's batch size that does not divide `batch`.

        With it, a batch of the loader could have samples of two super-batches.
        """
        if self.batch % batch_size:
            fault = f"is {batch_size}, but batches of {self.batch} samples are chosen; pass a divisor of {self.batch}"
            raise ParameterError(fault, "batch_size")


def lists_at(order: np.ndarray, parts: Sequence[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Return lists, such as samples' entries, in the given order: their ids, concatenated, and their offsets in these.

    Each of `parts` holds ids, and the begin and the end of each of its lists in these ids. `order` numbers the lists of
    all parts.
    """
    before = np.cumsum([0, *(len(ids) for ids, _, _ in parts)])
    begins = np.concatenate([begin + before[i] for i, (_, begin, _) in enumerate(parts)])[order]
    ends = np.concatenate([end + before[i] for i, (_, _, end) in enumerate(parts)])[order]
    offsets = np.concatenate([[0], np.cumsum(ends - begins)])
    out = np.empty(offsets[-1], np.int32)
    kernels.gather_ids(np.concatenate([ids for ids, _, _ in parts]), begins, offsets, out)
    return out, offsets


def chosen_rows(ids: np.ndarray, offsets: np.ndarray, size: int, targets: np.ndarray | None) -> np.ndarray:
    """Return the rows of the `size` samples that greedy choice takes, in the order in which they are chosen.

    A row is a list of entries, ids[offsets[row]:offsets[row + 1]]. `targets` has t of each entry; if it is None, the
    rows with the longest lists are taken.
    """
    if targets is None:
        return np.argsort(-np.diff(offsets), kind="stable")[:size]
    masses = np.zeros(len(targets))
    gains = np.empty(len(offsets) - 1)
    kernels.all_gains(ids, offsets, targets, masses, gains)
    chosen = np.empty(size, np.int64)
    kernels.choose_batch(ids, offsets, targets, masses, gains, np.argsort(-gains, kind="stable"), chosen)
    return chosen


@dataclass(frozen=True)
class Expert:
    """The images that an expert trains on; a Choice takes them by their clusters, which `clusters` has."""

    clusters: Clusters
    coarse: tuple[int, ...]
    outsiders: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_kind("clusters", self.clusters, Clusters, "Clusters.open(…) of a file that curation.clusters builds")
        _ = self.choice  # This checks the numbers.

    @cached_property
    def choice(self) -> Choice:
        """The Choice that decides which images the expert trains on."""
        return Choice(self.clusters.kept, self.coarse, self.outsiders, self.seed)

    @property
    def chance(self) -> float:
        """The probability with which an image of another cluster is taken."""
        return self.choice.chance

    @property
    def description(self) -> dict[str, Any]:
        """The parameters that decide which images the expert trains on, as JSON can represent them."""
        chosen = sorted(map(int, {*self.coarse}))
        return {"clusters": self.clusters.digest, "coarse": chosen, "outsiders": self.outsiders, "seed": self.seed}

    def takes(self, uids: pa.Array) -> np.ndarray:
        """Return whether the expert trains on each image, as bools."""
        return self.choice.takes(uids, self.clusters.coarse(uids))


@dataclass(frozen=True)
class OnlineConfig:
    """The parameters that decide what an epoch keeps and in which order.

    seed: another seed keeps other samples, in another order.
    mixed_blocks: blocks of the index whose samples are shuffled among each other.
    caption_ratio: the share of samples with a caption whose text is replaced by it, or a share by source.
    caption_sentence: the part of a caption that is shown: all, its first sentence, or a drawn one; or one by source.
    expert: the expert whose images are kept, and no others; None keeps all.
    batches: how batches are chosen by their entries; None uses all kept samples.
    weights: how often an epoch shows each image on average, in place of balancing; None balances.
    """

    seed: int = 0
    mixed_blocks: int = 16
    caption_ratio: Ratio = CaptionDraw.ratio
    caption_sentence: Sentence = CaptionDraw.sentence
    expert: Expert | None = None
    batches: ByEntries | None = None
    weights: Weights | None = None

    def __post_init__(self) -> None:
        require_seed(self.seed)
        require_integer("mixed_blocks", self.mixed_blocks, 1)
        require_ratio(self.caption_ratio)
        require_sentence(self.caption_sentence, self.caption_ratio)
        if self.expert is not None:
            require_kind("expert", self.expert, Expert, "an Expert of some clusters, or None")
        if self.batches is not None:
            require_kind("batches", self.batches, ByEntries, "ByEntries(4096) for batches of 4,096 samples, or None")
        if self.weights is not None:
            require_kind("weights", self.weights, Weights, "the weights that curation.weights builds, or None")


@dataclass(frozen=True)
class World:
    """One of the processes that train together."""

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        require_integer("rank", self.rank, 0)
        require_integer("size", self.size, 1)
        if self.rank >= self.size:
            raise InputError(
                f"rank is {self.rank}, but there are {self.size} processes; pass a rank from 0 to {self.size - 1}"
            )

    @classmethod
    def here(cls) -> World:
        """Return the rank and size that torch.distributed has in this process, or else torchrun's environment."""
        torch = sys.modules.get("torch")  # If nobody imported torch, there is no group of processes.
        if torch and torch.distributed.is_available() and torch.distributed.is_initialized():
            return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
