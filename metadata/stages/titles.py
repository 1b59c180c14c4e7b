"""Sum the page views of each title in all languages, and choose the entries among the titles.

Page views also name redirects, special pages and deleted pages. If a language's dump is given, only titles of articles
in the dump are kept. But if these articles have less than half of the language's views, the dump is an excerpt, and
other titles are also kept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from metadata import words
from metadata.config import MetadataConfig
from metadata.languages import language, of_wikipedia
from metadata.stages import choosing
from metadata.stages.choosing import LANGUAGE, EntryChoice, all_rows, codes_of, combined, numbers_of, tasks_for
from metadata.wikipedia.pageviews import views
from metadata.words import RATED
from runtime.cogroup import Rows, Side, cogroup
from runtime.engine import Engine, spread
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, part_writer
from runtime.storage.paths import make_folder
from runtime.tallies import Tallies, Tally, TaskResult

_GROUP_ROWS = 1 << 18  # rows of a row group of titles

VIEWED = pa.schema([LANGUAGE, ("title", pa.string()), ("views", pa.int64()), ("article", pa.bool_())])
# The score of a title is the sum of its views.
TITLES = pa.schema([*RATED, ("article", pa.bool_())])

MIN_ARTICLE_SHARE = 0.5  # If the articles of a dump have a smaller share of the language's views, it is an excerpt.

_VALUES = {"views": "sum", "article": "max"}
_ARTICLES = "articles"  # the item of tallies of only those titles that are titles of articles


@dataclass(frozen=True)
class TitlePlan:
    """The parameters and folders of the stage that chooses titles.

    `namespaces` has names of namespaces by Wikipedia code, in addition to namespaces.csv. `articles` has, by language,
    the files of article titles that `ngrams` wrote. Title entries are written to `folder`, counts to `work`. `size` is
    the size of all page-view files in bytes.
    """

    config: MetadataConfig
    languages: frozenset[str]
    namespaces: Mapping[str, list[str]]
    articles: Mapping[str, list[OwnFile]]
    folder: Path
    work: Path
    size: int

    @cached_property
    def viewed(self) -> list[OwnFile]:
        """The files, one per task, of all titles that have views, with the schema TITLES."""
        return [choosing.file_of(self.work, task) for task in range(tasks_for(self.size))]

    def read_views(self, _: int, path: str, tallies: Tallies) -> Rows:
        """Yield the titles in a page-view file with their views as rows of VIEWED."""
        tally = Tally()
        for batch in views(path, tally, self.namespaces):
            codes = batch["wikipedia"].dictionary_encode()
            coded = pa.array([of_wikipedia(wiki).code for wiki in codes.dictionary.to_pylist()], pa.string())
            is_wanted = pc.is_in(coded, pa.array([*self.languages], pa.string()))
            numbers = numbers_of(pc.if_else(is_wanted, coded, None))
            rows = _rows(numbers.take(codes.indices), batch["title"], batch["views"], False)
            yield combined([rows.filter(pc.is_valid(rows["language"]))], _VALUES)
        tallies.count(tally)

    def write_views(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> None:
        """Write the titles of a task with the sum of their views to a file; titles without views are left out."""
        with part_writer(self.viewed[task].path, TITLES, _GROUP_ROWS) as writer:
            for bucket in buckets:
                rows = combined(bucket, _VALUES)
                rows = rows.filter(pc.greater(rows["views"], 0))
                columns = [codes_of(rows), rows["title"], rows["views"].cast(pa.float64()), rows["article"]]
                writer.write(pa.RecordBatch.from_arrays(columns, schema=TITLES))

    def figures(self, files: list[OwnFile]) -> TaskResult:
        """Return the tallies that `words.figures` makes of all titles, and of only the titles of articles.

        The tallies of titles of articles have the item _ARTICLES.
        """
        rules = {code: words.titles(language(code), self.config) for code in self.languages}
        tally = TaskResult()
        for batch in all_rows(files):
            for item, rows in ((None, batch), (_ARTICLES, batch.filter(batch["article"]))):
                for row in words.figures([rows], rules, self.config.longest_entry).rows():
                    tally.add(row["name"], row["value"], item=item, language=row["language"])
        return tally


def title_entries(engine: Engine, files: list[str], plan: TitlePlan) -> TaskResult:
    """Write the title entries of each language to a file in the plan's folder.

    Return tallies of the titles read, dropped and written. `files` are paths of page-view files.
    """
    articles = list[tuple[str, OwnFile]]()
    for code, dumps in plan.articles.items():
        articles += [(code, file) for file in dumps]
    sides = [Side(files, plan.read_views), Side(articles, read_articles)]
    make_folder(plan.work)
    read = cogroup(engine, sides, choosing.by_string(VIEWED, "title", plan.size, plan.write_views))
    figures = engine.run(spread(plan.viewed, engine), plan.figures)
    views = figures.by_language("sum")
    of_articles = figures.by_language("sum", _ARTICLES)
    strict = [code for code in plan.articles if of_articles.get(code, 0) >= MIN_ARTICLE_SHARE * views.get(code, 0)]
    taken = {code: _taken(figures, code, code in strict, plan) for code in figures.by_language("rows")}
    chosen = EntryChoice("titles", taken, plan.config.longest_entry, plan.folder, "{language}.parquet")
    written = chosen.run(engine, [Side(spread(plan.viewed, engine), KeptTitles(strict).read)])
    return read + written + _judged(figures, strict, plan)


def _taken(figures: Tallies, code: str, strict: bool, plan: TitlePlan) -> int:
    item = _ARTICLES if strict else None
    candidates = int(figures.by_language("candidates", item).get(code, 0))
    enough = int(figures.by_language("enough", item).get(code, 0))
    return words.titles(language(code), plan.config).taken(candidates, enough)


def _judged(figures: Tallies, strict: list[str], plan: TitlePlan) -> TaskResult:
    """Return tallies: how many titles are dropped because they are not articles, and which dumps are excerpts.

    `figures` are the tallies of `TitlePlan.figures`. `strict` lists the languages whose dump is complete: titles are
    dropped only in them. The languages with an excerpt are counted together and listed by code.
    """
    tally = TaskResult()
    rows = figures.by_language("rows")
    articles = figures.by_language("rows", _ARTICLES)
    for code in plan.articles:
        if code in strict:
            tally.add("dropped", rows.get(code, 0) - articles.get(code, 0), item="no_article")
        else:
            tally.add("excerpts")
            tally.add("excerpt", language=code)
    return tally


def read_articles(_: int, item: tuple[str, OwnFile], tallies: Tallies) -> Rows:
    """Yield the titles of articles, given a language code and a file of them, as rows of VIEWED without views."""
    code, file = item
    number = numbers_of(pa.array([code]))[0]
    for batch in batches(file):
        size = batch.num_rows
        yield combined([_rows(pa.repeat(number, size), batch["title"], pa.repeat(0, size), True)], _VALUES)


def _rows(languages: pa.Array, titles: pa.Array, views: pa.Array, article: bool) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([languages, titles, views, pa.repeat(article, len(titles))], schema=VIEWED)


@dataclass(frozen=True)
class KeptTitles:
    """Reads titles; in the languages in `strict`, it reads only titles of articles."""

    strict: list[str]

    def read(self, _: int, files: list[OwnFile], tallies: Tallies) -> Rows:
        """Yield the titles in `files` that are kept, as rows of RATED."""
        strict = pa.array(self.strict, pa.string())
        for rows in all_rows(files):
            is_kept = pc.or_(rows["article"], pc.invert(pc.is_in(rows["language"], strict)))
            yield rows.filter(is_kept).select(RATED.names)
