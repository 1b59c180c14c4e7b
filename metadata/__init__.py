"""Build and hold the entries of each language, the strings that texts are matched against.

`build_metadata` runs the whole build on Spark; `Entries` works without Spark.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metadata.entries import Entries
from runtime.errors import InputError

if TYPE_CHECKING:
    from metadata.config import MetadataConfig
    from metadata.pipeline import build_metadata
    from metadata.sources import Sources

__all__ = ["Entries", "InputError", "MetadataConfig", "Sources", "build_metadata"]

# Imported when they are first asked for: programs that only match need none of the build.
_LATER = {
    "MetadataConfig": "metadata.config",
    "Sources": "metadata.sources",
    "build_metadata": "metadata.pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
