"""Charts of the report, as shapes in pixels: counts by rank, cumulative share of matches, thresholds.

The macro `chart` of templates/charts.html draws them as SVG.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from curation.balancing.thresholds import Distribution
from curation.report.axes import Axis, LogAxis, ShareAxis
from curation.report.facts import Run
from curation.report.numbers import number, percent
from metadata.languages import language

WIDTH, HEIGHT = 420, 298
LEFT, RIGHT, TOP, BOTTOM = 58, 406, 22, 254  # of the area between the axes
POINTS = 160  # of a line, evenly spaced on a logarithmic axis
PLOTTED = 3  # languages with charts of their own, those with the most matches
LABELLED = 24  # dots that may get a label
HALF_LABEL = 62  # half the width of the widest label above the border of the head
LABEL_ROOM = (26, 11)  # width and height of a label beside a dot

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """A line through points; the style sheet colours it by its name, before or after."""

    name: str
    points: Points


@dataclass(frozen=True)
class Border:
    """A dashed line between two points, where the border of head and tail is."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Dot:
    """A dot with a title that shows when one points at it."""

    x: float
    y: float
    title: str


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
    borders: list[Border] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)


@dataclass(frozen=True)
class LanguageCharts:
    """The charts of one language."""

    language: str
    remark: str
    charts: tuple[Chart, ...]


def distributions(run: Run) -> list[LanguageCharts]:
    """Return the charts of the languages with the most matches."""
    all_of = {code: Distribution.of(run.counts.values[ids]) for code, ids in run.entries.languages.items()}
    largest = sorted((code for code in all_of if all_of[code].total), key=lambda code: -all_of[code].total)[:PLOTTED]
    return [_of_language(code, all_of[code], run.thresholds.of_language[code]) for code in largest]


def _of_language(code: str, distribution: Distribution, t: int) -> LanguageCharts:
    ascending = distribution.ascending
    remark = (
        f"{number(len(ascending))} entries seen, {number(distribution.total)} matches, "
        f"tail share {percent(distribution.tail_share(t))}"
    )
    return LanguageCharts(language(code).name, remark, (counts_by_rank(ascending, t), cumulative_share(ascending, t)))


def counts_by_rank(ascending: np.ndarray, t: int) -> Chart:
    """Return a chart of the counts, most frequent entry first, with t and the texts that balancing leaves below it.

    `ascending` has the counts above 0, int64, sorted.
    """
    counts = ascending[::-1]
    ranks = _ranks(len(counts))
    x = LogAxis(len(counts), LEFT, RIGHT)
    y = LogAxis(1.25 * max(counts[0], t), BOTTOM, TOP)  # some room above for the label of t
    across, level = x.place(ranks), float(y.place(t))
    kept = _points(across, y.place(np.minimum(counts[ranks - 1], t)))
    return Chart(
        f"Counts of {number(len(counts))} entries by rank; t is {number(t)}",
        *(x, y, "entries by rank, most frequent first", "count"),
        area=[(LEFT, BOTTOM), *kept, (float(across[-1]), BOTTOM)],
        borders=[Border(LEFT, level, RIGHT, level)],
        lines=[Line("before", _points(across, y.place(counts[ranks - 1])))],
        # At the left, where the line of counts is far above or below.
        labels=[Label(LEFT + 6, level - 5, f"t = {number(t)}", "start", "t")],
    )


def cumulative_share(ascending: np.ndarray, t: int) -> Chart:
    """Return a chart of the share of all matches on the most frequent entries, with all texts and at their rates.

    `ascending` has the counts above 0, int64, sorted.
    """
    counts = ascending[::-1]
    ranks = _ranks(len(counts))
    x, y = LogAxis(len(counts), LEFT, RIGHT), ShareAxis(BOTTOM, TOP)
    head = len(counts) - int(np.searchsorted(ascending, t))
    border = float(x.place(head)) if head else None
    middle = min(max(border or 0, LEFT + HALF_LABEL), RIGHT - HALF_LABEL)
    return Chart(
        f"Cumulative share of matches before and after balancing; {number(head)} entries are counted t or more",
        *(x, y, "entries by rank, most frequent first", "share of matches"),
        borders=[] if border is None else [Border(border, TOP, border, BOTTOM)],
        lines=[
            Line(name, _points(x.place(ranks), y.place(_shares(each)[ranks - 1])))
            for name, each in (("before", counts), ("after", np.minimum(counts, t)))
        ],
        # Above all lines.
        labels=[] if border is None else [Label(middle, TOP - 7, f"{number(head)} in the head", "middle", "t")],
    )


def thresholds(facts: dict[str, Any]) -> Chart | None:
    """Return a chart of t over the number of matches of each language; None if no text has a match."""
    rows = [(code, row["matches"], row["t"]) for code, row in facts["languages"].items() if row["matches"]]
    return threshold_chart(sorted(rows, key=lambda row: -row[1])) if rows else None


def threshold_chart(rows: list[tuple[str, int, int]]) -> Chart:
    """Return a chart of t over matches, given (code, matches, t) of each language, those to be labelled first."""
    matches = [matches for _, matches, _ in rows]
    x = LogAxis(3 * max(matches), LEFT, RIGHT, low=min(matches))
    y = LogAxis(2 * max(t for _, _, t in rows), BOTTOM, TOP)
    places = [(code, float(x.place(matches)), float(y.place(t))) for code, matches, t in rows]
    titles = [f"{code}: t = {number(t)}, {number(matches)} matches" for code, matches, t in rows]
    return Chart(
        "Threshold of each language over its number of matches",
        *(x, y, "matches of the language", "t"),
        dots=[Dot(a, b, title) for (_, a, b), title in zip(places, titles, strict=True)],
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


def _shares(counts: np.ndarray) -> np.ndarray:
    """Return the cumulative share of each count, float64."""
    sums = np.cumsum(counts)
    return sums / sums[-1]


def _points(x: np.ndarray, y: np.ndarray) -> Points:
    return list(zip(x.tolist(), y.tolist(), strict=True))
