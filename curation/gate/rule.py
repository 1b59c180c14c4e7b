"""The dataclass of a policy's rule; the rules themselves are in `image_rules`, `text_rules` and `policies`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

IMAGES, TEXTS, RUN = "images", "texts", "run"


@dataclass(frozen=True)
class Rule:
    """A row of a table of rules: what the rule removes, `N` being its number.

    `check` of a rule over IMAGES gets a MATCHED batch, and returns which images it removes. Of one over TEXTS it gets
    their structs, the row of each one's image and the batch, and returns which texts it removes. What a rule that
    `is_silent` would remove is never written down.
    """

    name: str
    scope: str
    removes: str
    check: Callable[..., np.ndarray] | None = None
    numbers: tuple[int, int] | None = None  # the least and the most; None: it takes no number
    is_recommended: bool = False
    recommended: int | None = None  # its number then
    is_silent: bool = False

    @property
    def form(self) -> str:
        """The rule in the form in which a user gives it."""
        return self.name if self.numbers is None else f"{self.name}:N"


def numbered(row: Rule, numbers: tuple[int, int], recommended: int | None = None) -> Rule:
    """Return a rule that takes a number from the first to the last of `numbers`."""
    is_recommended = recommended is not None
    return replace(row, numbers=numbers, recommended=recommended, is_recommended=is_recommended)
