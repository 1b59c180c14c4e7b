"""Charts: axes, lines and labels, as shapes and as SVG."""

import re

import numpy as np
import pytest

from curation.balancing.thresholds import Distribution
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
    assert axis.place(np.array([1, 10, 100, 1_000])).tolist() == [0, 100, 200, 300]
    assert axis.ticks() == [(0, "1"), (100, "10"), (200, "100"), (300, "1k")]


def test_an_axis_may_begin_at_the_decade_of_its_smallest_value():
    axis = LogAxis(0, 200, 10_000, low=250)
    assert axis.place(1_000) == 100
    assert [label for _, label in axis.ticks()] == ["100", "1k", "10k"]


def test_an_axis_of_many_decades_labels_some_of_them():
    assert len(LogAxis(0, 300, 10**15).ticks()) <= 8


def test_the_lines_of_cumulative_shares_are_those_of_the_definition():
    counts, t = [1, 2, 7, 10], 5
    chart = charts.cumulative_share(np.array(counts), t)
    height = charts.BOTTOM - charts.TOP
    for name, masses in (("before", [10, 7, 2, 1]), ("after", [5, 5, 2, 1])):
        shares = [sum(masses[: i + 1]) / sum(masses) for i in range(4)]
        drawn = [(charts.BOTTOM - y) / height for _, y in points(chart, name)]
        assert drawn == pytest.approx(shares, abs=0.001)
    assert [label.text for label in chart.labels] == ["2 in the head"]


def test_the_line_of_counts_crosses_that_of_t_where_the_head_ends():
    chart = charts.counts_by_rank(np.arange(1, 101), 30)
    (_, level), (_, same) = chart.border
    border = LogAxis(charts.LEFT, charts.RIGHT, 100).place(71)  # the 71 counts from 30 to 100
    assert level == same
    assert all((y <= level + 1e-9) == (x <= border + 0.1) for x, y in points(chart, "before"))


@pytest.mark.parametrize("counts", [[1], [5], [3, 3, 3], [1, 10**12]])
@pytest.mark.parametrize("t", [1, 4, 20_000, 10**13])
def test_charts_of_any_counts_stay_between_their_axes(counts, t):
    ascending = Distribution.of(counts).ascending
    for chart in (charts.counts_by_rank(ascending, t), charts.cumulative_share(ascending, t)):
        for x, y in points(chart, "before"):
            assert charts.LEFT - 0.1 <= x <= charts.RIGHT + 0.1
            assert charts.TOP - 0.1 <= y <= charts.BOTTOM + 0.1


def test_the_chart_of_thresholds_has_a_dot_for_each_language_and_labels_that_do_not_meet():
    chart = thresholds({"ja": (100, 3), "en": (9_000, 20), "de": (8_900, 20), "da": (0, 1)})
    assert len(chart.dots) == 3
    assert [label.text for label in chart.labels] == ["en", "ja"]


def test_the_svg_has_all_shapes_of_the_chart_in_pixels_of_one_decimal():
    drawn = svg(charts.counts_by_rank(np.array([1, 2, 7, 10]), 5))
    named = re.findall('class="([^"]*)"', drawn)
    assert sorted({*named}) == ["area", "grid", "line before", "t"]
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
