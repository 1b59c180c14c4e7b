"""Compute the charts of the report: rows of bars, and shapes with pixel coordinates.

Bars show the rows left after each step, dropped rows by reason, and texts kept for head and tail. Shapes show counts by
rank, the cumulative share of matches, and thresholds; the macro `chart` of templates/charts.html draws shapes as SVG.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import floor, log10
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curation.balancing.thresholds import Distribution
from curation.report.facts import Run
from curation.report.language_table import largest
from runtime.packages import table_rows
from runtime.wording import number, percent, short

_REASONS = table_rows("curation.report", "reasons.csv")
DROPPED = {row["reason"]: row["meaning"] for row in _REASONS if row["counted"] == "dropped"}
# The reasons why the language of a text is undetermined: such a text counts as `other`, whatever its label states.
UNDETERMINED = {row["reason"]: row["meaning"] for row in _REASONS if row["counted"] == "undetermined"}
MAX_CONDITION_CHARACTERS = 32  # The label of a longer condition is cut.

WIDTH, HEIGHT = 420, 298
LEFT, RIGHT, TOP, BOTTOM = 58, 406, 22, 254  # the pixels of the area between the axes
MAX_POINTS = 160  # A line has at most so many points, evenly spaced on a logarithmic axis.
PLOTTED_LANGUAGES = 3  # So many languages, the ones with the most matches, have charts of their own.
MAX_LABELLED_DOTS = 24  # Only the dots of so many languages, the ones with the most matches, may get a label.
HALF_LABEL = 62  # half the width of the widest label above the border of the head, in pixels
LABEL_ROOM = (26, 11)  # width and height in pixels of a label beside a dot
BY_RANK = "entries by rank, most frequent first"

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart. The page shows the remark and the meaning; the console shows only the remark."""

    label: str
    value: float
    remark: str = ""
    meaning: str = ""
    has_bar: bool = True  # False if no bar is drawn


def funnel(facts: dict[str, Any]) -> list[Bar]:
    """Return bars with the counts of a run, in the order of its steps: files, pages, pairs, images, texts, kept images.

    `facts` is the content of run.json. A gate condition has a bar only if an image failed it.
    """
    rows = facts["rows"]
    matched = rows["matched"]
    past = rows.get("gated")
    kept = rows["kept"]
    bars = [Bar("files", rows["files"], has_bar=False)]  # Files and pages have no bar: they are not pairs or images.
    if rows["pages"]:
        bars.append(Bar("pages with images", rows["pages"], has_bar=False))
    bars += [
        Bar("pairs", rows["pairs"], "", "an image and one of its texts, as pages and tables give them"),
        Bar("images", rows["images"], "", "different image URLs"),
        Bar("texts", rows["texts"], "", "pairs, with repeated texts of the same image removed"),
        Bar("identified texts", rows["identified"], _of_texts(rows, "identified"), "their language is known"),
        Bar(
            "matched texts",
            rows["matched_texts"],
            _of_texts(rows, "matched_texts"),
            "they contain an entry of their language",
        ),
        Bar("matched images", matched, f"{percent(matched, rows['images'])} of images", "they have a matched text"),
        *_conditions(facts),
    ]
    share = f"{percent(kept, matched)} of matched images"
    if past is not None:
        share = f"{percent(kept, past)} of images past the gate"
    if past:
        passed = f"{percent(past, matched)} of matched images"
        bars.append(Bar("images past the gate", past, passed, "they meet all conditions"))
    return [*bars, Bar("kept images", kept, f"{share}; {expected(facts)}")]


def _of_texts(rows: dict[str, int], name: str) -> str:
    return f"{percent(rows[name], rows['texts'])} of texts"


def expected(facts: dict[str, Any]) -> str:
    """Return a text with the expected number of kept images and its standard deviation, given the facts of run.json."""
    kept, deviation = (number(facts["expected"][name]) for name in ("kept", "standard_deviation"))
    return f"{kept} expected (standard deviation {deviation})"


