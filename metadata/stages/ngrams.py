"""Choose the entries among the words and word pairs of a group of languages, which Spark counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from metadata.config import MetadataConfig
from metadata.languages import LANGUAGES, language
from metadata.stages.choosing import Percentile, percentiles, rows_of, write_best
from metadata.stages.counts import NgramPlan, count, inform
from metadata.wikipedia.files import WikipediaFile
from metadata.words import ngrams, selection
from metadata.words.selection import RATED
from runtime.spark import map_batches, over, run, spread
from runtime.storage.own_files import OwnFile
from runtime.tallies import Tallies


def ngram_entries(spark: SparkSession, files: Mapping[str, list[WikipediaFile]], plan: NgramPlan) -> dict[str, Tallies]:
    """Write the unigram and bigram entries, and the titles of all articles, of each language; return its tallies."""
    read = count(spark, files, plan)
    found = run(spark, spread(spark, plan.words()), partial(_figures, config=plan.config))
    unigrams = _write_unigrams(spark, found, plan)
    inform(spark, found.by_language("sum"), plan)
    pairs = percentiles(spark, plan.mutual(), plan.config.pmi_percentile)
    bigrams = write_bigrams(spark, pairs, unigrams.by_language("unigrams"), plan)
    for code in files:
        read.add("words", found.by_language("sum").get(code, 0), code)
        read.add("distinct_words", found.by_language("rows").get(code, 0), code)
        read.add("distinct_pairs", pairs[code].number if code in pairs else 0, code)
    return {code: _tallies_of(code, read, unigrams + bigrams) for code in files}


def _write_unigrams(spark: SparkSession, found: Tallies, plan: NgramPlan) -> Tallies:
    candidates, enough = found.by_language("candidates"), found.by_language("enough")
    rules = {code: selection.unigrams(language(code), plan.config) for code in candidates}
    taken = {code: rule.taken(int(candidates[code]), int(enough[code])) for code, rule in rules.items()}
    best = partial(_best, taken=taken, longest=plan.config.longest_entry)
    rows = over(spark, spread(spark, plan.words()), best, RATED)
    return write_best(rows, "unigrams", taken, plan.folder / "{language}/unigrams.parquet")


def write_bigrams(
    spark: SparkSession, pairs: Mapping[str, Percentile], unigrams: Mapping[str, float], plan: NgramPlan
) -> Tallies:
    """Write the best pairs of each language, given PMI_30% and the number of its words that are entries."""
    taken = {code: selection.bigrams(int(unigrams.get(code, 0)), plan.config).most for code in pairs}
    floors = {code: found.value for code, found in pairs.items()}
    scored = partial(_scored, floors=floors, config=plan.config)
    best = partial(selection.best, taken=taken, longest=plan.config.longest_entry)
    files = spread(spark, plan.mutual())
    # With a space between its words a pair is an entry of its own. Without one, 中 + 国人 is 中国 + 人.
    candidates = over(spark, files, partial(_best_scored, scored=scored, best=best), RATED)
    if not all(language(code).spaced for code in pairs):
        alike = over(spark, files, partial(scored, spaced=False), RATED).groupBy("language", "entry")
        candidates = candidates.union(map_batches(alike.agg(F.max("score")).toDF(*RATED.names), best, RATED))
    return write_best(candidates, "bigrams", taken, plan.folder / "{language}/bigrams.parquet")


def _tallies_of(code: str, read: Tallies, written: Tallies) -> Tallies:
    """Return what was read for a language, and what of it was written, which alone keeps its code."""
    own = [row | {"language": None} for row in read.rows() if row["language"] == code]
    return Tallies([*own, *(row for row in written.rows() if row["language"] == code)])


def _figures(files: list[OwnFile], config: MetadataConfig) -> Tallies:
    rules = {each.code: selection.unigrams(each, config) for each in LANGUAGES}
    return selection.figures(rows_of(files), rules, config.longest_entry)


def _best(files: list[OwnFile], taken: Mapping[str, int], longest: int) -> Iterator[pa.RecordBatch]:
    return selection.best(rows_of(files), taken, longest)


def _best_scored(files: list[OwnFile], scored: partial, best: partial) -> Iterator[pa.RecordBatch]:
    return best(scored(files, spaced=True))


def _scored(
    files: list[OwnFile], floors: Mapping[str, float], config: MetadataConfig, spaced: bool
) -> Iterator[pa.RecordBatch]:
    """Yield the scored pairs of languages that are written with spaces, or without."""
    for code, rows in selection.by_language(rows_of(files)):
        if language(code).spaced is spaced:
            found = ngrams.scores(rows["count"], rows["value"], floors[code], config)
            scored = pa.RecordBatch.from_arrays([rows["language"], rows["entry"], found], schema=RATED)
            yield scored.filter(pc.is_valid(found))
