"""Match, count, balance and sample image-text pairs.

`curate` does a whole run on Spark; `dataframes` has its steps as functions of DataFrames. `Results` reads a finished
run, and `BalancedDataset` balances while a model trains. The other names are parts of a run that need no Spark.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from curation.balancing.counts import EntryCounts
from curation.balancing.sampling import keep_probability
from curation.balancing.thresholds import Thresholds, rates, rates_of, tail_share, threshold
from curation.config import CurationConfig
from curation.images.uids import uids
from curation.matching import Matcher, Matching
from runtime.deprecation import DeprecatedWarning, deprecated
from runtime.draws import draws
from runtime.errors import InputError

if TYPE_CHECKING:
    from curation import dataframes
    from curation.by_uid import captions, clusters, weights
    from curation.gate.options import GateOptions
    from curation.hashing.pipeline import hash_images
    from curation.online.dataset import BalancedDataset
    from curation.run.order import curate
    from curation.run.request import Options
    from curation.run.results import Results
    from runtime.packages import __version__ as __version__

__all__ = [
    "BalancedDataset",
    "CurationConfig",
    "DeprecatedWarning",
    "EntryCounts",
    "GateOptions",
    "InputError",
    "Matcher",
    "Matching",
    "Options",
    "Results",
    "Thresholds",
    "captions",
    "clusters",
    "curate",
    "dataframes",
    "deprecated",
    "draws",
    "hash_images",
    "keep_probability",
    "rates",
    "rates_of",
    "tail_share",
    "threshold",
    "uids",
    "weights",
]

# Imported when they are first asked for: workers, and programs that only match, need neither PyTorch nor reports.
_LATER = {
    "BalancedDataset": "curation.online.dataset",
    "GateOptions": "curation.gate.options",
    "Options": "curation.run.request",
    "Results": "curation.run.results",
    "__version__": "runtime.packages",
    "captions": "curation.by_uid.captions",
    "clusters": "curation.by_uid.clusters",
    "curate": "curation.run.order",
    "dataframes": "curation.dataframes",
    "hash_images": "curation.hashing.pipeline",
    "weights": "curation.by_uid.weights",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_LATER[name])
    return getattr(module, name, module)
