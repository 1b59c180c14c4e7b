"""Observe kept rows with a low language score, some per language, so that a person can see what was kept by mistake."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.config import DOUBTFUL_SCORE
from curation.report.facts import Observed, Run, Section
from curation.report.page import environment
from curation.run.request import Observation, Options
from runtime.storage.parquet import batches

FILES = 8  # first files of the manifest, which are searched
ROWS = 10  # most rows of a language
LANGUAGES = 60  # those with the most kept rows of a low score


class DoubtfulObserver:
    """Looks for kept rows of a low language score at the beginning of the manifest."""

    def observe(self, seen: Observation) -> Observed:
        """Return the section of the report."""
        rows = first_doubtful((batch for file in seen.manifest[:FILES] for batch in batches(file)), seen.run)
        return Observed(section=section(rows, seen.run))


def find(options: Options) -> DoubtfulObserver:
    """Return the observer, whatever the options."""
    return DoubtfulObserver()


def section(rows: dict[str, list[dict[str, Any]]], run: Run) -> Section:
    """Return the section that shows `rows`, CURATED rows by language; languages with the most texts come first."""
    doubtful = [(code, run.language_row(code), rows[code]) for code in run.codes() if code in rows]
    html = environment(__package__).get_template("doubtful.html").render(doubtful=doubtful, entry=run.entries.entry)
    return Section("doubtful-rows", "Doubtful rows", html)


def first_doubtful(batches: Iterable[pa.RecordBatch], run: Run) -> dict[str, list[dict[str, Any]]]:
    """Return, by language, the first ROWS kept rows with a low score, for the LANGUAGES languages with most such rows.

    `batches` are CURATED batches in the random order of the manifest; reading stops once all of these rows are found.
    """
    counts = run.curated.by_language("language.kept_doubtful")
    most = sorted(counts, key=lambda code: -counts[code])[:LANGUAGES]
    missing, found = {code: min(ROWS, int(counts[code])) for code in most}, defaultdict(list)
    for batch in batches if missing else ():
        low = pc.and_(pc.less(batch["lid_score"], DOUBTFUL_SCORE), pc.is_in(batch["language"], pa.array([*missing])))
        for row in batch.filter(low).to_pylist():
            if missing.get(row["language"], 0):
                found[row["language"]].append(row)
                missing[row["language"]] -= 1
        missing = {code: left for code, left in missing.items() if left}
        if not missing:
            break
    return dict(found)
