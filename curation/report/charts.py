"""Plots as inline SVG: arrays in, markup out. Their colours are classes that the page's style sheet fills."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10

import numpy as np

from curation.report.markup import Markup, markup, number, short, tag

WIDTH, HEIGHT = 420, 298
LEFT, RIGHT, TOP, BOTTOM = 58, 406, 22, 254  # of the area between the axes
POINTS = 160  # of a line, evenly spaced where the axis is logarithmic
LABELLED = 24  # dots that may get a label
HALF_LABEL = 62  # of the widest that stands above the border of the head
LABEL_ROOM = (26, 11)  # width and height that a label takes


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis from the decade of `low` to `high`, at least a decade, drawn from pixel `begin` to `end`."""

    high: float
    begin: float
    end: float
    low: float = 1

    def place(self, values):
        """Return the pixels of values."""
        low, high = self._bounds()
        return self.begin + (self.end - self.begin) * (np.log10(values) - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return pixel and label of the decades; of every second where they are many, and more where they are few."""
        low, high = self._bounds()
        decades = range(low, floor(high + 1e-9) + 1, 1 + int(high - low) // 7)
        steps = (1, 2, 5) if high - low < 2 else (1,)
        values = [step * 10**i for i in decades for step in steps]
        return [(self.place(value), short(value)) for value in values if log10(value) <= high + 1e-9]

    def _bounds(self) -> tuple[int, float]:
        """Return the ends as powers of 10."""
        low = floor(log10(self.low) + 1e-9)
        return low, max(log10(self.high), low + 1)


@dataclass(frozen=True)
class ShareAxis:
    """An axis from 0 to 100 %, drawn from pixel `begin` to `end`."""

    begin: float
    end: float

    def place(self, values):
        """Return the pixels of shares."""
        return self.begin + (self.end - self.begin) * np.asarray(values)

    def ticks(self) -> list[tuple[float, str]]:
        """Return pixel and label of the quarters."""
        return [(self.place(quarter / 4), f"{25 * quarter} %") for quarter in range(5)]


def counts_by_rank(ascending: np.ndarray, t: int) -> Markup:
    """Plot the counts of the entries, most frequent first, with t and below it what balancing leaves of them."""
    counts = ascending[::-1]
    ranks = _ranks(len(counts))
    x = LogAxis(len(counts), LEFT, RIGHT)
    y = LogAxis(1.25 * max(counts[0], t), BOTTOM, TOP)  # some room above for the label of t
    across, level = x.place(ranks), float(y.place(t))
    left = _points(across, y.place(np.minimum(counts[ranks - 1], t)))
    area = f"{LEFT},{BOTTOM} {left} {across[-1]:.1f},{BOTTOM}"
    return _figure(
        f"Counts of {number(len(counts))} entries by rank; t is {number(t)}",
        _axes(x, y, "entries by rank, most frequent first", "count"),
        tag("polygon", points=area, class_="area"),
        tag("polyline", points=_points(across, y.place(counts[ranks - 1])), class_="line before"),
        _line(LEFT, level, RIGHT, level, "t"),
        _label(LEFT + 6, level - 5, f"t = {number(t)}", "start", "t"),  # where the line is high above or below
    )


def cumulative_mass(ascending: np.ndarray, t: int) -> Markup:
    """Plot the share of all matches on the most frequent entries, with all texts and with each entry at its rate."""
    counts = ascending[::-1]
    ranks = _ranks(len(counts))
    x, y = LogAxis(len(counts), LEFT, RIGHT), ShareAxis(BOTTOM, TOP)
    head = len(counts) - int(np.searchsorted(ascending, t))
    lines = [
        tag("polyline", points=_points(x.place(ranks), y.place(_shares(of)[ranks - 1])), class_=f"line {name}")
        for name, of in (("before", counts), ("after", np.minimum(counts, t)))
    ]
    return _figure(
        f"Cumulative share of matches before and after balancing; {number(head)} entries are counted t or more",
        _axes(x, y, "entries by rank, most frequent first", "share of matches"),
        _border_of_head(x, head) if head else None,
        *lines,
    )


def thresholds(rows: list[tuple[str, int, int]]) -> Markup:
    """Plot t over the matches of each language, given as (code, matches, t), those to be labelled first."""
    matches = [matches for _, matches, _ in rows]
    x = LogAxis(3 * max(matches), LEFT, RIGHT, low=min(matches))
    y = LogAxis(2 * max(t for _, _, t in rows), BOTTOM, TOP)
    dots = [(code, float(x.place(matches)), float(y.place(t)), matches, t) for code, matches, t in rows]
    return _figure(
        "Threshold of each language over its number of matches",
        _axes(x, y, "matches of the language", "t"),
        *(
            tag(
                "circle",
                tag("title", f"{code}: t = {number(t)}, {number(matches)} matches"),
                cx=f"{a:.1f}",
                cy=f"{b:.1f}",
                r=4,
            )
            for code, a, b, matches, t in dots
        ),
        *(_label(a + 6, b + 4, code) for code, a, b in _apart(dots)),
    )


def _border_of_head(x: LogAxis, head: int) -> Markup:
    border = float(x.place(head))
    middle = min(max(border, LEFT + HALF_LABEL), RIGHT - HALF_LABEL)
    label = _label(middle, TOP - 7, f"{number(head)} in the head", "middle", "t")  # above all lines
    return markup(_line(border, TOP, border, BOTTOM, "t"), label)


def _ranks(number: int) -> np.ndarray:
    return np.unique(np.geomspace(1, number, POINTS).round().astype(np.int64))


def _shares(counts: np.ndarray) -> np.ndarray:
    sums = np.cumsum(counts)
    return sums / sums[-1]


def _apart(dots: list) -> list[tuple[str, float, float]]:
    """Return code and place of the dots whose label, at their right, hides no other dot and no earlier label."""
    width, height = LABEL_ROOM
    placed: list[tuple[str, float, float]] = []
    for code, a, b, *_ in dots[:LABELLED]:
        hides_dot = any(0 < other - a < width and abs(at - b) < height for _, other, at, *_ in dots)
        if not hides_dot and all(abs(a - other) > width or abs(b - at) > height for _, other, at in placed):
            placed.append((code, a, b))
    return placed


def _figure(title: str, *shapes) -> Markup:
    return tag("svg", tag("title", title), *shapes, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")


def _axes(x, y, x_title: str, y_title: str) -> Markup:
    across = [
        markup(_line(a, TOP, a, BOTTOM, "grid"), _label(a, BOTTOM + 17, label, "middle")) for a, label in x.ticks()
    ]
    up = [markup(_line(LEFT, b, RIGHT, b, "grid"), _label(LEFT - 6, b + 4, label, "end")) for b, label in y.ticks()]
    titles = [
        _label((LEFT + RIGHT) / 2, HEIGHT - 8, x_title, "middle"),
        tag("text", y_title, transform=f"translate(13 {(TOP + BOTTOM) / 2}) rotate(-90)", text_anchor="middle"),
    ]
    return markup(*across, *up, *titles)


def _line(x1: float, y1: float, x2: float, y2: float, name: str) -> Markup:
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=name)


def _label(x: float, y: float, text: str, anchor: str = "start", name: str | None = None) -> Markup:
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=name)


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
