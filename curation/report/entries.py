"""Entries in the report: the most frequent ones of each language, and the sums of head and tail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.report.bars import Bar, length
from curation.report.facts import Run
from curation.report.numbers import number
from metadata.languages import language

LISTED = 12  # languages whose most frequent entries are listed, those with the most matches


@dataclass(frozen=True)
class Entry:
    """A frequent entry; `length` is that of its bar, in percent of the longest."""

    entry: str
    count: str
    rate: str
    length: float


@dataclass(frozen=True)
class Frequent:
    """The most frequent entries of a language."""

    language: str
    entries: list[Entry]


def most_frequent(facts: dict[str, Any], rates: np.ndarray) -> list[Frequent]:
    """Return the most frequent entries of the languages with the most matches; `rates` has one rate per entry."""
    matched = [(code, row) for code, row in facts["languages"].items() if row["top"]]
    largest = sorted(matched, key=lambda item: -item[1]["matches"])[:LISTED]
    return [Frequent(language(code).name, _listed(row["top"], rates)) for code, row in largest]


def _listed(top: list[dict[str, Any]], rates: np.ndarray) -> list[Entry]:
    longest = top[0]["count"]
    return [
        Entry(each["entry"], number(each["count"]), f"{float(rates[each['id']]):.3g}", length(each["count"], longest))
        for each in top
    ]


def head_and_tail(run: Run, rates: np.ndarray) -> list[Bar]:
    """Return the expected texts that each entry keeps, summed over head and tail, beside the expected images."""
    tail, head = np.zeros(2), np.zeros(2)  # entries seen, texts kept for their sake
    for code, ids in run.entries.languages.items():
        counts = run.counts.values[ids]
        kept, in_tail = counts * np.asarray(rates[ids], np.float64), counts < run.thresholds.of_language[code]
        tail += ((counts[in_tail] > 0).sum(), kept[in_tail].sum())
        head += ((~in_tail).sum(), kept[~in_tail].sum())
    total, images = head[1] + tail[1], run.curated["expected"]
    times = f"{total / images:.1f} times the expected images: " if images else ""
    longest = max(total, images)
    return [
        Bar.of("head", head[1], f"{number(head[0])} entries in t texts or more: about t texts for each", longest),
        Bar.of("tail", tail[1], f"{number(tail[0])} rarer entries seen: all their texts", longest),
        Bar.of("head + tail", total, f"{times}a text is counted once for each of its entries", longest),
        Bar.of("expected", images, "images, each counted once, with one text", longest),
    ]