def _conditions(facts: dict[str, Any]) -> Iterator[Bar]:
    """Yield a bar for each gate condition that any image failed: the images that this and earlier conditions left.

    The remark of the first bar also counts the matched images that were not downloaded, by status.
    """
    left = facts["rows"]["matched"]
    downloads = facts["downloads"].get("images", {}).items()
    failures = ", ".join(f"{number(images)} {status}" for status, images in downloads if status != "success")
    for condition in facts["gate"].get("conditions", []):
        if condition["failed"]:
            left -= condition["removed"]
            remark = f"{number(condition['removed'])} removed, {number(condition['alone'])} only by this condition"
            text = condition["text"]
            is_cut = len(text) > MAX_CONDITION_CHARACTERS
            label = f"{text[: MAX_CONDITION_CHARACTERS - 1]}…" if is_cut else text
            yield Bar(label, left, "; ".join(filter(None, (remark, failures))), meaning=text if is_cut else "")
            failures = ""


def reasons(counts: dict[str, int], meanings: dict[str, str]) -> list[Bar]:
    """Return a bar for each reason with a count above 0; the remark is the meaning of the reason."""
    return [Bar(reason, value, meanings.get(reason, "")) for reason, value in counts.items() if value]


def head_and_tail(run: Run, rates: np.ndarray) -> list[Bar]:
    """Return four bars: expected texts kept for head entries, for tail entries and for both, and expected images.

    The tail has the entries with counts below t. In the first three bars, a text counts once for each of its entries.
    `rates` has the rate of each entry, by id.
    """
    tail, head = np.zeros(2), np.zeros(2)  # Both hold the number of entries seen, and of texts kept for them.
    for code, ids in run.entries.languages.items():
        counted = np.flatnonzero(run.counts.values[ids]) + ids.start
        counts = run.counts.values[counted]
        kept = counts * np.asarray(rates[counted], np.float64)
        in_tail = counts < run.thresholds.of_language[code]
        tail += (in_tail.sum(), kept[in_tail].sum())
        head += ((~in_tail).sum(), kept[~in_tail].sum())
    total = head[1] + tail[1]
    images = run.curated["expected"]
    times = f"{total / images:.1f} times the expected images: " if images else ""
    return [
        Bar("head", head[1], f"{number(head[0])} entries in t texts or more: about t texts for each"),
        Bar("tail", tail[1], f"{number(tail[0])} rarer entries seen: all their texts"),
        Bar("head + tail", total, f"{times}a text is counted once for each of its entries"),
        Bar("expected", images, "images, each counted once, with one text"),
    ]


@dataclass(frozen=True)
class Axis:
    """An axis from 0 to 100 %, drawn from pixel `begin` to `end`."""

    begin: float
    end: float

    def positions(self, values: ArrayLike) -> np.ndarray:
        """Return the position in pixels of each value, a share from 0 to 1, as float64."""
        return self.begin + (self.end - self.begin) * np.asarray(values)

    def ticks(self) -> list[tuple[float, str]]:
        """Return the position in pixels and the label of five ticks, from 0 to 100 %."""
        return [(float(self.positions(quarter / 4)), f"{25 * quarter} %") for quarter in range(5)]


