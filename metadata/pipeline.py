"""Run a build of all entries, from the first stage to the last."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from metadata.build import COUNTED_PART, NGRAMS, Build, BuildPart
from metadata.config import MetadataConfig
from metadata.entries import ENTRIES, FACTS, METADATA, Entries
from metadata.sources import Sources
from metadata.stages.ngrams import NgramPlan, ngram_entries
from metadata.stages.titles import TitlePlan, title_entries
from runtime.argument_types import typed
from runtime.engine import Engine, EngineLike, engine_of, started
from runtime.errors import InputError
from runtime.folders.descriptor import differing
from runtime.folders.ownership import claimed
from runtime.folders.parts import Parts
from runtime.progress import Progress
from runtime.storage.json_files import read_json
from runtime.storage.paths import local_folder, make_folder, names, remove
from runtime.storage.whole import WORK, finished
from runtime.tallies import TaskResult

log = logging.getLogger("metadata")

COUNTED, DOWNLOADS = "sources", "downloads"  # folders in the output: of counted parts, and of fetched files
_COUNTS = "counts"  # a temporary folder for counts, until entries are chosen


@typed
def build_metadata(
    engine: EngineLike,
    config: MetadataConfig,
    sources: Sources,
    output: str | Path,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> Entries:
    """Write the entries of all languages to a folder as `write_metadata` does, and return them."""
    write_metadata(engine, config, sources, output, progress, overwrite)
    return Entries.open(output)


def write_metadata(
    engine: EngineLike,
    config: MetadataConfig,
    sources: Sources,
    output: str | Path,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> None:
    """Write the entries of all languages to a folder.

    N-grams and titles that were counted before, from the same files with the same parameters, are not counted again.
    `engine` is None for processes of this machine, a Spark session, or a function that returns a session, which is
    called only if something must be counted. `progress` shows each stage that workers work on. Other metadata in the
    folder are refused, unless `overwrite` says to replace them; the counts that they were made from are kept.
    """
    wanted = asked_for(config, sources.recipe)
    output = local_folder(output)
    with claimed(output, partial(require_build_folder, wanted=wanted, overwrite=overwrite)) as parts:
        build = Build(config, sources, Parts(output / COUNTED, parts.unfinished))
        counting = Counting(build, engine_of(engine), progress or Progress())
        counting.count_ngrams()
        counting.count_titles()
        with counting.progress.stage("write entries", "languages"):
            build.write(output, parts.owner.require)


def asked_for(config: MetadataConfig, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return rules, parameters and parts of `recipe`, all of which are equal in two builds of the same metadata."""
    same = {name: recipe[name] for name in ("languages", "sources", "made_with") if name in recipe}
    return {"rules": config.rules, "parameters": config.numbers()} | same


def require_build_folder(folder: Path, wanted: Mapping[str, Any], overwrite: bool = False) -> None:
    """Refuse a folder that holds anything but the beginning of a build, or metadata that were built as `wanted` says.

    `wanted` is the result of `asked_for`. With `overwrite`, other metadata are also accepted.
    """
    files = finished(names(folder)) - {WORK}
    if FACTS not in files:
        if more := sorted(files - {ENTRIES, COUNTED, DOWNLOADS}):
            raise InputError(
                f"output {folder} holds {more[0]}, which does not belong to metadata; specify an empty or new folder"
            )
        return
    facts = read_json(folder / FACTS)
    if facts is None and ENTRIES in files:  # Damaged metadata will be built again.
        return
    if facts is None or "digest" not in facts:
        raise InputError(f"output {folder} holds a {FACTS} of another program; specify an empty or new folder")
    recipe = facts.get("recipe")  # Entries that were saved in Python have none.
    differences = differing({**facts, **recipe}, wanted) if isinstance(recipe, dict) else ["other sources"]
    if differences and not overwrite:
        raise InputError(
            f"output {folder} already holds {METADATA.name} made differently ({', '.join(differences)}); specify "
            "another folder, or replace the files with --overwrite"
        )


@dataclass(frozen=True)
class Counting:
    """Counts the parts of a build on an engine, and skips parts that were counted before."""

    build: Build
    engine: Engine
    progress: Progress

    def count_ngrams(self) -> None:
        """Count the words and word pairs of each language's Wikipedias, and write those that become entries."""
        build = self.build
        for code in build.sources.counted:
            self._has(build.ngrams(code))
        for codes in build.rounds():
            parts = {code: build.ngrams(code) for code in codes}
            engine = self._workers
            work = build.parts.begin(_COUNTS)
            for part in parts.values():
                build.parts.begin(part.name)
            plan = NgramPlan(build.config, build.parts.unfinished / NGRAMS, work, sum(map(build.bytes_of, codes)))
            title = f"words of {len(parts)} languages" if len(parts) > 1 else parts[codes[0]].title
            with self.progress.stage(title):
                files = {code: build.sources.wikipedias_of(code) for code in codes}
                results = ngram_entries(engine, files, plan)
            for code, part in parts.items():
                self._finish(part, results[code])
            remove(work)

    def count_titles(self) -> None:
        """Sum the page views of each title in all languages, and write the titles that become entries."""
        sources, parts = self.build.sources, self.build.parts
        part = self.build.titles()
        if not sources.pageviews or self._has(part):
            return
        engine = self._workers
        folder = parts.begin(part.name)
        work = parts.begin(_COUNTS)
        articles = {code: self.build.article_titles(code) for code in sources.counted}
        size = sum(size for _, size, *_ in part.made_from["files"])
        codes = frozenset(sources.languages)
        plan = TitlePlan(self.build.config, codes, sources.namespaces, articles, folder, work, size)
        with self.progress.stage(part.title):
            result = title_entries(engine, list(sources.pageviews), plan)
        self._finish(part, result)

    def _has(self, part: BuildPart) -> bool:
        """Return whether a part exists that was made from the same files and parameters; log it if so."""
        is_counted = self.build.has(part)
        if is_counted:
            log.info("%s: counted before", part.title)
        return is_counted

    def _finish(self, part: BuildPart, result: TaskResult) -> None:
        facts = {"tallies": result.rows(), "facts": result.facts}
        self.build.parts.finish(part.name, COUNTED_PART.content(part.made_from, result.files, facts))
        log.debug("%s: counted", part.title)

    @cached_property
    def _workers(self) -> Engine:
        """The engine, started, after a check that its workers see the folder for unfinished parts."""
        return started(self.engine, self.progress, make_folder(self.build.parts.unfinished))
