"""Alignment as a stage of a run: classes are counted where the files are read, and Spark adds up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from curation.alignment.texts import MANIFEST, POOL, READERS
from curation.classes import Alignment, Classes, Finder, count_classes, finders_of, no_counts
from metadata.rules.text import Rules
from runtime.spark import over
from runtime.storage.own_files import OwnFile

# Where the sum of a language stands in the counts of classes, of what it is, and what a file adds to it.
SUMS = pa.schema({"part": pa.string(), "language": pa.string(), "place": pa.int64(), "value": pa.int64()})


@dataclass(frozen=True)
class Part:
    """A file of the pool or of the manifest."""

    name: str
    file: OwnFile


@dataclass(frozen=True)
class Wanted:
    """The classes of each language, and the rules by which a run matches."""

    classes: tuple[tuple[str, Classes], ...]
    rules: Rules


def align(
    spark: SparkSession, classes: Mapping[str, Classes], rules: Rules, pool: list[OwnFile], manifest: list[OwnFile]
) -> list[Alignment]:
    """Return the alignment of each language in the files of the images that were balanced, and of those kept."""
    parts = [Part(name, file) for name, files in ((POOL, pool), (MANIFEST, manifest)) for file in files]
    sums = over(spark, parts, partial(_count, wanted=Wanted(tuple(classes.items()), rules)), SUMS)
    counts = {name: {code: no_counts(len(each.labels)) for code, each in classes.items()} for name in READERS}
    for row in sums.groupBy("part", "language", "place").sum("value").collect():
        part, language, place, value = row
        counts[part][language][place] = value
    return [Alignment.of(code, each, counts[POOL][code], counts[MANIFEST][code]) for code, each in classes.items()]


def _count(part: Part, wanted: Wanted) -> Iterator[pa.RecordBatch]:
    for code, counts in count_classes(READERS[part.name]([part.file]), _finders(wanted)).items():
        places = np.flatnonzero(counts)
        columns = [pa.repeat(part.name, len(places)), pa.repeat(code, len(places)), places, counts[places]]
        yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=SUMS)


@lru_cache(maxsize=1)
def _finders(wanted: Wanted) -> dict[str, Finder]:
    return finders_of(dict(wanted.classes), wanted.rules)
