"""Shape of the counts of English, or of the one list that all texts are matched against, beside that of the paper.

[1] is "Demystifying CLIP Data" (arXiv 2309.16671): 500,000 entries, 1.6 billion texts with 5.6 billion matches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.report.numbers import percent, quotient

PUBLISHED: dict[str, Any] = {
    "never_matched": 114_000 / 500_000,
    "entries_above_t": 0.032,
    "matches_above_t": 0.945,
    "matches_a_text": 3.5,
    "top": ["of", "in", "and", "for", "the", "The", "with", "to", "photo", "a"],
}
SHOWN = len(PUBLISHED["top"])


def shape_of(counts: np.ndarray, t: int, texts: float) -> dict[str, float | None]:
    """Return the shape of the counts of one list, found in so many texts; an entry in t texts or more is above t."""
    above, matches = counts >= t, int(counts.sum())
    return {
        "never_matched": quotient(int((counts == 0).sum()), len(counts)),
        "entries_above_t": quotient(int(above.sum()), len(counts)),
        "matches_above_t": quotient(int(counts[above].sum()), matches),
        "matches_a_text": quotient(matches, texts),
    }


@dataclass(frozen=True)
class Compared:
    """A figure of the run, and that of the paper."""

    label: str
    here: str
    published: str


def compared(facts: dict[str, Any]) -> list[Compared]:
    """Return the figures of a run, given the content of run.json; none where nothing was matched."""
    shape = facts.get("shape")
    if not shape:
        return []
    shares = {
        "entries that match no text": "never_matched",
        "entries in t texts or more": "entries_above_t",
        "matches with these": "matches_above_t",
    }
    rows = [Compared(label, percent(shape[name]), percent(PUBLISHED[name])) for label, name in shares.items()]
    rows.append(Compared("matches of a matched text", *(_one_digit(of["matches_a_text"]) for of in (shape, PUBLISHED))))
    rows.append(Compared("most frequent", *(", ".join(of["top"][:SHOWN]) for of in (shape, PUBLISHED))))
    return rows


def _one_digit(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
