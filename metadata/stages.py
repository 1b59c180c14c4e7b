"""Count n-grams and titles with Spark, and choose the entries among them.

Workers get paths and numbers, and open the files themselves. Each stage writes its entries in the workers and returns
tallies, so that no rows go back through the JVM.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metadata.config import MetadataConfig
from metadata.languages import language, of_wikipedia
from metadata.wikipedia import articles, pageviews
from metadata.wikipedia.files import WikipediaFile
from metadata.words import ngrams, selection
from runtime.spark import map_batches, over
from runtime.storage.parquet import PartWriter
from runtime.tallies import SCHEMA as TALLIES
from runtime.tallies import Tallies

# A tally travels among the rows: null instead of a word or a language, then its name, then its value.
NGRAMS = pa.schema([("first", pa.string()), ("second", pa.string()), ("count", pa.int64())])
TITLES = pa.schema([("language", pa.string()), ("title", pa.string()), ("views", pa.int64())])
CHOSEN = pa.schema([("entry", pa.string()), ("score", pa.float64())])


@dataclass(frozen=True)
class NgramPlan:
    """The numbers by which n-grams are chosen, and the folder for them."""

    config: MetadataConfig
    folder: str


@dataclass(frozen=True)
class TitlePlan:
    """The numbers by which titles are chosen, the languages wanted, namespaces per wiki, and the folder for them."""

    config: MetadataConfig
    languages: frozenset[str]
    namespaces: dict[str, list[str]]
    folder: str


def ngram_entries(spark: SparkSession, files: list[WikipediaFile], code: str, plan: NgramPlan) -> DataFrame:
    """Write the unigram and bigram entries of one language to the plan's folder; return tallies.

    Counting takes the memory of a batch; choosing, in one task, that of the language's distinct words and pairs.
    """
    counted = over(spark, files, partial(_count_ngrams, code=code), NGRAMS)
    summed = counted.groupBy("first", "second").agg(F.sum("count").alias("count"))
    return map_batches(summed.repartition(1), partial(_choose_ngrams, code=code, plan=plan), TALLIES)


def title_entries(spark: SparkSession, files: list[str], plan: TitlePlan) -> DataFrame:
    """Write the title entries of the plan's languages to files of its folder, one a language; return tallies."""
    viewed = over(spark, files, partial(_read_titles, plan=plan), TITLES)
    summed = viewed.groupBy("language", "title").agg(F.sum("views").alias("views"))
    by_language = summed.repartition("language").sortWithinPartitions("language")
    return map_batches(by_language, partial(_choose_titles, plan=plan), TALLIES)


def _count_ngrams(file: WikipediaFile, code: str) -> Iterator[pa.RecordBatch]:
    tally: Counter = Counter()
    for batch in articles.articles(file, tally):
        unigrams, bigrams = ngrams.count(batch["text"], language(code))
        words = pa.nulls(len(unigrams), pa.string())
        yield from pa.table([unigrams["word"], words, unigrams["count"]], NGRAMS).to_batches()
        yield from bigrams.cast(NGRAMS).to_batches()
    yield _tally_rows(tally, NGRAMS)


def _choose_ngrams(batches: Iterable[pa.RecordBatch], code: str, plan: NgramPlan) -> Iterator[pa.RecordBatch]:
    counted = pa.Table.from_batches(batches, NGRAMS)
    is_tally, is_word = pc.is_null(counted["first"]), pc.is_null(counted["second"])
    words = counted.filter(pc.and_not(is_word, is_tally)).drop_columns("second").rename_columns(["word", "count"])
    pairs = counted.filter(pc.invert(pc.or_(is_word, is_tally)))
    unigrams = selection.unigrams(words, language(code), plan.config)
    scored = ngrams.association(words, pairs, language(code), plan.config)
    bigrams = selection.bigrams(scored, len(unigrams), plan.config)
    tally = Tallies(_read_tally(counted.filter(is_tally), "second", "count"))
    for name, chosen in (("unigrams", unigrams), ("bigrams", bigrams)):
        _write(chosen, Path(plan.folder) / f"{name}.parquet")
        tally.add(name, len(chosen), code)
    tally.add("words", pc.sum(words["count"]).as_py() or 0)
    tally.add("distinct_words", len(words))
    tally.add("distinct_pairs", len(pairs))
    yield tally.batch()


def _read_titles(path: str, plan: TitlePlan) -> Iterator[pa.RecordBatch]:
    tally: Counter = Counter()
    for batch in pageviews.titles(path, tally, plan.namespaces):
        codes = batch["wikipedia"].dictionary_encode()
        known = [of_wikipedia(wiki).code for wiki in codes.dictionary.to_pylist()]
        wanted = pa.array([code if code in plan.languages else None for code in known], pa.string())
        rows = pa.RecordBatch.from_arrays([wanted.take(codes.indices), batch["title"], batch["views"]], schema=TITLES)
        yield rows.filter(pc.is_valid(rows["language"]))
    yield _tally_rows(tally, TITLES)


def _choose_titles(batches: Iterable[pa.RecordBatch], plan: TitlePlan) -> Iterator[pa.RecordBatch]:
    tally = Tallies()
    for code, runs in groupby(_language_runs(batches), key=itemgetter(0)):
        viewed = pa.Table.from_batches([rows for _, rows in runs], TITLES)
        if code is None:
            tally = Tallies([*tally.rows(), *_read_tally(viewed, "title", "views")])
            continue
        chosen = selection.titles(viewed.drop_columns("language"), language(code), plan.config)
        _write(chosen, Path(plan.folder) / f"{code}.parquet")
        tally.add("titles", len(chosen), code)
    yield tally.batch()


def _language_runs(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str | None, pa.RecordBatch]]:
    for batch in batches:
        for run in pc.run_end_encode(batch["language"]).values.to_pylist():
            is_run = pc.is_null(batch["language"]) if run is None else pc.equal(batch["language"], run)
            yield run, batch.filter(is_run)


def _write(chosen: pa.Table, path: Path) -> None:
    with PartWriter(path, CHOSEN, row_group_rows=1 << 20) as writer:
        for batch in chosen.rename_columns(CHOSEN.names).cast(CHOSEN).combine_chunks().to_batches():
            writer.write(batch)


def _tally_rows(tally: Counter, schema: pa.Schema) -> pa.RecordBatch:
    names, values = list(tally), list(tally.values())
    columns = [pa.nulls(len(names), pa.string()), pa.array(names, pa.string()), pa.array(values, pa.int64())]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _read_tally(rows: pa.Table, name: str, value: str) -> list[dict]:
    return [{"name": row[name], "language": None, "value": row[value]} for row in rows.to_pylist()]
