"""Mark what a later release will not have: who uses it is warned, and told what to use instead.

Public names, flags and formats leave only after a release that warns of it; CONTRIBUTING.md states the policy.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from runtime.errors import typed

Called = TypeVar("Called", bound=Callable[..., Any])


class DeprecatedWarning(FutureWarning):
    """Something that a later release will not have is in use; unlike a DeprecationWarning it is shown by default."""


@typed
def deprecated(*, since: str, until: str, instead: str) -> Callable[[Called], Called]:
    """Return a decorator of a function or class that works as before and warns its callers.

    `since` is the first release that warns, `until` the first without it, `instead` what to use.

    >>> @deprecated(since="0.3", until="0.4", instead="threshold")
    ... def cut(): ...
    >>> print(cut.__doc__)
    Deprecated since 0.3, to be removed in 0.4: use threshold.
    """

    def decorate(called: Called) -> Called:
        said = f"eprecated since {since}, to be removed in {until}: use {instead}"
        message = f"{called.__qualname__} is d{said}"
        function = called.__init__ if isinstance(called, type) else called  # type: ignore[misc]

        @functools.wraps(function)
        def warning(*args: Any, **kwargs: Any) -> Any:
            warnings.warn(message, DeprecatedWarning, stacklevel=2)
            return function(*args, **kwargs)

        if isinstance(called, type):
            called.__init__ = warning  # type: ignore[misc]
        changed: Any = called if isinstance(called, type) else warning
        changed.__doc__ = "\n\n".join(filter(None, [called.__doc__, f"D{said}."]))
        return changed

    return decorate
