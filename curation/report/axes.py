"""Axes of the charts: from values to pixels, and the ticks with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from curation.report.numbers import short


@dataclass(frozen=True)
class Tick:
    """A label at a pixel of an axis."""

    at: float
    label: str


class Axis(Protocol):
    """An axis across a chart or up it."""

    def place(self, values: ArrayLike) -> np.ndarray:
        """Return the pixels of values."""

    def ticks(self) -> list[Tick]:
        """Return the labelled pixels."""


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis from the decade of `low` to `high`, at least a decade, drawn from pixel `begin` to `end`."""

    high: float
    begin: float
    end: float
    low: float = 1

    def place(self, values: ArrayLike) -> np.ndarray:
        """Return the pixels of values."""
        low, high = self._bounds()
        return self.begin + (self.end - self.begin) * (np.log10(values) - low) / (high - low)

    def ticks(self) -> list[Tick]:
        """Return a tick for each decade; for every second if they are many, and at 2 and 5 too if they are few."""
        low, high = self._bounds()
        decades = range(low, floor(high + 1e-9) + 1, 1 + int(high - low) // 7)
        steps = (1, 2, 5) if high - low < 2 else (1,)
        values = [step * 10**i for i in decades for step in steps]
        return [Tick(float(self.place(value)), short(value)) for value in values if log10(value) <= high + 1e-9]

    def _bounds(self) -> tuple[int, float]:
        """Return the ends as powers of 10."""
        low = floor(log10(self.low) + 1e-9)
        return low, max(log10(self.high), low + 1)


@dataclass(frozen=True)
class ShareAxis:
    """An axis from 0 to 100 %, drawn from pixel `begin` to `end`."""

    begin: float
    end: float

    def place(self, values: ArrayLike) -> np.ndarray:
        """Return the pixels of shares."""
        return self.begin + (self.end - self.begin) * np.asarray(values)

    def ticks(self) -> list[Tick]:
        """Return a tick for each quarter."""
        return [Tick(float(self.place(quarter / 4)), f"{25 * quarter} %") for quarter in range(5)]
