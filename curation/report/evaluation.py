"""The recall and precision of each language, as lines for the console and as a plot."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curation.report.console import aligned
from curation.report.numbers import number, percent
from curation.report.rendering import environment
from metadata.languages import OTHER, language

LINES = 25  # languages on the console, those with the most texts
BARS = 60  # languages of the plot


def evaluation_lines(table: pa.Table) -> str:
    """Return what the console shows of a table of `curation.language.evaluation`."""
    rows = [each for each in table.to_pylist() if each["texts"]]
    lines: list[tuple[str, ...]] = [("language", "texts", "recall", "precision", "share", "found", "mistaken for")]
    lines += [_line(each) for each in rows[:LINES]]
    if len(rows) > LINES:
        rest = number(sum(each["texts"] for each in rows[LINES:]))
        lines.append((f"{len(rows) - LINES} more", rest, "", "", "", "", ""))
    right, texts = sum(each["right"] for each in rows), sum(each["texts"] for each in rows)
    found = sum(each["found"] for each in table.to_pylist() if each["language"] != OTHER.code)
    own = sum(each["right"] for each in rows if each["language"] != OTHER.code)
    lines.append(("all", number(texts), percent(right, texts), percent(own, found), "", "", ""))
    return "\n".join(aligned(lines, left=(0, 6)))


def evaluation_plot(table: pa.Table) -> str:
    """Return an SVG with the recall and precision of the languages with the most texts."""
    rows = [each for each in table.to_pylist() if each["texts"]][:BARS]
    return environment().get_template("evaluation.svg").render(rows=rows, language=language)


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{language(row['language']).name} ({row['language']})",
        number(row["texts"]),
        percent(row["right"], row["texts"]),
        percent(row["right"], row["found"]),
        percent(row["share"], 1),
        percent(row["found_share"], 1),
        row["mistaken_for"] or "",
    )
