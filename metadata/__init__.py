"""Build and hold the entries of each language, the strings that texts are matched against.

`build_metadata` runs the whole build; `Entries.open` opens the folder that a build wrote.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runtime import provide_hooks
from runtime.start import importing, run

if TYPE_CHECKING:
    from metadata.config import MetadataConfig
    from metadata.entries import Entries
    from metadata.pipeline import build_metadata
    from metadata.sources import Sources
    from runtime.errors import InputError

__all__ = ["Entries", "InputError", "MetadataConfig", "Sources", "build_metadata"]

provide_hooks("curation.plugins")  # file systems of URLs, and uploads

# The module of each name, imported at the first access: programs that only match need no module of the build.
_MODULES = {
    "Entries": "metadata.entries",
    "InputError": "runtime.errors",
    "MetadataConfig": "metadata.config",
    "Sources": "metadata.sources",
    "build_metadata": "metadata.pipeline",
}


def program() -> None:
    """Run the command `clip-metadata`."""
    with importing("clip-metadata"):
        from metadata.commands import main
    run(main)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
