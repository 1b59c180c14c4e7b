"""Alignment for a person: a table, and a plot of the counts by rank, for the console, for files and for the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curation.observers.classes import Alignment
from curation.report.axes import LogAxis
from curation.report.charts import BOTTOM, LEFT, RIGHT, TOP, Chart, Label, Line, Points
from curation.report.console import aligned
from curation.report.facts import Section
from curation.report.numbers import number, percent
from curation.report.rendering import environment
from metadata.languages import language

HEADINGS = ("language", "classes", "in pool", "in manifest", "texts with one", "of manifest", "KL pool", "KL manifest")

LEGEND = (Label(RIGHT - 6, TOP + 14, "pool", "end", "before"), Label(RIGHT - 6, TOP + 30, "manifest", "end", "after"))


def section(found: Sequence[Alignment]) -> Section:
    """Return what the report shows: a row for each language, and the charts of those whose classes occur."""
    template = environment().get_template("alignment.html")
    html = template.render(headings=HEADINGS, rows=map(_row, found), drawn=charts_of(found))
    return Section("alignment", "Classes of evaluation sets", html)


def table(found: list[Alignment]) -> str:
    """Return one line a language."""
    return "\n".join(aligned([HEADINGS, *map(_row, found)]))


def drawing(found: list[Alignment]) -> str:
    """Return an SVG with a chart of each language of which the pool names a class."""
    return environment().get_template("alignment.svg").render(drawn=charts_of(found))


def charts_of(found: Sequence[Alignment]) -> list[Chart]:
    """Return a chart of each language of which the pool names a class."""
    return [chart(each) for each in found if each.pool.any()]


def chart(found: Alignment) -> Chart:
    """Return a chart of the texts that name each class, the most frequent first, in the pool and in the manifest."""
    before, after = (np.sort(each[each > 0])[::-1] for each in (found.pool, found.manifest))
    x, y = LogAxis(len(before), LEFT, RIGHT), LogAxis(1.25 * before[0], BOTTOM, TOP)
    title = f"{language(found.language).name}: texts that name a class, before and after balancing"
    lines = [Line(name, _points(x, y, counts)) for name, counts in (("before", before), ("after", after))]
    return Chart(
        title, x, y, f"classes of {language(found.language).name} by rank", "texts", lines=lines, labels=[*LEGEND]
    )


def _points(x: LogAxis, y: LogAxis, counts: np.ndarray) -> Points:
    return list(zip(x.place(np.arange(1, len(counts) + 1)).tolist(), y.place(counts).tolist(), strict=True))


def _row(found: Alignment) -> tuple[str, ...]:
    classes, (before, after) = len(found.labels), found.divergences()
    return (
        f"{language(found.language).name} ({found.language})",
        number(classes),
        *(
            f"{number(named)} ({percent(named, classes)})"
            for named in (int((each > 0).sum()) for each in (found.pool, found.manifest))
        ),
        *(percent(naming, texts) for naming, texts in zip(found.naming, found.texts, strict=True)),
        *("–" if each is None else f"{each:.3f}" for each in (before, after)),
    )
