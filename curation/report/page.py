"""A run for a person: `summary` for the console, `write_report` for the browser, as one file that needs no network.

The page's words and looks are in report.html, what is filled into it in `sections`, `charts` and `reasons`.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from string import Template
from textwrap import wrap

from curation.report import sections
from curation.report.facts import Run
from curation.report.funnel import funnel, name, warnings
from curation.report.markup import number, percent
from curation.report.reasons import samples_section
from runtime.storage.whole import whole

LANGUAGES = 7  # that the console names, those with the most texts
REASONS = 4
NOTE_WIDTH = 100


def summary(facts: dict) -> str:
    """Return what the console says at the end of a run, given the content of run.json."""
    steps = [(step.label, number(step.value), step.remark) for step in funnel(facts)]
    blocks = [
        _aligned(steps, left=(0, 2)),
        _aligned(_dropped(facts)),
        _aligned(_languages(facts)),
        [f"warnings  {len(warned)}, in the report"] if (warned := warnings(facts)) else [],
        [line for note in facts["notes"] for line in wrap(note, NOTE_WIDTH)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def write_report(path, run: Run, rates, samples: list[dict]) -> None:
    """Write report.html: `rates` has one rate per entry, `samples` are CURATED rows."""
    page = render(run, rates, samples)
    with whole(path) as file:
        file.write_text(page, encoding="utf-8", errors="backslashreplace")  # a path may hold bytes that are no UTF-8


def render(run: Run, rates, samples: list[dict]) -> str:
    """Return the page."""
    facts = run.run_json()
    script = _part("report.js")
    # The browser runs the script with this digest and no other, should text of the crawl ever get through unescaped.
    digest = b64encode(sha256(script.encode()).digest()).decode()
    filled = {
        "lead": sections.lead(facts),
        "tiles": sections.tiles(facts),
        "notices": sections.notices(facts),
        "funnel": sections.funnel_table(facts),
        "dropped": sections.dropped_table(facts),
        "languages": sections.language_table(facts),
        "columns": sections.column_legend(),
        "thresholds": sections.threshold_plot(facts),
        "plots": sections.plots(run),
        "top": sections.top_entries(facts, rates),
        "balance": sections.balance(run, rates),
        "samples": samples_section(run, rates, samples),
        "parameters": sections.parameters(facts),
    }
    return Template(_part("report.html")).substitute(filled, script=script, digest=digest)


def _part(name: str) -> str:
    return files("curation.report").joinpath(name).read_text("utf-8")


def _dropped(facts: dict) -> list[tuple[str, ...]]:
    reasons = [(reason, value) for reason, value in facts["dropped"].items() if value]
    shown, rest = reasons[:REASONS], reasons[REASONS:]
    if rest:
        shown.append((f"{len(rest)} more", sum(value for _, value in rest)))
    return [("dropped", ""), *((f"  {reason}", number(value)) for reason, value in shown)] if shown else []


def _languages(facts: dict) -> list[tuple[str, ...]]:
    seen = [(code, row) for code, row in facts["languages"].items() if row["texts"]]
    if not seen:
        return []
    lines = [_language(code, row) for code, row in seen[:LANGUAGES]]
    rest = [row for _, row in seen[LANGUAGES:]]
    if rest:
        texts, matched, kept = (sum(row[name] for row in rest) for name in ("texts", "matched", "kept"))
        lines.append((f"{len(rest)} more", number(texts), percent(matched, texts), "", "", "", number(kept)))
    return [("language", "texts", "matched", "mean score", "t", "tail share", "kept"), *lines]


def _language(code: str, row: dict) -> tuple[str, ...]:
    return (
        f"{name(code)} ({code})",
        number(row["texts"]),
        percent(row["matched"], row["texts"]),
        sections.score(row["mean_score"]),
        number(row["t"]),
        percent(row["tail_share"]),
        number(row["kept"]),
    )


def _aligned(rows: list[tuple[str, ...]], left=(0,)) -> list[str]:
    """Return the rows as lines whose columns stand below each other, those not in `left` to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
