"""Match, count, balance and sample image-text pairs.

`curate` does a whole run; `dataframes` has the steps of a run as functions of DataFrames. `Results` reads a
finished run, and `BalancedDataset` balances while a model trains. The other names are parts of a run.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from runtime import provide_hooks

if TYPE_CHECKING:
    from curation import dataframes as dataframes
    from curation.balancing.sampling import keep_probability as keep_probability
    from curation.balancing.thresholds import EntryCounts as EntryCounts
    from curation.balancing.thresholds import Thresholds as Thresholds
    from curation.balancing.thresholds import rates as rates
    from curation.balancing.thresholds import rates_of as rates_of
    from curation.balancing.thresholds import tail_share as tail_share
    from curation.balancing.thresholds import threshold as threshold
    from curation.config import CurationConfig as CurationConfig
    from curation.image_ids import uids as uids
    from curation.matching.matcher import Matcher as Matcher
    from curation.matching.matching import Matching as Matching
    from curation.plugins import online as online
    from curation.plugins.annotations import captions as captions
    from curation.plugins.annotations import clusters as clusters
    from curation.plugins.annotations import weights as weights
    from curation.plugins.gate.options import GateOptions as GateOptions
    from curation.plugins.hashing.clip_hash import hash_images as hash_images
    from curation.plugins.online.dataset import BalancedDataset as BalancedDataset
    from curation.run.pipeline import curate as curate
    from curation.run.request import Options as Options
    from curation.run.results import Results as Results
    from runtime.draws import draws as draws
    from runtime.errors import InputError as InputError
    from runtime.packages import __version__ as __version__

provide_hooks("curation.plugins")

# Each name's module is imported on first use. Matching imports no PyTorch or reports, and `--help` no module.
_MODULES = {
    "BalancedDataset": "curation.plugins.online.dataset",
    "CurationConfig": "curation.config",
    "EntryCounts": "curation.balancing.thresholds",
    "GateOptions": "curation.plugins.gate.options",
    "InputError": "runtime.errors",
    "Matcher": "curation.matching.matcher",
    "Matching": "curation.matching.matching",
    "Options": "curation.run.request",
    "Results": "curation.run.results",
    "Thresholds": "curation.balancing.thresholds",
    "__version__": "runtime.packages",
    "captions": "curation.plugins.annotations.captions",
    "clusters": "curation.plugins.annotations.clusters",
    "curate": "curation.run.pipeline",
    "dataframes": "curation.dataframes",
    "draws": "runtime.draws",
    "hash_images": "curation.plugins.hashing.clip_hash",
    "keep_probability": "curation.balancing.sampling",
    "online": "curation.plugins.online",
    "rates": "curation.balancing.thresholds",
    "rates_of": "curation.balancing.thresholds",
    "tail_share": "curation.balancing.thresholds",
    "threshold": "curation.balancing.thresholds",
    "uids": "curation.image_ids",
    "weights": "curation.plugins.annotations.weights",
}
_NEEDS = {"dataframes": "pyspark"}  # The modules of these names cannot be imported without a package.
__all__ = [name for name in _MODULES if not name.startswith("_") and (name not in _NEEDS or find_spec(_NEEDS[name]))]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_MODULES[name])
    return getattr(module, name, module)


def __dir__() -> list[str]:
    return __all__
