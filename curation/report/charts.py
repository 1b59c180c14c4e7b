"""Charts of the report, as shapes with pixel coordinates: counts by rank, cumulative share of matches, thresholds.

The macro `chart` of templates/charts.html draws them as SVG.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor, log10
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curation.balancing.thresholds import Distribution
from curation.report.facts import Run
from curation.report.languages import largest
from curation.report.numbers import number, short

WIDTH, HEIGHT = 420, 298
LEFT, RIGHT, TOP, BOTTOM = 58, 406, 22, 254  # of the area between the axes
POINTS = 160  # of a line, evenly spaced on a logarithmic axis
PLOTTED = 3  # languages with charts of their own, those with the most matches
LABELLED = 24  # dots that may get a label
HALF_LABEL = 62  # half the width of the widest label above the border of the head
LABEL_ROOM = (26, 11)  # width and height of a label beside a dot
BY_RANK = "entries by rank, most frequent first"

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """An axis from 0 to 100 %, drawn from pixel `begin` to `end`."""

    begin: float
    end: float

    def place(self, values: ArrayLike) -> np.ndarray:
        """Return the pixels of values."""
        return self.begin + (self.end - self.begin) * np.asarray(values)

    def ticks(self) -> list[tuple[float, str]]:
        """Return pixels with their labels: a tick for each quarter."""
        return [(float(self.place(quarter / 4)), f"{25 * quarter} %") for quarter in range(5)]


@dataclass(frozen=True)
class LogAxis(Axis):
    """A logarithmic axis from the decade of `low` to `high`, at least a decade."""

    high: float
    low: float = 1

    def place(self, values: ArrayLike) -> np.ndarray:
        """Return the pixels of values."""
        low, high = self._bounds()
        return super().place((np.log10(values) - low) / (high - low))

    def ticks(self) -> list[tuple[float, str]]:
        """Return a tick for each decade; for every second if they are many, and at 2 and 5 too if they are few."""
        low, high = self._bounds()
        decades = range(low, floor(high + 1e-9) + 1, 1 + int(high - low) // 7)
        steps = (1, 2, 5) if high - low < 2 else (1,)
        values = [step * 10**i for i in decades for step in steps]
        return [(float(self.place(value)), short(value)) for value in values if log10(value) <= high + 1e-9]

    def _bounds(self) -> tuple[int, float]:
        """Return the ends as powers of 10."""
        low = floor(log10(self.low) + 1e-9)
        return low, max(log10(self.high), low + 1)


@dataclass(frozen=True)
class Label:
    """A text at a point, which is its start, middle or end."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    name: str | None = None  # by which the style sheet colours it


@dataclass(frozen=True)
class Chart:
    """A chart: its axes with their titles, and the shapes between them."""

    title: str
    x: Axis
    y: Axis
    x_title: str
    y_title: str
    area: Points = field(default_factory=list)
    border: Points = field(default_factory=list)  # a dashed line between two points, where head and tail meet
    lines: Mapping[str, Points] = field(default_factory=dict)  # by name, which the style sheet colours: before, after
    dots: list[tuple[float, float, str]] = field(default_factory=list)  # with a title for who points at it
    labels: Sequence[Label] = ()


def distributions(run: Run) -> list[tuple[str, Distribution, int, tuple[Chart, Chart]]]:
    """Return code, distribution, t and the charts of the languages with the most matches."""
    all_of = {code: Distribution.of(run.counts.values[ids]) for code, ids in run.entries.languages.items()}
    found = []
    for code in sorted((code for code in all_of if all_of[code].total), key=lambda code: -all_of[code].total)[:PLOTTED]:
        ascending, t = all_of[code].ascending, run.thresholds.of_language[code]
        found.append((code, all_of[code], t, (counts_by_rank(ascending, t), cumulative_share(ascending, t))))
    return found


