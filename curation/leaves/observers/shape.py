"""Compare the distribution of entry counts with the figures of the Meta CLIP paper.

The counts are those of English or, if all texts are matched against a single list of entries, of that list. The paper
is "Demystifying CLIP Data" (arXiv 2309.16671): 500,000 entries, 1.6 billion texts with 5.6 billion matches.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.config import ENGLISH
from curation.report.facts import Observed, Run, Section
from curation.report.languages import quotient
from curation.report.page import environment
from curation.run.request import Observation, Options

PUBLISHED: dict[str, Any] = {
    "never_matched": 114_000 / 500_000,
    "entries_above_t": 0.032,
    "matches_above_t": 0.945,
    "matches_a_text": 3.5,
    "top": ["of", "in", "and", "for", "the", "The", "with", "to", "photo", "a"],
}


class ShapeObserver:
    """Compares the counts of a run with the paper's figures."""

    def observe(self, seen: Observation) -> Observed:
        """Return the shape as facts, and the section of the report; without a match empty facts and no section."""
        shape = shape_of_run(seen.run)
        if not shape:
            return Observed({})
        html = environment(__package__).get_template("shape.html").render(here=shape, published=PUBLISHED)
        return Observed(shape, Section("shape", "Beside the published pool of 1.6 billion English pairs", html))


def find(options: Options) -> ShapeObserver:
    """Return the observer, whatever the options."""
    return ShapeObserver()


def shape_of_run(run: Run) -> dict[str, Any]:
    """Return the shape and the most frequent entries of English, or of the only list of entries; {} without a match."""
    code, texts = run.config.one_list or ENGLISH, run.curated.by_language("language.texts")
    counts = run.counts.values[run.entries.ids(code)]
    if not counts.any():
        return {}
    matched = sum(texts.values()) if run.config.one_list else texts.get(code, 0)
    shape = shape_of(counts, run.thresholds.of_language[code], matched)
    return {"language": code, **shape, "top": [each["entry"] for each in run.top_entries(code)]}


def shape_of(counts: np.ndarray, t: int, texts: float) -> dict[str, float | None]:
    """Return the shape of the counts of one list of entries: shares of entries and matches, and matches per text.

    `texts` is the number of texts with a match. An entry in `t` texts or more is above t. Quotients by 0 are None.
    """
    above, matches = counts >= t, int(counts.sum())
    return {
        "never_matched": quotient(int((counts == 0).sum()), len(counts)),
        "entries_above_t": quotient(int(above.sum()), len(counts)),
        "matches_above_t": quotient(int(counts[above].sum()), matches),
        "matches_a_text": quotient(matches, texts),
    }
