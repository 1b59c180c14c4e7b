"""Find the wordnets of the data package clip-curation-wordnets, which `packing` makes."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "clip-curation-wordnets"
MODULE = "clip_curation_wordnets"


def folder() -> str | None:
    """Return the folder of the package, with wordnets as tab files; None where it is not installed."""
    found = find_spec(MODULE)
    return str(Path(found.origin).parent) if found and found.origin else None


def versions(paths: list[str]) -> dict[str, str]:
    """Return the version of the package by its name, if one of the wordnets at these paths is in it."""
    own = folder()
    return {PACKAGE: version(PACKAGE)} if own and any(path.startswith(own) for path in paths) else {}