def counts_by_rank(ascending: np.ndarray, t: int) -> Chart:
    """Return a chart of the counts, most frequent entry first, with t and the texts that balancing leaves below it.

    `ascending` has the counts above 0, int64, sorted.
    """
    counts = ascending[::-1]
    ranks = _ranks(len(counts))
    x = LogAxis(LEFT, RIGHT, len(counts))
    y = LogAxis(BOTTOM, TOP, 1.25 * max(counts[0], t))  # some room above for the label of t
    level = float(y.place(t))
    kept = points(x, y, ranks, np.minimum(counts[ranks - 1], t))
    return Chart(
        f"Counts of {number(len(counts))} entries by rank; t is {number(t)}",
        *(x, y, BY_RANK, "count"),
        area=[(LEFT, BOTTOM), *kept, (kept[-1][0], BOTTOM)],
        border=[(LEFT, level), (RIGHT, level)],
        lines={"before": points(x, y, ranks, counts[ranks - 1])},
        # At the left, where the line of counts is far above or below.
        labels=[Label(LEFT + 6, level - 5, f"t = {number(t)}", "start", "t")],
    )


def cumulative_share(ascending: np.ndarray, t: int) -> Chart:
    """Return a chart of the share of all matches on the most frequent entries, with all texts and at their rates.

    `ascending` has the counts above 0, int64, sorted.
    """
    counts = ascending[::-1]
    ranks = _ranks(len(counts))
    x, y = LogAxis(LEFT, RIGHT, len(counts)), Axis(BOTTOM, TOP)
    head = len(counts) - int(np.searchsorted(ascending, t))
    sums = {"before": np.cumsum(counts), "after": np.cumsum(np.minimum(counts, t))}
    chart = Chart(
        f"Cumulative share of matches before and after balancing; {number(head)} entries are counted t or more",
        *(x, y, BY_RANK, "share of matches"),
        lines={name: points(x, y, ranks, each[ranks - 1] / each[-1]) for name, each in sums.items()},
    )
    if not head:
        return chart
    border = float(x.place(head))
    middle = min(max(border, LEFT + HALF_LABEL), RIGHT - HALF_LABEL)
    above = Label(middle, TOP - 7, f"{number(head)} in the head", "middle", "t")  # above all lines
    return replace(chart, border=[(border, TOP), (border, BOTTOM)], labels=[above])


def thresholds(languages: Mapping[str, dict[str, Any]]) -> Chart | None:
    """Return a chart of t over the number of matches of each language; None if no text has a match.

    Those with the most matches are labelled first. `languages` has their rows of run.json.
    """
    rows = largest(languages.items(), "matches", len(languages))
    if not rows:
        return None
    x = LogAxis(LEFT, RIGHT, 3 * rows[0][1]["matches"], low=rows[-1][1]["matches"])
    y = LogAxis(BOTTOM, TOP, 2 * max(row["t"] for _, row in rows))
    places = [(code, float(x.place(row["matches"])), float(y.place(row["t"]))) for code, row in rows]
    return Chart(
        "Threshold of each language over its number of matches",
        *(x, y, "matches of the language", "t"),
        dots=[
            (a, b, f"{code}: t = {number(row['t'])}, {number(row['matches'])} matches")
            for (code, a, b), (_, row) in zip(places, rows, strict=True)
        ],
        labels=[Label(a + 6, b + 4, code) for code, a, b in _apart(places)],
    )


def _apart(dots: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Return the dots, as (code, x, y), whose label at their right hides no other dot and no earlier label."""
    width, height = LABEL_ROOM
    labelled: list[tuple[str, float, float]] = []
    for code, a, b in dots[:LABELLED]:
        hides_dot = any(0 < x - a < width and abs(y - b) < height for _, x, y in dots)
        if not hides_dot and all(abs(a - x) > width or abs(b - y) > height for _, x, y in labelled):
            labelled.append((code, a, b))
    return labelled


def _ranks(entries: int) -> np.ndarray:
    """Return ranks from 1 to the number of entries, evenly spaced on a logarithmic axis, int64."""
    return np.unique(np.geomspace(1, entries, POINTS).round().astype(np.int64))


def points(x: Axis, y: Axis, across: ArrayLike, up: ArrayLike) -> Points:
    """Return the pixels of values on two axes."""
    return list(zip(x.place(across).tolist(), y.place(up).tolist(), strict=True))
