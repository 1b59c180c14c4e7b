"""The parameters of online balancing: what an epoch keeps, the clusters of an expert's images, and the process's rank.

An expert is a model that learns from one coarse cluster of the data, as in MoDE (arXiv 2404.16030).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from curation.by_uid.clusters import Clusters
from curation.by_uid.weights import Weights
from curation.online.batches import ByEntries
from curation.online.drawing import CaptionDraw, Ratio, require_ratio
from runtime.draws import draws
from runtime.errors import InputError, ParameterError, require_integer, require_kind, require_seed, require_share


@dataclass(frozen=True)
class Choice:
    """All images of some coarse clusters, and images of the others as outsiders, each with the probability `chance`.

    `outsiders` is their expected share among the images that the run kept: `kept` of each cluster. Images without a
    cluster are left out.
    """

    kept: Mapping[int, int]
    coarse: tuple[int, ...]
    outsiders: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_share("outsiders", self.outsiders)
        require_seed(self.seed)
        require_kind("coarse", self.coarse, Collection, "the numbers of coarse clusters, such as (2,)")
        if not self.coarse:
            raise InputError("an expert has no cluster; give the number of one at least")
        empty = [cluster for cluster in self.coarse if not self.kept.get(cluster)]
        if empty:
            known = ", ".join(str(cluster) for cluster, images in sorted(self.kept.items()) if images)
            raise InputError(f"the run kept no image of cluster {empty[0]}; it kept images of {known or 'none'}")
        own, others = self._sizes
        if self.outsiders * (own + others) > others:
            most = f"{others / (own + others):.4g}"
            raise ParameterError(
                f"is {self.outsiders}; of the images that the run kept, {most} are of other clusters", "outsiders"
            )

    @property
    def chance(self) -> float:
        """The probability with which an image of another cluster is taken: s·I / ((1 - s)·O).

        I and O are the numbers of images that the run kept of the chosen clusters and of others, s is the share.
        """
        own, others = self._sizes
        return self.outsiders * own / ((1 - self.outsiders) * others) if self.outsiders else 0.0

    def takes(self, uids: pa.Array, coarse: np.ndarray) -> np.ndarray:
        """Return whether each image is chosen, as bools, given its coarse cluster, below 0 where it has none."""
        is_own = np.isin(coarse, self.coarse)
        if not self.outsiders:
            return is_own
        return is_own | (coarse >= 0) & (draws(self.seed, "outsider", uids) < self.chance)

    @property
    def _sizes(self) -> tuple[int, int]:
        own = sum(self.kept[cluster] for cluster in {*self.coarse})
        return own, sum(self.kept.values()) - own


@dataclass(frozen=True)
class Expert:
    """The images of a Choice, by a file of clusters."""

    clusters: Clusters
    coarse: tuple[int, ...]
    outsiders: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_kind("clusters", self.clusters, Clusters, "Clusters.open(…) of a file that curation.clusters builds")
        _ = self.choice  # its numbers are checked

    @cached_property
    def choice(self) -> Choice:
        """What decides which images these are."""
        return Choice(self.clusters.kept, self.coarse, self.outsiders, self.seed)

    @property
    def chance(self) -> float:
        """The probability with which an image of another cluster is taken."""
        return self.choice.chance

    @property
    def description(self) -> dict[str, Any]:
        """What tells this expert from another, as JSON has it."""
        chosen = sorted(map(int, {*self.coarse}))
        return {"clusters": self.clusters.digest, "coarse": chosen, "outsiders": self.outsiders, "seed": self.seed}

    def takes(self, uids: pa.Array) -> np.ndarray:
        """Return whether the expert trains on each image, as bools."""
        return self.choice.takes(uids, self.clusters.coarse(uids))


@dataclass(frozen=True)
class OnlineConfig:
    """The numbers that decide what an epoch keeps and in which order.

    seed: another seed keeps other samples, in another order.
    mixed_blocks: blocks of the index whose samples are shuffled among each other.
    caption_ratio: of samples with a caption, the share whose text it is; by source, where captions are given so.
    expert: the expert whose images alone are kept; None: all.
    batches: what chooses batches by their entries; None: all samples come.
    weights: how often an epoch shows each image on average, in place of balancing; None: it is balanced.
    """

    seed: int = 0
    mixed_blocks: int = 16
    caption_ratio: Ratio = CaptionDraw.ratio
    expert: Expert | None = None
    batches: ByEntries | None = None
    weights: Weights | None = None

    def __post_init__(self) -> None:
        require_seed(self.seed)
        require_integer("mixed_blocks", self.mixed_blocks, 1)
        require_ratio(self.caption_ratio)
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
        if not 0 <= self.rank < self.size:
            raise InputError(
                f"rank {self.rank} of {self.size} processes; ranks go from 0 to one less than their number"
            )

    @classmethod
    def here(cls) -> World:
        """Return the rank and size that torch.distributed has in this process, or else torchrun's environment."""
        torch = sys.modules.get("torch")  # not imported for this: where nobody did, no group of processes was made
        if torch and torch.distributed.is_available() and torch.distributed.is_initialized():
            return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
