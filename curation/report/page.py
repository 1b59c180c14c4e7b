"""Write report.html: one file that needs no network, made from the templates beside this module."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from curation.report import charts
from curation.report.alignment import AlignmentPart
from curation.report.doubtful import doubtful_rows
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
from curation.report.shape import compared
from curation.report.undetermined import undetermined_bars
from curation.report.warnings import warnings
from runtime.storage.own_files import checksum_of
from runtime.storage.whole import whole


@dataclass(frozen=True)
class Shown:
    """CURATED rows of which the page shows some: the first ones, and of each language the first of a low score."""

    first: list[dict[str, Any]] = field(default_factory=list)
    doubtful: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def write_report(path: str | PathLike[str], run: Run, rates: np.ndarray, rows: Shown) -> str:
    """Write report.html and return its checksum; `rates` has one rate per entry."""
    page = render(run, rates, rows)
    with whole(path) as file:
        file.write_text(page, encoding="utf-8", errors="backslashreplace")  # a path may hold bytes that are not UTF-8
        return checksum_of(file)


def render(run: Run, rates: np.ndarray, rows: Shown) -> str:
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
            alignment=AlignmentPart.of(run.alignment),
            shape=compared(facts),
            frequent=most_frequent(facts, rates),
            head_and_tail=head_and_tail(run, rates),
            samples=samples_of(rows.first, run, rates),
            doubts=LanguageTable.of_doubts(facts),
            doubtful=doubtful_rows(rows.doubtful, run, facts),
            parameters=Parameters.of(facts),
        )
    )
