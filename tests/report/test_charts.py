"""Charts: axes, lines and labels, as shapes and as SVG."""

import re

import numpy as np
import pytest

from curation.report import charts
from curation.report.charts import LogAxis
from curation.report.page import environment
from tests.report.runs import Page
from tests.support.hostile_strings import ONE


def points(chart: charts.Chart, name: str) -> list[tuple[float, float]]:
    return chart.lines[name]


def thresholds(languages: dict[str, tuple[int, int]]) -> charts.Chart:
    return charts.thresholds({code: {"matches": matches, "t": t} for code, (matches, t) in languages.items()})


def svg(chart: charts.Chart) -> str:
    return str(environment().get_template("charts.html").module.chart(chart))


def test_a_logarithmic_axis_gives_each_decade_the_same_room():
    axis = LogAxis(0, 300, 1_000)
    assert axis.positions(np.array([1, 10, 100, 1_000])).tolist() == [0, 100, 200, 300]
    assert axis.ticks() == [(0, "1"), (100, "10"), (200, "100"), (300, "1k")]


def test_an_axis_may_begin_at_the_decade_of_its_smallest_value():
    axis = LogAxis(0, 200, 10_000, low=250)
    assert axis.positions(1_000) == 100
    assert [label for _, label in axis.ticks()] == ["100", "1k", "10k"]


def test_an_axis_of_many_decades_labels_some_of_them():
    assert len(LogAxis(0, 300, 10**15).ticks()) <= 8


def heights(chart: charts.Chart, name: str) -> list[float]:
    """Return the share of the height of the area between the axes at each point of a line."""
    return [(charts.BOTTOM - y) / (charts.BOTTOM - charts.TOP) for _, y in points(chart, name)]


def test_the_lines_of_cumulative_shares_are_those_of_the_definition():
    counts, kept, t = [10, 7, 2, 1], [8, 3, 2, 0], 5
    chart = charts.cumulative_share(np.array(counts), np.array(kept), t)
    for name, masses in (("before", counts), ("ideal", [5, 5, 2, 1]), ("after", kept)):
        shares = [sum(masses[: i + 1]) / sum(masses) for i in range(4)]
        assert heights(chart, name) == pytest.approx(shares, abs=0.001)
    assert [label.text for label in chart.labels] == ["2 in the head"]


def test_the_chart_of_counts_shows_what_is_kept_and_the_ideal_as_another_line():
    counts, kept = charts.by_rank(np.array([0, 10, 1_000, 100]), np.array([0, 10, 500, 70]))
    chart = charts.counts_by_rank(counts, kept, 50)
    axis = LogAxis(charts.BOTTOM, charts.TOP, 1_250)
    for name, values in (("before", [1_000, 100, 10]), ("ideal", [50, 50, 10]), ("after", [500, 70, 10])):
        assert [y for _, y in points(chart, name)] == pytest.approx(axis.positions(values))
    assert chart.area[1:-1] == points(chart, "after")


def test_between_two_ranks_that_are_drawn_the_kept_share_is_a_mean():
    counts = np.full(100_000, 7)
    kept = np.resize([7, 0], 100_000)
    drawn = points(charts.counts_by_rank(counts, kept, 3), "after")
    assert len(drawn) <= charts.MAX_POINTS
    assert drawn[-1][1] == pytest.approx(LogAxis(charts.BOTTOM, charts.TOP, 1.25 * 7).positions(3.5), abs=1)


def test_the_line_of_counts_crosses_that_of_t_where_the_head_ends():
    chart = charts.counts_by_rank(np.arange(100, 0, -1), np.arange(100, 0, -1), 30)
    (_, level), (_, same) = chart.border
    border = LogAxis(charts.LEFT, charts.RIGHT, 100).positions(71)  # the 71 counts from 30 to 100
    assert level == same
    assert all((y <= level + 1e-9) == (x <= border + 0.1) for x, y in points(chart, "before"))


@pytest.mark.parametrize("counts", [[1], [5], [3, 3, 3], [1, 10**12]])
@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("t", [1, 4, 20_000, 10**13])
def test_charts_of_any_counts_stay_between_their_axes(counts, kept, t):
    both = charts.by_rank(np.array(counts), np.array(counts) * kept)
    for chart in (charts.counts_by_rank(*both, t), charts.cumulative_share(*both, t)):
        for x, y in (point for line in chart.lines.values() for point in line):
            assert charts.LEFT - 0.1 <= x <= charts.RIGHT + 0.1
            assert charts.TOP - 0.1 <= y <= charts.BOTTOM + 0.1


def test_the_chart_of_thresholds_has_a_dot_for_each_language_and_labels_that_do_not_meet():
    chart = thresholds({"ja": (100, 3), "en": (9_000, 20), "de": (8_900, 20), "da": (0, 1)})
    assert len(chart.dots) == 3
    assert [label.text for label in chart.labels] == ["en", "ja"]


def test_the_svg_has_all_shapes_of_the_chart_in_pixels_of_one_decimal():
    drawn = svg(charts.counts_by_rank(np.array([10, 7, 2, 1]), np.array([6, 5, 2, 1]), 5))
    named = re.findall('class="([^"]*)"', drawn)
    assert sorted({*named}) == ["area", "grid", "line after", "line before", "line ideal", "t"]
    assert named.count("t") == 2  # the line and its label
    places = re.findall(r' (?:x|y|x1|x2|y1|y2|points)="([^"]*)"', drawn)
    numbers = [number for place in places for number in re.split("[ ,]", place)]
    assert len(numbers) > 50
    assert [number for number in numbers if not re.fullmatch(r"\d+\.\d", number)] == []


def test_labels_and_titles_of_the_svg_are_text_and_nothing_else():
    read = Page(svg(thresholds({ONE: (9_000, 20)})))
    assert read.text.count(ONE) == 2
    assert {name for name, _ in read.elements} <= {"svg", "title", "line", "text", "circle"}
    assert read.open == []
