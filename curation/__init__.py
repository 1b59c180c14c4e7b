"""Match, count, balance and sample image-text pairs.

`curate` does a whole run; `dataframes` has its steps as functions of DataFrames. `Results` reads a finished run, and
`BalancedDataset` balances while a model trains. The other names are parts of a run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation import dataframes
    from curation.balancing.manifest import keep_probability
    from curation.balancing.thresholds import EntryCounts, Thresholds, rates, rates_of, tail_share, threshold
    from curation.by_uid import captions, clusters, weights
    from curation.config import CurationConfig
    from curation.gate.plan import GateOptions
    from curation.hashing.pipeline import hash_images
    from curation.images.combine import uids
    from curation.matching import Matcher, Matching
    from curation.online.dataset import BalancedDataset
    from curation.run.order import curate
    from curation.run.request import Options
    from curation.run.results import Results
    from runtime.draws import draws
    from runtime.errors import InputError
    from runtime.packages import DeprecatedWarning, deprecated
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

# Each is imported when it is first asked for: who matches needs neither PyTorch nor reports, and `--help` none of them.
_MODULES = {
    "BalancedDataset": "curation.online.dataset",
    "CurationConfig": "curation.config",
    "DeprecatedWarning": "runtime.packages",
    "EntryCounts": "curation.balancing.thresholds",
    "GateOptions": "curation.gate.plan",
    "InputError": "runtime.errors",
    "Matcher": "curation.matching",
    "Matching": "curation.matching",
    "Options": "curation.run.request",
    "Results": "curation.run.results",
    "Thresholds": "curation.balancing.thresholds",
    "__version__": "runtime.packages",
    "captions": "curation.by_uid.captions",
    "clusters": "curation.by_uid.clusters",
    "curate": "curation.run.order",
    "dataframes": "curation.dataframes",
    "deprecated": "runtime.packages",
    "draws": "runtime.draws",
    "hash_images": "curation.hashing.pipeline",
    "keep_probability": "curation.balancing.manifest",
    "rates": "curation.balancing.thresholds",
    "rates_of": "curation.balancing.thresholds",
    "tail_share": "curation.balancing.thresholds",
    "threshold": "curation.balancing.thresholds",
    "uids": "curation.images.combine",
    "weights": "curation.by_uid.weights",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_MODULES[name])
    return getattr(module, name, module)
