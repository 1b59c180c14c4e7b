"""Steps of a run, from files read to images kept, each with its share of an earlier step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from curation.report.bars import Bar
from curation.report.numbers import number, percent


@dataclass(frozen=True)
class Boundary:
    """A step of every run: its label, and its name in the `rows` of run.json."""

    label: str
    name: str
    wholes: tuple[str, ...] = ()  # names of earlier steps; the share of the first one that the run has is shown
    meaning: str = ""
    has_bar: bool = True  # files and pages have none: other steps are no parts of them
    is_optional: bool = False  # not in every run


BOUNDARIES = (
    Boundary("files", "files", has_bar=False),
    Boundary("pages with images", "pages", has_bar=False, is_optional=True),
    Boundary("pairs", "pairs", (), "an image and one of its texts, as pages and tables give them"),
    Boundary("images", "images", (), "different image URLs"),
    Boundary("texts", "texts", (), "pairs, with repeated texts of the same image removed"),
    Boundary("identified texts", "identified", ("texts",), "their language is known"),
    Boundary("matched texts", "matched_texts", ("texts",), "they contain an entry of their language"),
    Boundary("matched images", "matched", ("images",), "they have a matched text"),
    Boundary("images past the gate", "gated", ("matched",), "they meet all conditions", is_optional=True),
    Boundary("kept images", "kept", ("gated", "matched")),
)
LABEL = 32  # characters of a condition in a label
_LABELS = {boundary.name: boundary.label for boundary in BOUNDARIES}


@dataclass(frozen=True)
class Step:
    """The number of rows that are left at one boundary of a run."""

    label: str
    value: int
    remark: str
    meaning: str
    has_bar: bool


def funnel(facts: dict[str, Any]) -> list[Step]:
    """Return the steps of a run, given the content of run.json."""
    rows = facts["rows"]
    steps: list[Step] = []
    for boundary in BOUNDARIES:
        if boundary.name == "gated":
            steps += _conditions(facts)
        if rows.get(boundary.name) or not boundary.is_optional:
            expectation = expected(facts) if boundary.name == "kept" else ""
            remark = "; ".join(filter(None, (_share(rows, boundary), expectation)))
            steps.append(Step(boundary.label, rows[boundary.name], remark, boundary.meaning, boundary.has_bar))
    return steps


def funnel_bars(facts: dict[str, Any]) -> list[Bar]:
    """Return the steps as rows of a bar chart."""
    steps = funnel(facts)
    longest = max(step.value for step in steps if step.has_bar)
    return [
        Bar.of(
            step.label,
            step.value,
            ": ".join(filter(None, (step.remark, step.meaning))),
            longest if step.has_bar else None,
        )
        for step in steps
    ]


def expected(facts: dict[str, Any]) -> str:
    """Return the number of kept images that is expected, and the standard deviation of that number."""
    kept, deviation = (number(facts["expected"][name]) for name in ("kept", "standard_deviation"))
    return f"{kept} expected (standard deviation {deviation})"


def _share(rows: dict[str, int], boundary: Boundary) -> str:
    whole = next((name for name in boundary.wholes if name in rows), None)
    return f"{percent(rows[boundary.name], rows[whole])} of {_LABELS[whole]}" if whole else ""


def _conditions(facts: dict[str, Any]) -> Iterator[Step]:
    """Yield a step for each condition of the gate that images fail: those that it and the conditions before it left."""
    left, conditions = facts["rows"]["matched"], facts["gate"].get("conditions", [])
    conditions = [each for each in conditions if each["failed"]]
    for place, condition in enumerate(conditions):
        left -= condition["removed"]
        failures = _failures(facts) if place == 0 else ""
        remark = f"{number(condition['removed'])} removed, {number(condition['alone'])} by nothing else"
        remark = "; ".join(filter(None, (remark, failures)))
        label = _short(condition["text"])
        meaning = "" if label == condition["text"] else condition["text"]
        yield Step(label, left, remark, meaning, has_bar=True)


def _short(text: str) -> str:
    return text if len(text) <= LABEL else f"{text[: LABEL - 1]}…"


def _failures(facts: dict[str, Any]) -> str:
    """Return the number of matched images that were not downloaded, by status; nothing where none was given."""
    by_status = facts["downloads"].get("images", {})
    return ", ".join(f"{number(n)} {status}" for status, n in by_status.items() if status != "success")
