"""Write report.html, one file that needs no network, from the templates beside this module.

Other pages and drawings use the same templates through `environment`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from os import PathLike
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from curation.report import bars, charts, languages
from curation.report.facts import Run
from curation.report.numbers import counted, decimal, number, percent
from curation.report.samples import samples_of
from curation.report.warnings import Quoted, warnings
from metadata.languages import language
from runtime.storage.own_files import checksum_of
from runtime.storage.whole import whole

Rows = Sequence[dict[str, Any]]


@cache
def environment() -> Environment:
    """Return the Jinja environment of pages and drawings, which escapes every value that is filled in."""
    templates = Environment(
        loader=PackageLoader("curation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(counted=counted, decimal=decimal, number=number, percent=percent, sha256=_sha256)
    templates.filters.update(largest=languages.largest, named=languages.named, written=written)
    templates.filters["language"] = lambda code: language(code).name
    templates.tests["quoted"] = lambda part: isinstance(part, Quoted)
    templates.globals["charts"] = charts  # sizes in pixels
    return templates


def _sha256(text: str) -> str:
    """Return the digest of a script as a Content Security Policy names it."""
    return b64encode(sha256(text.encode()).digest()).decode()


def written(value: Any) -> str:
    """Return the value of a parameter as text.

    >>> written({"rules": "meta", "seed": None})
    'rules meta, seed –'
    """
    if value and isinstance(value, dict):
        return ", ".join(f"{key} {written(each)}" for key, each in value.items())
    return "–" if value in (None, {}) else str(value)


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
            facts=facts,
            warnings=warnings(facts),
            funnel=bars.funnel(facts),
            expected=bars.expected(facts),
            dropped=bars.reasons(facts["dropped"], bars.DROPPED),
            undetermined=bars.reasons(facts["undetermined"], bars.UNDETERMINED),
            columns=languages.COLUMNS,
            doubts=languages.DOUBTS,
            sums=languages.sums,
            thresholds=charts.thresholds(facts["languages"]),
            distributions=charts.distributions(run),
            head_and_tail=bars.head_and_tail(run, rates),
            rates=rates,
            samples=samples_of(rows, run, rates),
            sections=[each.section for each in run.observed.values() if each.section],
        )
    )
