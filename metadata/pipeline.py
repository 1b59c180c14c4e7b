"""Build the entries of each language from its sources: a build from its first stage to its last."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from shutil import rmtree

from pyspark.sql import DataFrame, SparkSession

from metadata import stages
from metadata.build import Build, Part
from metadata.config import MetadataConfig
from metadata.entries import Entries
from metadata.sources import Sources
from runtime.progress import Progress
from runtime.spark import collected, require_shared
from runtime.storage.whole import Parts

log = logging.getLogger("metadata")

Spark = SparkSession | Callable[[], SparkSession]


def build_metadata(
    spark: Spark, config: MetadataConfig, sources: Sources, output: str | Path, progress: Progress | None = None
) -> Entries:
    """Write the entries of all languages to a folder, and return them.

    A source that was counted already, from the same files, is not counted again. `spark` may be a function that starts
    a session: it is called only if something must be counted. `progress` is entered for each stage that Spark works on.
    """
    build = Build(config, sources, Parts(Path(output, "sources"), Path(output, ".work")))
    counting = Counting(build, spark, progress or Progress())
    counting.count_ngrams()
    counting.count_titles()
    entries, facts = build.merged()
    entries.save(output, facts)
    rmtree(build.parts.work, ignore_errors=True)
    log.debug("%s: %d entries, digest %s", output, len(entries), entries.digest)
    return entries


@dataclass(frozen=True)
class Counting:
    """Counts the parts of a build, but for those that were counted before."""

    build: Build
    spark: Spark
    progress: Progress

    def count_ngrams(self) -> None:
        """Count words and pairs of each language's Wikipedias, and keep those that become entries."""
        for code in self.build.sources.counted:
            self._make(self.build.ngrams(code), partial(self._ngrams, code))

    def count_titles(self) -> None:
        """Add up the page views of all languages, and keep the titles that become entries."""
        if self.build.sources.pageviews:
            self._make(self.build.titles(), self._titles)

    def _make(self, part: Part, stage: Callable[[SparkSession, str], DataFrame]) -> None:
        """Let `stage` write a part into a folder, unless the part exists, made from the same files and numbers."""
        if self.build.has(part):
            log.info("%s: counted before", part.title)
            return
        spark, folder = self._session, self.build.parts.begin(part.name)
        with self.progress.stage(part.title):
            tallies = collected(stage(spark, str(folder)))
        self.build.parts.finish(part.name, {"made_from": part.made_from, "tallies": tallies.rows()})
        log.debug("%s: counted", part.title)

    def _ngrams(self, code: str, spark: SparkSession, folder: str) -> DataFrame:
        files, plan = self.build.sources.wikipedias_of(code), stages.NgramPlan(self.build.config, folder)
        return stages.ngram_entries(spark, files, code, plan)

    def _titles(self, spark: SparkSession, folder: str) -> DataFrame:
        sources = self.build.sources
        plan = stages.TitlePlan(self.build.config, frozenset(sources.languages), sources.namespaces, folder)
        return stages.title_entries(spark, list(sources.pageviews), plan)

    @cached_property
    def _session(self) -> SparkSession:
        """The Spark session, whose workers see the folder that they are to write to."""
        spark = self.spark() if callable(self.spark) else self.spark
        work = self.build.parts.work
        work.mkdir(parents=True, exist_ok=True)
        require_shared(spark, work)
        return spark
