"""Choose the images that an expert trains on: those of some coarse clusters, and a share of outsiders.

After MoDE (2404.16030), where each expert learns from one coarse cluster of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from curation.by_uid.clusters import Clusters
from runtime.draws import draws
from runtime.errors import InputError, ParameterError, require_integer, require_share


@dataclass(frozen=True)
class Expert:
    """All images of some coarse clusters, and images of the others as outsiders, each with the probability `chance`.

    `outsiders` is their expected share among the images that the run kept. Images without a cluster are left out.
    """

    clusters: Clusters
    coarse: tuple[int, ...]
    outsiders: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_share("outsiders", self.outsiders)
        require_integer("seed", self.seed)
        if not self.coarse:
            raise InputError("an expert has no cluster; give the number of one at least")
        kept = self.clusters.kept
        empty = [cluster for cluster in self.coarse if not kept.get(cluster)]
        if empty:
            known = ", ".join(str(cluster) for cluster, images in sorted(kept.items()) if images)
            raise InputError(f"the run kept no image of cluster {empty[0]}; it kept images of {known or 'none'}")
        own, others = self._kept
        if self.outsiders * (own + others) > others:
            most = f"{others / (own + others):.4g}"
            raise ParameterError(
                f"is {self.outsiders}; of the images that the run kept, {most} are of other clusters", "outsiders"
            )

    @property
    def chance(self) -> float:
        """The probability with which an image of another cluster is taken: s·I / ((1 - s)·O).

        I and O are the numbers of images that the run kept of the expert's clusters and of others, s is the share.
        """
        own, others = self._kept
        return self.outsiders * own / ((1 - self.outsiders) * others) if self.outsiders else 0.0

    @property
    def description(self) -> dict[str, Any]:
        """What tells this expert from another, as JSON has it."""
        chosen = sorted(map(int, {*self.coarse}))
        return {"clusters": self.clusters.digest, "coarse": chosen, "outsiders": self.outsiders, "seed": self.seed}

    def takes(self, uids: pa.Array) -> np.ndarray:
        """Return whether the expert trains on each image, as bools."""
        coarse = self.clusters.coarse(uids)
        is_own = np.isin(coarse, self.coarse)
        if not self.outsiders:
            return is_own
        return is_own | (coarse >= 0) & (draws(self.seed, "outsider", uids) < self.chance)

    @cached_property
    def _kept(self) -> tuple[int, int]:
        kept = self.clusters.kept
        own = sum(kept[cluster] for cluster in {*self.coarse})
        return own, sum(kept.values()) - own
