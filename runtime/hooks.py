"""Find what hangs on a hook: this project's own parts, and those that other installed packages name as entry points."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from runtime.errors import InputError


def hooks(group: str, own: Mapping[str, str]) -> dict[str, Any]:
    """Return what hangs on the hook `group`, by name: this project's in the order given, then others' by name.

    `own` says where each is, as `module:object`; other packages say so in entry points of the group.
    """
    found = {name: EntryPoint(name, where, group).load() for name, where in own.items()}
    for other in sorted(entry_points(group=group), key=lambda each: each.name):
        if other.name in found:
            raise InputError(f"{_named(other)}, a name that is taken; uninstall the package")
        try:
            found[other.name] = other.load()
        except Exception as error:  # whatever another package's module raises as it is imported
            raise InputError(f"{_named(other)}, which cannot be imported ({error!r}); mend or uninstall it") from error
    return found


def _named(other: EntryPoint) -> str:
    package = other.dist.name if other.dist else other.module
    return f"the package {package} has {other.value} as {other.name} in {other.group}"