@dataclass(frozen=True)
class LogAxis(Axis):
    """A logarithmic axis from the power of 10 at or below `low` to `high`, over at least one decade."""

    high: float
    low: float = 1

    def positions(self, values: ArrayLike) -> np.ndarray:
        """Return the position in pixels of each value, a number above 0, as float64."""
        low, high = self._bounds()
        return super().positions((np.log10(values) - low) / (high - low))

    def ticks(self) -> list[tuple[float, str]]:
        """Return the position in pixels and the label of each tick.

        Each decade has a tick. An axis of fewer than two decades also has ticks at 2 and 5. From seven decades on, some
        have no tick.
        """
        low, high = self._bounds()
        decades = range(low, floor(high + 1e-9) + 1, 1 + int(high - low) // 7)
        steps = (1, 2, 5) if high - low < 2 else (1,)
        values = [step * 10**i for i, step in product(decades, steps)]
        return [(float(self.positions(value)), short(value)) for value in values if log10(value) <= high + 1e-9]

    def _bounds(self) -> tuple[int, float]:
        """Return the exponents of 10 at the two ends of the axis."""
        low = floor(log10(self.low) + 1e-9)
        return low, max(log10(self.high), low + 1)


@dataclass(frozen=True)
class Label:
    """A text at a point in pixels; `anchor` says if the point is the start, middle or end of the text."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    name: str | None = None  # the class in the style sheet, which sets the colour


@dataclass(frozen=True)
class Chart:
    """A chart: two axes with titles, and shapes in the area between the axes, in pixels."""

    title: str
    x: Axis
    y: Axis
    x_title: str
    y_title: str
    area: Points = field(default_factory=list)
    border: Points = field(default_factory=list)  # a dashed line between two points, where head and tail meet
    lines: Mapping[str, Points] = field(default_factory=dict)  # class in the style sheet (before, ideal, after) → line
    dots: list[tuple[float, float, str]] = field(default_factory=list)  # x, y, and a text to show on hovering
    labels: Sequence[Label] = ()


def distributions(run: Run) -> list[tuple[str, Distribution, int, tuple[Chart, Chart]]]:
    """Return (code, distribution, t, two charts) of the PLOTTED_LANGUAGES with the most matches, largest first.

    `counts_by_rank` and `cumulative_share` draw the two charts.
    """
    matched = [(code, of_code) for code, of_code in run.distributions.items() if of_code.total]
    matched.sort(key=lambda item: -item[1].total)
    plotted = []
    for code, distribution in matched[:PLOTTED_LANGUAGES]:
        ids = run.entries.languages[code]
        t = run.thresholds.of_language[code]
        counts, kept = by_rank(run.counts.values[ids], run.kept_counts.values[ids])
        shapes = (counts_by_rank(counts, kept, t), cumulative_share(counts, kept, t))
        plotted.append((code, distribution, t, shapes))
    return plotted


def by_rank(counts: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts above 0 and the kept counts of the same entries, both int64, the most frequent entry first."""
    seen = np.flatnonzero(counts)
    order = seen[np.argsort(-counts[seen], kind="stable")]
    return counts[order], kept[order]


def counts_by_rank(counts: np.ndarray, kept: np.ndarray, t: int) -> Chart:
    """Return a chart of the counts by rank, with a line at `t`, and below it the area of the kept texts.

    `counts` and `kept` are as `by_rank` returns them.
    """
    ranks = _ranks(len(counts))
    x = LogAxis(LEFT, RIGHT, len(counts))
    y = LogAxis(BOTTOM, TOP, 1.25 * max(counts[0], t))  # There is room above for the label of t.
    level = float(y.positions(t))
    after = points(x, y, ranks, np.maximum(1, kept_by_rank(counts, kept, ranks)))  # The axis begins at 1.
    return Chart(
        f"Counts of {number(len(counts))} entries by rank, and how many of their texts are kept; t is {number(t)}",
        *(x, y, BY_RANK, "texts with the entry"),
        area=[(LEFT, BOTTOM), *after, (after[-1][0], BOTTOM)],
        border=[(LEFT, level), (RIGHT, level)],
        lines={
            "before": points(x, y, ranks, counts[ranks - 1]),
            "ideal": points(x, y, ranks, np.minimum(counts[ranks - 1], t)),
            "after": after,
        },
        # The label is at the left, where the line of counts is far above or below it.
        labels=[Label(LEFT + 6, level - 5, f"t = {number(t)}", "start", "t")],
    )


def kept_by_rank(counts: np.ndarray, kept: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return float64[rank]: a smoothed kept count at each of `ranks`, which are ascending and begin at 1.

    It is the count at the rank, times the kept share of all texts after the previous rank and up to this one. `counts`
    and `kept` are as `by_rank` returns them.
    """
    return counts[ranks - 1] * (_sums_between(kept, ranks) / _sums_between(counts, ranks))


def _sums_between(values: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return, for each of `ranks`, the sum of the values after the previous rank and up to this one."""
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
    return np.diff(sums[np.concatenate([np.zeros(1, np.int64), ranks])])


def cumulative_share(counts: np.ndarray, kept: np.ndarray, t: int) -> Chart:
    """Return a chart of the cumulative share of matches by rank, most frequent entry first.

    Its lines are for all texts, for kept texts, and for an ideal in which each count is at most `t`. `counts` and
    `kept` are as `by_rank` returns them.
    """
    ranks = _ranks(len(counts))
    x = LogAxis(LEFT, RIGHT, len(counts))
    y = Axis(BOTTOM, TOP)
    head = int((counts >= t).sum())
    matches = {"before": counts, "ideal": np.minimum(counts, t), "after": kept}
    sums = {name: np.cumsum(values) for name, values in matches.items() if values.any()}
    chart = Chart(
        f"Cumulative share of matches before and after balancing; {number(head)} entries are counted t or more",
        *(x, y, BY_RANK, "share of matches"),
        lines={name: points(x, y, ranks, values[ranks - 1] / values[-1]) for name, values in sums.items()},
    )
    if not head:
        return chart
    border, above = _border(float(x.positions(head)), f"{number(head)} in the head")
    return replace(chart, border=border, labels=[above])


def thresholds(languages: Mapping[str, dict[str, Any]]) -> Chart | None:
    """Return a chart with a dot for each language: its matches across, its t up; None if no text has a match.

    `languages` has the rows of languages in run.json, by code. Languages with more matches are labelled first.
    """
    rows = largest(languages.items(), "matches", len(languages))
    if not rows:
        return None
    x = LogAxis(LEFT, RIGHT, 3 * rows[0][1]["matches"], low=rows[-1][1]["matches"])
    y = LogAxis(BOTTOM, TOP, 2 * max(row["t"] for _, row in rows))
    centres = [(code, float(x.positions(row["matches"])), float(y.positions(row["t"]))) for code, row in rows]
    return Chart(
        "Threshold of each language over its number of matches",
        *(x, y, "matches of the language", "t"),
        dots=[
            (a, b, f"{code}: t = {number(row['t'])}, {number(row['matches'])} matches")
            for (code, a, b), (_, row) in zip(centres, rows, strict=True)
        ],
        labels=[Label(a + 6, b + 4, code) for code, a, b in _apart(centres)],
    )


def sizes(facts: Mapping[str, Any]) -> Chart | None:
    """Return a chart of the images kept, as a share, and of the tail share over the English threshold; None if unknown.

    `facts` is the content of run.json; a line marks the threshold of the run.
    """
    if not (curve := facts.get("sizes", {}).get("curve")):
        return None
    tried = [point["t"] for point in curve]
    images = facts["rows"].get("gated", facts["rows"]["matched"])
    t = facts["languages"].get("en", {}).get("t") or facts["parameters"]["english_threshold"]
    x = LogAxis(LEFT, RIGHT, max(tried[-1], t))
    y = Axis(BOTTOM, TOP)
    border, above = _border(float(x.positions(t)), f"t = {number(t)}")
    return Chart(
        f"Images kept, and tail share, over the English threshold; t is {number(t)}",
        *(x, y, "English threshold t", "share"),
        border=border,
        lines={
            "before": points(x, y, tried, [min(1.0, point["tail_share"]) for point in curve]),
            "after": points(x, y, tried, [min(1.0, point["images"] / images) for point in curve]),
        },
        labels=[above],
    )


def _border(x: float, text: str) -> tuple[Points, Label]:
    """Return an upright line at a pixel, and its label above all lines."""
    middle = min(max(x, LEFT + HALF_LABEL), RIGHT - HALF_LABEL)
    return [(x, TOP), (x, BOTTOM)], Label(middle, TOP - 7, text, "middle", "t")


def _apart(dots: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Return the dots, among the first MAX_LABELLED_DOTS, whose label covers no other dot and no earlier label.

    A dot is (code, x, y) in pixels, and its label is at the right of it.
    """
    width, height = LABEL_ROOM
    labelled: list[tuple[str, float, float]] = []
    for code, a, b in dots[:MAX_LABELLED_DOTS]:
        hides_dot = any(0 < x - a < width and abs(y - b) < height for _, x, y in dots)
        if not hides_dot and all(abs(a - x) > width or abs(b - y) > height for _, x, y in labelled):
            labelled.append((code, a, b))
    return labelled


def _ranks(entries: int) -> np.ndarray:
    """Return at most MAX_POINTS ranks from 1 to `entries`, int64, evenly spaced on a logarithmic axis."""
    return np.unique(np.geomspace(1, entries, MAX_POINTS).round().astype(np.int64))


def points(x: Axis, y: Axis, across: ArrayLike, up: ArrayLike) -> Points:
    """Return the point (x, y) in pixels of each pair of values: `across` on axis `x`, `up` on axis `y`."""
    return list(zip(x.positions(across).tolist(), y.positions(up).tolist(), strict=True))
