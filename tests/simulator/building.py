"""The kind of build_metadata that the simulator runs, over small dumps.

How n-grams and titles are counted and chosen, with Spark's DataFrames, is left out: tasks write all words, pairs and
titles to the files that the stages would write.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa

from metadata import MetadataConfig, Sources, build_metadata, pipeline
from metadata.stages.choosing import CHOSEN
from metadata.stages.ngrams import TITLES, NgramPlan
from metadata.stages.titles import TitlePlan
from metadata.wikipedia import articles
from metadata.wikipedia.dump_files import WikipediaFile
from runtime.engine import Engine
from runtime.folders.verify import verify
from runtime.storage.json_files import read_json
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import part_writer, read_table
from runtime.tallies import TaskResult
from tests.simulator.engine import Session
from tests.simulator.kind import Command, Kind, contents
from tests.support import dumps

LANGUAGES = ("de", "fr", "nl")


class Metadata(Kind):
    """The metadata of some languages, from a dump of each and page views."""

    name = "metadata"
    places = (False,)
    finished = "metadata.json"

    def prepare(self, folder: Path) -> None:
        for code in LANGUAGES:
            pages = [dumps.page(f"Page {number}", f"word{number} of {code} " * number) for number in range(1, 4)]
            dumps.write(_dump(folder, code), dumps.dump(*pages, code=code))
        (folder / "views").touch()

    def settings(self, command: Command) -> AbstractContextManager:
        return patch.multiple(pipeline, ngram_entries=_ngrams, title_entries=_titles)

    def call(self, session: Session, folder: Path, command: Command, output: Path) -> None:
        given = [str(_dump(folder, code)) for code in LANGUAGES[: command.inputs]]
        sources = replace(Sources.find(wikipedia=given), pageviews=[str(folder / "views")], chosen_codes=LANGUAGES)
        build_metadata(session, MetadataConfig(unigram_share=1.0), sources, output, overwrite=True)

    def results(self, output: Path) -> dict[str, bytes]:
        facts = read_json(output / self.finished) or {}
        facts.pop("checksums", None)  # of which verify tells
        return contents(output, (), ("entries.parquet",)) | {self.finished: json.dumps(facts).encode()}

    def require_whole(self, output: Path) -> None:
        verify(output)

    def inputs(self, output: Path) -> int:
        return len((read_json(output / self.finished) or {})["inputs"]["wikipedia"])


METADATA = (Metadata(),)


def _dump(folder: Path, code: str) -> Path:
    return folder / f"{code}wiki-20240101-pages-articles.xml"


def _ngrams(engine: Engine, files: Mapping[str, list[WikipediaFile]], plan: NgramPlan) -> dict[str, TaskResult]:
    """Stand in for the stages that count and choose words and pairs."""
    tallies = engine.run([(code, file) for code, own in files.items() for file in own], partial(_count, plan=plan))
    rows = [(row["language"], row | {"language": None}) for row in tallies.rows()]
    return {
        code: TaskResult(
            (row for language, row in rows if language == code),
            {path.partition("/")[2]: each for path, each in tallies.files.items() if path.startswith(f"{code}/")},
            {articles.DUMPS_FACT: tallies.noted(code)},
        )
        for code in files
    }


def _count(dump: tuple[str, WikipediaFile], plan: NgramPlan) -> TaskResult:
    code, file = dump
    read = TaskResult()
    folder, found = plan.folder / code, pa.Table.from_batches(articles.articles(file, read))
    words, tallies = " ".join(found["text"].to_pylist()).split(), TaskResult()
    path = folder / "titles-00000.parquet"
    with part_writer(path, TITLES, 8) as writer:
        writer.write(pa.record_batch([found["title"].combine_chunks()], schema=TITLES))
    tallies.update(row | {"language": code} for row in read.rows())
    tallies.note(code, *read.noted(articles.DUMPS_FACT))
    tallies.files[f"{code}/{path.name}"] = writer.checksum
    _choose(folder / "unigrams.parquet", Counter(words), code, tallies)
    _choose(folder / "bigrams.parquet", Counter(" ".join(pair) for pair in pairwise(words)), code, tallies)
    return tallies


def _titles(engine: Engine, files: list[str], plan: TitlePlan) -> TaskResult:
    """Stand in for the stages that add up page views, and choose titles."""
    return engine.run([*plan.articles.items()], partial(_write_titles, folder=plan.folder))


def _write_titles(own: tuple[str, list[OwnFile]], folder: Path) -> TaskResult:
    (code, files), tallies = own, TaskResult()
    titles = [title for file in files for title in read_table(file)["title"].to_pylist()]
    _choose(folder / f"{code}.parquet", Counter(titles), code, tallies)
    return tallies


def _choose(path: Path, counts: Counter[str], code: str, tallies: TaskResult) -> None:
    best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    with part_writer(path, CHOSEN, 8) as writer:
        writer.write(pa.record_batch([[entry for entry, _ in best], [float(n) for _, n in best]], schema=CHOSEN))
    tallies.files[path.name if path.stem == code else f"{code}/{path.name}"] = writer.checksum
