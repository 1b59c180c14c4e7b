"""Summary of a run for the console: steps, dropped rows, languages, warnings and notes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from curation.report.dropped import dropped
from curation.report.funnel import funnel
from curation.report.numbers import number, percent, score
from metadata.languages import language

LANGUAGES = 7  # shown one by one, those with the most texts
REASONS = 4  # shown one by one, the most frequent
NOTE_WIDTH = 100
# Characters of an entry or a path that would break a line or turn it around.
_ACTING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def summary(facts: dict[str, Any]) -> str:
    """Return what the console shows at the end of a run, given the content of run.json."""
    steps = [(step.label, number(step.value), step.remark) for step in funnel(facts)]
    blocks = [
        aligned(steps, left=(0, 2)),
        aligned(_reasons("dropped", dropped(facts))),
        aligned(_reasons("undetermined", facts["undetermined"])),
        aligned(_languages(facts)),
        [f"warning: {in_one_line(warning)}" for warning in facts["warnings"]],
        [line for note in facts["notes"] for line in wrap(note, NOTE_WIDTH)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _reasons(title: str, reasons: dict[str, int]) -> list[tuple[str, ...]]:
    shown, rest = list(reasons.items())[:REASONS], list(reasons.values())[REASONS:]
    if rest:
        shown.append((f"{len(rest)} more", sum(rest)))
    return [(title, ""), *((f"  {reason}", number(value)) for reason, value in shown)] if shown else []


def _languages(facts: dict[str, Any]) -> list[tuple[str, ...]]:
    seen = [(code, row) for code, row in facts["languages"].items() if row["texts"]]
    if not seen:
        return []
    lines = [_language(code, row) for code, row in seen[:LANGUAGES]]
    rest = [row for _, row in seen[LANGUAGES:]]
    if rest:
        texts, matched, kept = (sum(row[name] for row in rest) for name in ("texts", "matched", "kept"))
        lines.append((f"{len(rest)} more", number(texts), percent(matched, texts), "", "", "", number(kept)))
    return [("language", "texts", "matched", "mean score", "t", "tail share", "kept"), *lines]


def _language(code: str, row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{language(code).name} ({code})",
        number(row["texts"]),
        percent(row["matched"], row["texts"]),
        score(row["mean_score"]),
        number(row["t"]),
        percent(row["tail_share"]),
        number(row["kept"]),
    )


def aligned(rows: Sequence[tuple[str, ...]], left: Sequence[int] = (0,)) -> list[str]:
    """Return the rows as lines with aligned columns: those in `left` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def in_one_line(text: str) -> str:
    """Return the text with the characters escaped that act on a terminal.

    >>> in_one_line("a\\nb\\x1b[2J")
    'a\\\\u000ab\\\\u001b[2J'
    """
    return _ACTING.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
