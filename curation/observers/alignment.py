"""Task alignment: how the classes of evaluation sets are distributed in the pool of a run, and in what was kept of it.

As an observer of a run, where Spark adds up what tasks count, and of a finished run, without Spark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.observers.alignment_drawn import drawing, section
from curation.observers.classes import (
    Alignment,
    Classes,
    Finder,
    Rows,
    count_classes,
    finders_of,
    no_counts,
    read_classes,
)
from curation.report.facts import Observed
from curation.run.finished import curated_files, matched_files
from curation.run.hooks import Observation
from curation.run.request import Options
from curation.run.results import Results
from metadata.rules.text import Rules
from runtime.arrow.buffers import parts
from runtime.spark import over
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.storage.whole import whole, write_json

JSON, PLOT = "alignment.json", "alignment.svg"
POOL, MANIFEST = "pool", "manifest"
# Where the sum of a language stands in the counts of classes, of what it is, and what a file adds to it.
SUMS = pa.schema({"part": pa.string(), "language": pa.string(), "place": pa.int64(), "value": pa.int64()})


@dataclass(frozen=True)
class AlignmentObserver:
    """Counts the classes of each language in the images that were balanced, and in the manifest."""

    classes: tuple[tuple[str, Classes], ...]

    def observe(self, seen: Observation) -> Observed:
        """Count where the files are read."""
        with seen.context.progress.stage("count classes"):
            parts = [(name, file) for name, files in _parts(seen.images, seen.manifest).items() for file in files]
            count = partial(_count, classes=self.classes, rules=seen.context.config.rules)
            sums = over(seen.context.spark, parts, count, SUMS)
            rows = sums.groupBy("part", "language", "place").sum("value").collect()
        counts = {name: {code: no_counts(len(each.labels)) for code, each in self.classes} for name in _READERS}
        for part, language, place, value in rows:
            counts[part][language][place] = value
        found = [Alignment.of(code, each, counts[POOL][code], counts[MANIFEST][code]) for code, each in self.classes]
        return Observed({each.language: each.json() for each in found}, section(found))


def find(options: Options) -> AlignmentObserver | None:
    """Return the observer of the classes that are asked for, or None."""
    classes = read_classes(options.classes, options.templates)
    return AlignmentObserver(tuple(classes.items())) if classes else None


def align(run: Results, classes: dict[str, Classes]) -> list[Alignment]:
    """Return the alignment of each language in a finished run."""
    finders = finders_of(classes, run.facts["made_from"].get("rules", "unicode"))
    files = _parts(matched_files(run), curated_files(run))
    counts = {name: count_classes(_READERS[name](own), finders) for name, own in files.items()}
    return [Alignment.of(code, each, counts[POOL][code], counts[MANIFEST][code]) for code, each in classes.items()]


def write(found: list[Alignment], folder: Path) -> None:
    """Write alignment.json and alignment.svg into a folder."""
    write_json(folder / JSON, {"version": 1, "languages": {each.language: each.json() for each in found}})
    with whole(folder / PLOT) as file:
        file.write_text(drawing(found), encoding="utf-8")


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


def _parts(pool: list[OwnFile], manifest: list[OwnFile]) -> dict[str, list[OwnFile]]:
    return {POOL: pool, MANIFEST: manifest}


def _count(
    part: tuple[str, OwnFile], classes: tuple[tuple[str, Classes], ...], rules: Rules
) -> Iterator[pa.RecordBatch]:
    """Yield what a file of the pool or the manifest adds to the sums of each language."""
    name, file = part
    for code, counts in count_classes(_READERS[name]([file]), _finders(classes, rules)).items():
        places = np.flatnonzero(counts)
        columns = [pa.repeat(name, len(places)), pa.repeat(code, len(places)), places, counts[places]]
        yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=SUMS)


@lru_cache(maxsize=1)
def _finders(classes: tuple[tuple[str, Classes], ...], rules: Rules) -> dict[str, Finder]:
    return finders_of(dict(classes), rules)
