"""Summarise a run for the console: steps, dropped rows, languages, warnings and notes."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from curation.report.charts import funnel
from curation.report.languages import KEPT, MEAN_SCORE, SHARE, TAIL_SHARE, TEXTS, T, named, number, sums
from runtime.terminal import in_one_line

COLUMNS = {"texts": TEXTS, "matched": SHARE, "mean score": MEAN_SCORE, "t": T, "tail share": TAIL_SHARE, "kept": KEPT}
LANGUAGES = 7  # with a line of their own: those with the most texts
REASONS = 4  # with a line of their own: the most frequent
NOTE_WIDTH = 100


def summary(facts: dict[str, Any]) -> str:
    """Return what the console shows at the end of a run, given the content of run.json."""
    blocks = [
        aligned([(step.label, number(step.value), step.remark) for step in funnel(facts)], left=(0, 2)),
        *(aligned(_reasons(title, facts[title])) for title in ("dropped", "undetermined")),
        aligned(_languages(facts)),
        [f"warning: {in_one_line(warning)}" for warning in facts["warnings"]],
        [line for note in facts["notes"] for line in wrap(note, NOTE_WIDTH)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _reasons(title: str, counts: dict[str, int]) -> list[tuple[str, ...]]:
    found = [(reason, value) for reason, value in counts.items() if value]
    if rest := found[REASONS:]:
        found[REASONS:] = [(f"{len(rest)} more", sum(value for _, value in rest))]
    return [(title, ""), *((f"  {reason}", number(value)) for reason, value in found)] if found else []


def _languages(facts: dict[str, Any]) -> list[tuple[str, ...]]:
    seen = [(named(code), row) for code, row in facts["languages"].items() if row["texts"]]
    if rest := [row for _, row in seen[LANGUAGES:]]:
        seen[LANGUAGES:] = [(f"{len(rest)} more", sums(rest))]
    lines = [
        (name, *(column.written(column.value(row)) if column.name in row else "" for column in COLUMNS.values()))
        for name, row in seen
    ]
    return [("language", *COLUMNS), *lines] if lines else []


def aligned(rows: Sequence[tuple[str, ...]], left: Sequence[int] = (0,)) -> list[str]:
    """Return each row as a line with aligned columns: to the left if the column index is in `left`, else right."""
    rows = [tuple(map(in_one_line, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
