"""Count the words and word pairs of a group of languages with Spark, and choose the entries among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metadata.config import MetadataConfig
from metadata.languages import LANGUAGES, language
from metadata.stages.choosing import Percentile, percentiles, write_best
from metadata.wikipedia import articles
from metadata.wikipedia.files import WikipediaFile
from metadata.wikipedia.titles import spaced
from metadata.words import ngrams, selection
from metadata.words.counting import COUNTS, count_batches
from metadata.words.selection import RATED
from runtime.spark import Batches, collected, map_batches, over, stored
from runtime.storage.own_files import recorded
from runtime.storage.parquet import PartWriter, part_writer
from runtime.tallies import SCHEMA as TALLIES
from runtime.tallies import Tallies

TITLES = pa.schema([("title", pa.string())])  # of articles
# A word has null instead of a second word; a tally has null instead of the first, then its name, then its value.
NGRAMS = pa.schema([("language", pa.string()), *COUNTS])
# Entry, count and PMI of a pair.
MUTUAL = pa.schema(
    [("language", pa.string()), ("entry", pa.string()), ("count", pa.float64()), ("value", pa.float64())]
)

_TITLE_ROWS = 1 << 16  # of a row group
_BATCH_ROWS = 1 << 14


@dataclass(frozen=True)
class NgramPlan:
    """The numbers by which n-grams are chosen, a folder with one of each language in it, and one for work."""

    config: MetadataConfig
    folder: Path
    work: Path


@dataclass(frozen=True)
class _Dump:
    """A file of a language, and its position among them."""

    language: str
    position: int
    file: WikipediaFile


def ngram_entries(spark: SparkSession, files: Mapping[str, list[WikipediaFile]], plan: NgramPlan) -> dict[str, Tallies]:
    """Write the unigram and bigram entries, and the titles of all articles, of each language; return its tallies."""
    counts = stored(_counted(spark, files, plan), plan.work / "counts")
    words = counts.where("first is not null and second is null").selectExpr(
        "language", "first as entry", "cast(count as double) as score"
    )
    found = collected(map_batches(words, partial(_figures, plan=plan), TALLIES))
    unigrams = _write_unigrams(words, found, plan)
    mutual = stored(_mutual(counts, words, found.by_language("sum"), plan), plan.work / "mutual")
    pairs = percentiles(mutual, plan.config.pmi_percentile)
    bigrams = _write_bigrams(mutual, pairs, unigrams.by_language("unigrams"), plan)
    read = collected(counts.where("first is null").selectExpr("second as name", "language", "count as value"))
    for code in files:
        read.add("words", found.by_language("sum").get(code, 0), code)
        read.add("distinct_words", found.by_language("rows").get(code, 0), code)
        read.add("distinct_pairs", pairs[code].number if code in pairs else 0, code)
    return {code: _tallies_of(code, read, unigrams + bigrams) for code in files}


def _counted(spark: SparkSession, files: Mapping[str, list[WikipediaFile]], plan: NgramPlan) -> DataFrame:
    dumps = [_Dump(code, position, file) for code, own in files.items() for position, file in enumerate(own)]
    counted = over(spark, dumps, partial(_count, plan=plan), NGRAMS)
    return counted.groupBy("language", "first", "second").agg(F.sum("count").alias("count"))


def _write_unigrams(words: DataFrame, found: Tallies, plan: NgramPlan) -> Tallies:
    candidates, enough = found.by_language("candidates"), found.by_language("enough")
    rules = {code: selection.unigrams(language(code), plan.config) for code in candidates}
    taken = {code: rule.taken(int(candidates[code]), int(enough[code])) for code, rule in rules.items()}
    best = partial(selection.best, taken=taken, longest=plan.config.longest_entry)
    rows = map_batches(words, best, RATED)
    return write_best(rows, "unigrams", taken, plan.folder / "{language}/unigrams.parquet")


def _mutual(counts: DataFrame, words: DataFrame, totals: Mapping[str, float], plan: NgramPlan) -> DataFrame:
    """Return MUTUAL of all pairs, given the number of all words of each language."""
    pairs = counts.where("second is not null and first is not null")
    for side in ("first", "second"):
        own = words.selectExpr("language", f"entry as {side}", f"score as {side}_count")
        pairs = pairs.join(own, ["language", side])
    return map_batches(pairs, partial(_informed, totals=totals), MUTUAL)


def _write_bigrams(
    mutual: DataFrame, pairs: Mapping[str, Percentile], unigrams: Mapping[str, float], plan: NgramPlan
) -> Tallies:
    taken = {code: selection.bigrams(int(unigrams.get(code, 0)), plan.config).most for code in pairs}
    floors = {code: found.value for code, found in pairs.items()}
    scored = partial(_scored, floors=floors, config=plan.config)
    best = partial(selection.best, taken=taken, longest=plan.config.longest_entry)
    # With a space between its words a pair is an entry of its own. Without one, 中 + 国人 is 中国 + 人.
    spaced = F.col("language").isin([code for code in pairs if language(code).spaced])
    alike = map_batches(mutual.where(~spaced), scored, RATED).groupBy("language", "entry").agg(F.max("score"))
    candidates = map_batches(mutual.where(spaced), partial(_best_scored, scored=scored, best=best), RATED)
    candidates = candidates.union(map_batches(alike.toDF(*RATED.names), best, RATED))
    return write_best(candidates, "bigrams", taken, plan.folder / "{language}/bigrams.parquet")


def _tallies_of(code: str, read: Tallies, written: Tallies) -> Tallies:
    """Return what was read for a language, and what of it was written, which alone keeps its code."""
    own = [row | {"language": None} for row in read.rows() if row["language"] == code]
    return Tallies([*own, *(row for row in written.rows() if row["language"] == code)])


def _count(dump: _Dump, plan: NgramPlan) -> Iterator[pa.RecordBatch]:
    tally: Counter = Counter()
    path = plan.folder / dump.language / f"titles-{dump.position:05}.parquet"
    with part_writer(path, TITLES, _TITLE_ROWS) as titles:
        texts = _texts(articles.articles(dump.file, tally), titles)
        for counted in count_batches(texts, language(dump.language)):
            yield from _rows(dump.language, counted)
    name, checksum = recorded(path.name, titles.checksum)
    tally[name] = checksum
    yield from _rows(dump.language, pa.table([pa.nulls(len(tally), pa.string()), [*tally], [*tally.values()]], COUNTS))


def _texts(batches: Iterable[pa.RecordBatch], titles: PartWriter) -> Iterator[pa.Array]:
    """Yield the texts of articles, and write their titles in the spelling of page views."""
    for batch in batches:
        titles.write(pa.RecordBatch.from_arrays([spaced(batch["title"])], schema=TITLES))
        yield batch["text"]


def _rows(code: str, counts: pa.Table) -> list[pa.RecordBatch]:
    """Return counts of a language as rows of NGRAMS."""
    return counts.add_column(0, "language", pa.repeat(code, len(counts))).cast(NGRAMS).to_batches(_BATCH_ROWS)


def _figures(batches: Iterable[pa.RecordBatch], plan: NgramPlan) -> Iterator[pa.RecordBatch]:
    rules = {each.code: selection.unigrams(each, plan.config) for each in LANGUAGES}
    yield selection.figures(batches, rules, plan.config.longest_entry).batch()


def _informed(batches: Iterable[pa.RecordBatch], totals: Mapping[str, float]) -> Iterator[pa.RecordBatch]:
    for code, rows in selection.by_language(batches):
        counts = rows["count"].cast(pa.float64())
        mutual = ngrams.information(counts, rows["first_count"], rows["second_count"], totals[code])
        entries = ngrams.joined(rows["first"], rows["second"], language(code))
        yield pa.RecordBatch.from_arrays([rows["language"], entries, counts, mutual], schema=MUTUAL)


def _best_scored(batches: Iterator[pa.RecordBatch], scored: Batches, best: Batches) -> Iterator[pa.RecordBatch]:
    yield from best(scored(batches))


def _scored(
    batches: Iterable[pa.RecordBatch], floors: Mapping[str, float], config: MetadataConfig
) -> Iterator[pa.RecordBatch]:
    for code, rows in selection.by_language(batches):
        found = ngrams.scores(rows["count"], rows["value"], floors[code], config)
        scored = pa.RecordBatch.from_arrays([rows["language"], rows["entry"], found], schema=RATED)
        yield scored.filter(pc.is_valid(found))
