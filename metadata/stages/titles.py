"""Add up the page views of titles with Spark, and choose the entries among them.

Page views also name redirects, special pages and deleted pages. If a language's dump is given, only titles of its
articles stay. But a dump whose articles have less than half of the views is an excerpt: then other titles stay, too.
"""

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
from metadata.languages import language, of_wikipedia
from metadata.stages.choosing import write_best
from metadata.wikipedia.pageviews import views
from metadata.words import selection
from metadata.words.selection import RATED
from runtime.spark import collected, map_batches, over, stored
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches as batches_of
from runtime.tallies import SCHEMA as TALLIES
from runtime.tallies import Tallies

# Views of a title, or its being an article; a tally has null instead of a language, then its name, then its value.
VIEWED = pa.schema([("language", pa.string()), ("title", pa.string()), ("views", pa.int64()), ("article", pa.bool_())])

LEAST_SHARE = 0.5  # of the views that a dump's articles have, or it is an excerpt

_BATCH_ROWS = 1 << 14
_ARTICLES = "articles."  # begins the name of a figure of titles that are articles


@dataclass(frozen=True)
class TitlePlan:
    """The numbers by which titles are chosen, the languages wanted, namespaces per wiki; folders for them and for work.

    `articles` has the files of titles that the n-grams' stage wrote, by language.
    """

    config: MetadataConfig
    languages: frozenset[str]
    namespaces: Mapping[str, list[str]]
    articles: Mapping[str, list[OwnFile]]
    folder: Path
    work: Path


def title_entries(spark: SparkSession, files: list[str], plan: TitlePlan) -> Tallies:
    """Write the title entries of the plan's languages to files of its folder, one a language; return tallies."""
    summed = _viewed(spark, files, plan).groupBy("language", "title").agg(F.sum("views"), F.max("article"))
    viewed = stored(summed.toDF(*VIEWED.names).where("views > 0 or language is null"), plan.work / "titles")
    titles = viewed.where("language is not null").selectExpr(
        "language", "title as entry", "cast(views as double) as score", "article"
    )
    found = collected(map_batches(titles, partial(_figures, plan=plan), TALLIES))
    strict = [code for code in plan.articles if _is_whole(found, code)]
    taken = {code: _taken(found, code, code in strict, plan) for code in found.by_language("rows")}
    kept = titles.where(~F.col("language").isin(strict) | F.col("article"))
    best = partial(selection.best, taken=taken, longest=plan.config.longest_entry)
    candidates = map_batches(kept.select(*RATED.names), best, RATED)
    written = write_best(candidates, "titles", taken, plan.folder / "{language}.parquet")
    read = collected(viewed.where("language is null").selectExpr("title as name", "language", "views as value"))
    return read + written + _judged(found, strict, plan)


def _viewed(spark: SparkSession, files: list[str], plan: TitlePlan) -> DataFrame:
    viewed = over(spark, files, partial(_read_titles, plan=plan), VIEWED)
    articles = [(code, file) for code, files in plan.articles.items() for file in files]
    return viewed.union(over(spark, articles, _read_articles, VIEWED)) if articles else viewed


def _is_whole(found: Tallies, code: str) -> bool:
    """Return whether a language's articles have enough of its views that other titles cannot be articles."""
    views = found.by_language("sum").get(code, 0)
    return found.by_language(f"{_ARTICLES}sum").get(code, 0) >= LEAST_SHARE * views


def _taken(found: Tallies, code: str, strict: bool, plan: TitlePlan) -> int:
    names = (f"{_ARTICLES if strict else ''}{name}" for name in ("candidates", "enough"))
    candidates, enough = (int(found.by_language(name).get(code, 0)) for name in names)
    return selection.titles(language(code), plan.config).taken(candidates, enough)


def _judged(found: Tallies, strict: list[str], plan: TitlePlan) -> Tallies:
    """Return how many titles are dropped as no articles, and of how many languages the dump is an excerpt."""
    tally, rows, articles = Tallies(), found.by_language("rows"), found.by_language(f"{_ARTICLES}rows")
    for code in plan.articles:
        if code in strict:
            tally.add("dropped.no_article", rows.get(code, 0) - articles.get(code, 0))
        else:
            tally.add("excerpts")
            tally.add("excerpt", 1, code)
    return tally


def _read_titles(path: str, plan: TitlePlan) -> Iterator[pa.RecordBatch]:
    tally: Counter = Counter()
    for batch in views(path, tally, plan.namespaces):
        codes = batch["wikipedia"].dictionary_encode()
        known = [of_wikipedia(wiki).code for wiki in codes.dictionary.to_pylist()]
        wanted = pa.array([code if code in plan.languages else None for code in known], pa.string())
        rows = _rows(wanted.take(codes.indices), batch["title"], batch["views"], False)
        yield rows.filter(pc.is_valid(rows["language"]))
    names, values = pa.array([*tally], pa.string()), pa.array([*tally.values()], pa.int64())
    yield _rows(pa.nulls(len(tally), pa.string()), names, values, False)


def _read_articles(named: tuple[str, OwnFile]) -> Iterator[pa.RecordBatch]:
    code, file = named
    for batch in batches_of(file, _BATCH_ROWS):
        yield _rows(pa.repeat(code, batch.num_rows), batch["title"], pa.repeat(0, batch.num_rows), True)


def _rows(languages: pa.Array, titles: pa.Array, views: pa.Array, article: bool) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([languages, titles, views, pa.repeat(article, len(titles))], schema=VIEWED)


def _figures(batches: Iterable[pa.RecordBatch], plan: TitlePlan) -> Iterator[pa.RecordBatch]:
    """Yield the figures of all titles, and of articles alone, by language."""
    rules = {code: selection.titles(language(code), plan.config) for code in plan.languages}
    tally = Tallies()
    for batch in batches:
        for begin, rows in (("", batch), (_ARTICLES, batch.filter(batch["article"]))):
            for row in selection.figures([rows], rules, plan.config.longest_entry).rows():
                tally.add(f"{begin}{row['name']}", row["value"], row["language"])
    yield tally.batch()
