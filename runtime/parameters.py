"""Checks of parameters, for the configs: a wrong value is refused with its name and what was expected."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Integral, Real
from os import PathLike

from runtime.errors import InputError, ParameterError
from runtime.redaction import redacted


def require_integer(name: str, value: object, minimum: int | None = None) -> None:
    """Refuse what is no integer, or one below `minimum`."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ParameterError(f"is {value!r}; it must be an integer", name)
    if minimum is not None and value < minimum:
        raise ParameterError(f"is {value}; it must be at least {minimum}", name)


def require_number(name: str, value: object, least: float, most: float) -> None:
    """Refuse what is no number from `least` to `most`."""
    if not isinstance(value, Real) or isinstance(value, bool) or not least <= float(value) <= most:
        raise ParameterError(f"is {value!r}; it must be a number from {least} to {most}", name)


def require_share(name: str, value: object) -> None:
    """Refuse what is no number from 0 to 1."""
    require_number(name, value, 0, 1)


def require_one_of(name: str, value: object, choices: Collection[str]) -> None:
    """Refuse what is none of the choices."""
    if value not in choices:
        raise ParameterError(f"is {value!r}; it must be one of {', '.join(choices)}", name)


def require_several(what: str, values: object) -> None:
    """Refuse one string, or one path, in place of several: Python would take it letter by letter."""
    if isinstance(values, str | bytes | PathLike):
        one = redacted(values)[:40] if isinstance(values, str) else values
        raise InputError(f"{what} must be a sequence of strings; got one, {one!r}: put it into a list")
