"""Write report.html: one file that needs no network, made from the templates beside this module."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from curation.report import charts
from curation.report.dropped import dropped_bars
from curation.report.entries import head_and_tail, most_frequent
from curation.report.facts import Run
from curation.report.funnel import funnel_bars
from curation.report.gate import GateTables
from curation.report.languages import LanguageTable
from curation.report.overview import lead, tiles
from curation.report.parameters import Parameters
from curation.report.rendering import environment
from curation.report.samples import samples_of
from curation.report.undetermined import undetermined_bars
from curation.report.warnings import warnings
from runtime.storage.own_files import checksum_of
from runtime.storage.whole import whole

Rows = Sequence[dict[str, Any]]


def write_report(path: str | PathLike[str], run: Run, rates: np.ndarray, rows: Rows) -> str:
    """Write report.html and return its checksum, with `rates` of entries, and CURATED rows of which some are shown."""
    page = render(run, rates, rows)
    with whole(path) as file:
        file.write_text(page, encoding="utf-8", errors="backslashreplace")  # a path may hold bytes that are not UTF-8
        return checksum_of(file)


def render(run: Run, rates: np.ndarray, rows: Rows) -> str:
    """Return the page."""
    facts = run.run_json()
    return (
        environment()
        .get_template("report.html")
        .render(
            lead=lead(facts),
            tiles=tiles(facts),
            warnings=warnings(facts),
            notes=facts["notes"],
            funnel=funnel_bars(facts),
            gate=GateTables.of(facts),
            dropped=dropped_bars(facts),
            languages=LanguageTable.of(facts),
            undetermined=undetermined_bars(facts),
            thresholds=charts.thresholds(facts),
            distributions=charts.distributions(run),
            frequent=most_frequent(facts, rates),
            head_and_tail=head_and_tail(run, rates),
            samples=samples_of(rows, run, rates),
            doubts=LanguageTable.of_doubts(facts),
            sections=[each.section for each in run.observed.values() if each.section],
            parameters=Parameters.of(facts),
        )
    )
