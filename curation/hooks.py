"""Hooks: objects of leaves and of other installed packages, which the rest of this package calls by name.

The table HOOKS of `curation.leaves` has those of this project; others are entry points of a group. Nothing here, or
below, imports a leaf before its hook is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from typing import Any

from runtime.errors import InputError


@dataclass(frozen=True)
class Hook:
    """An object on a hook, before it is imported: this project's, or another package's, which errors name."""

    point: EntryPoint
    is_own: bool

    def __str__(self) -> str:
        package = self.point.dist.name if self.point.dist else self.point.module
        return f"the package {package} has {self.point.value} as {self.point.name} in {self.point.group}"

    def load(self, fits: Callable[[Any], bool], expected: str) -> Any:
        """Import and return the object; InputError if another package's cannot be imported or does not fit.

        `expected` says for the error what fits.
        """
        if self.is_own:
            return self.point.load()
        try:
            found = self.point.load()
        except Exception as error:  # importing another package may raise any error
            raise InputError(f"{self}, which cannot be imported ({error!r}); mend or uninstall it") from error
        return self._require(found, fits, expected)

    def find(self, options: Any, fits: Callable[[Any], bool], expected: str) -> Any | None:
        """Return what the object, a function, makes of the options: None, or what fits."""
        found = self.load(_takes_one, "a function of the options")(options)
        return self._require(found, lambda made: made is None or fits(made), f"a function that returns {expected}")

    def _require(self, found: Any, fits: Callable[[Any], bool], expected: str) -> Any:
        if not (self.is_own or fits(found)):
            raise InputError(f"{self}: expected {expected}; got {type(found).__name__}; mend or uninstall the package")
        return found


def hooks(group: str, taken: Container[str] = ()) -> dict[str, Hook]:
    """Return all that is on the hook `group` by name: this project's in the order of HOOKS, then others sorted by name.

    The table HOOKS of `curation.leaves` locates this project's objects, as `module:object`; other packages declare
    theirs as entry points of the group. InputError if another package's name is also of this project, or `taken`.
    """
    found = {name: Hook(EntryPoint(name, where, group), is_own=True) for name, where in own_hooks(group).items()}
    for other in sorted(entry_points(group=group), key=lambda each: each.name):
        if other.name in found or other.name in taken:
            raise InputError(f"{Hook(other, is_own=False)}, a name that is taken; uninstall the package")
        found[other.name] = Hook(other, is_own=False)
    return found


def usable(
    found: Mapping[str, Hook], fits: Callable[[Any], bool], expected: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the objects of hooks by name, and a sentence for each that cannot be used, by name."""
    loaded, faults = {}, {}
    for name, hook in found.items():
        try:
            loaded[name] = hook.load(fits, expected)
        except InputError as error:
            faults[name] = str(error)
    return loaded, faults


def has(*names: str) -> Callable[[Any], bool]:
    """Return a function that says whether an object has these methods."""
    return lambda found: all(callable(getattr(found, name, None)) for name in names)


def own_hooks(group: str) -> dict[str, str]:
    """Return the location, as `module:object`, of each of this project's objects on a hook, by name."""
    return import_module("curation.leaves").HOOKS.get(group, {})


def _takes_one(found: Any) -> bool:
    try:
        signature(found).bind(None)
    except (TypeError, ValueError):  # no function, or a built-in one
        return False
    return True
