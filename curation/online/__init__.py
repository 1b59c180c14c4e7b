"""Balance during training: a PyTorch dataset that draws texts and images anew in each epoch.

`build` makes the index that the dataset reads, from tars of all matched images. Only BalancedDataset needs PyTorch, and
it is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curation.by_uid.captions import Captions
from curation.by_uid.clusters import Clusters
from curation.online.config import Expert, OnlineConfig, World
from curation.online.index import Index, build

if TYPE_CHECKING:
    from curation.online.dataset import BalancedDataset

__all__ = ["BalancedDataset", "Captions", "Clusters", "Expert", "Index", "OnlineConfig", "World", "build"]


def __getattr__(name: str) -> Any:
    if name != "BalancedDataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from curation.online.dataset import BalancedDataset

    return BalancedDataset
