"""Measure how the classes of evaluation sets are distributed in a run's pool (before balancing) and in its manifest.

It works as an observer during a run, and on a finished run. Tasks on Spark count, and Spark adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.observers.classes import (
    MANIFEST,
    POOL,
    Classes,
    Finder,
    Rows,
    alignment,
    count_classes,
    finders_of,
    no_counts,
    read_classes,
)
from curation.report.charts import BOTTOM, LEFT, RIGHT, TOP, Chart, Label, LogAxis, points
from curation.report.console import aligned
from curation.report.facts import Observed, Section
from curation.report.languages import named
from curation.report.numbers import decimal, number, percent
from curation.report.page import environment
from curation.run.finished import curated_files, matched_files
from curation.run.hooks import Observation
from curation.run.request import Options
from curation.run.results import Results
from metadata.languages import language
from metadata.rules.text import Rules
from runtime.arrow.buffers import parts
from runtime.engine.choice import Given, engine_of
from runtime.engine.interface import Engine
from runtime.errors import InputError
from runtime.progress import Progress
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.storage.whole import whole, write_json
from runtime.tallies import Tallies

JSON, PLOT = "alignment.json", "alignment.svg"
Figures = dict[str, dict[str, Any]]  # of each language, as `alignment` returns them
HEADINGS = ("language", "classes", "in pool", "in manifest", "texts with one", "of manifest", "KL pool", "KL manifest")

LEGEND = (Label(RIGHT - 6, TOP + 14, "pool", "end", "before"), Label(RIGHT - 6, TOP + 30, "manifest", "end", "after"))


@dataclass(frozen=True)
class AlignmentObserver:
    """Counts the classes of each language in the images that were balanced, and in the manifest."""

    classes: tuple[tuple[str, Classes], ...]

    def observe(self, seen: Observation) -> Observed:
        """Count where the files are read."""
        files, context = {POOL: seen.images, MANIFEST: seen.manifest}, seen.context
        with context.progress.stage("count classes"):
            found = _counted(context.engine, files, self.classes, context.config.rules)
        return Observed(found, section(found))


def find(options: Options) -> AlignmentObserver | None:
    """Return the observer of the classes that are asked for, or None."""
    classes = read_classes(options.classes, options.templates)
    return AlignmentObserver(tuple(classes.items())) if classes else None


def align(engine: Given, run: Results, classes: dict[str, Classes], progress: Progress | None = None) -> Figures:
    """Return the alignment of each language in a finished run, local or at a URL."""
    known = run.facts["languages"]
    if strange := [code for code in classes if code not in known]:
        raise InputError(
            f"the run has no language {strange[0]}, of which classes are given; it has {', '.join(sorted(known)[:20])}"
        )
    files = {POOL: matched_files(run), MANIFEST: curated_files(run)}
    with (progress or Progress()).stage("count classes"):
        return _counted(
            engine_of(engine), files, tuple(classes.items()), run.facts["made_from"].get("rules", "unicode")
        )


def _counted(
    engine: Engine, files: dict[str, list[OwnFile]], classes: tuple[tuple[str, Classes], ...], rules: Rules
) -> Figures:
    """Count the classes where the files of pool and manifest are read."""
    parts = [(name, file) for name, own in files.items() for file in own]
    counts = {name: {code: no_counts(len(each.labels)) for code, each in classes} for name in _READERS}
    for row in engine.run(parts, partial(_count, classes=classes, rules=rules)).rows():
        part, _, place = row["name"].partition(".")
        counts[part][row["language"]][int(place)] = row["value"]
    return _aligned(classes, counts)


def _aligned(classes: Iterable[tuple[str, Classes]], counts: dict[str, dict[str, np.ndarray]]) -> Figures:
    return {code: alignment(each, {part: counts[part][code] for part in counts}) for code, each in classes}


def write(found: Figures, folder: Path) -> None:
    """Write alignment.svg and then alignment.json into a folder."""
    with whole(folder / PLOT) as file:
        file.write_text(drawing(found), encoding="utf-8")
    write_json(folder / JSON, {"version": 1, "languages": found})


def of_pool(files: Iterable[OwnFile]) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Yield all texts of the images that were balanced, and their languages."""
    for file in files:
        for batch in batches(file, columns=["candidates"]):
            texts = parts(batch["candidates"])[0]
            yield texts.field("text"), texts.field("language")


def of_manifest(files: Iterable[OwnFile]) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Yield the texts that were kept, and their languages."""
    for file in files:
        for batch in batches(file, columns=["text", "language"]):
            yield batch["text"], batch["language"]


_READERS: dict[str, Callable[[Iterable[OwnFile]], Rows]] = {POOL: of_pool, MANIFEST: of_manifest}


def _count(part: tuple[str, OwnFile], classes: tuple[tuple[str, Classes], ...], rules: Rules) -> Tallies:
    """Return the counts of a file of the pool or the manifest, which add up by language and place."""
    (name, file), tallies = part, Tallies()
    for code, counts in count_classes(_READERS[name]([file]), _finders(classes, rules)).items():
        for place in np.flatnonzero(counts):
            tallies.add(f"{name}.{place}", int(counts[place]), code)
    return tallies


@lru_cache(maxsize=1)
def _finders(classes: tuple[tuple[str, Classes], ...], rules: Rules) -> dict[str, Finder]:
    return finders_of(dict(classes), rules)


def section(found: Figures) -> Section:
    """Return what the report shows: a row for each language, and the charts of those whose classes occur."""
    template = environment().get_template("alignment.html")
    html = template.render(headings=HEADINGS, rows=_rows(found), drawn=charts_of(found))
    return Section("alignment", "Classes of evaluation sets", html)


def table(found: Figures) -> str:
    """Return one line a language."""
    return "\n".join(aligned([HEADINGS, *_rows(found)]))


def drawing(found: Figures) -> str:
    """Return an SVG with a chart of each language for which the pool names a class."""
    return environment().get_template("alignment.svg").render(drawn=charts_of(found))


def charts_of(found: Figures) -> list[Chart]:
    """Return a chart of each language for which the pool names a class.

    It has the texts that name each class, the most frequent first, in the pool and in the manifest.
    """
    return [_chart(language(code).name, each["counts"]) for code, each in found.items() if each["found"][POOL]]


def _chart(name: str, counts: list[dict[str, Any]]) -> Chart:
    lines = {"before": POOL, "after": MANIFEST}
    ranked = {line: sorted((each[part] for each in counts if each[part]), reverse=True) for line, part in lines.items()}
    x, y = LogAxis(LEFT, RIGHT, len(ranked["before"])), LogAxis(BOTTOM, TOP, 1.25 * ranked["before"][0])
    return Chart(
        f"{name}: texts that name a class, before and after balancing",
        *(x, y, f"classes of {name} by rank", "texts"),
        lines={line: points(x, y, np.arange(1, len(each) + 1), each) for line, each in ranked.items()},
        labels=LEGEND,
    )


def _rows(found: Figures) -> list[tuple[str, ...]]:
    return [
        (
            named(code),
            number(each["classes"]),
            *(f"{number(classes)} ({percent(classes, each['classes'])})" for classes in each["found"].values()),
            *(percent(each["naming"][part], texts) for part, texts in each["texts"].items()),
            *(decimal(value, 3) for value in each["divergence"].values()),
        )
        for code, each in found.items()
    ]
