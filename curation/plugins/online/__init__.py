"""Balance during training: a PyTorch dataset that draws texts and images anew in each epoch.

`build` makes the index that the dataset reads, from tars of all matched images. Only the dataset needs PyTorch, which
is imported on its first use; `build` can run on Spark.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from curation.plugins.annotations.captions import Captions
from curation.plugins.annotations.clusters import Clusters
from curation.plugins.annotations.weights import Weights
from curation.plugins.online.batches import ByEntries, Expert, OnlineConfig, World
from curation.plugins.online.building import Index, build

if TYPE_CHECKING:
    from curation.plugins.online.dataset import BalancedDataset

__all__ = [
    "BalancedDataset",
    "ByEntries",
    "Captions",
    "Clusters",
    "Expert",
    "Index",
    "OnlineConfig",
    "Weights",
    "World",
    "build",
]


def __getattr__(name: str) -> Any:
    if name != "BalancedDataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.dataset").BalancedDataset
