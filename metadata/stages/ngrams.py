"""Count the words and word pairs of a group of languages, and choose the entries among them.

Rows are grouped twice. First each word is grouped with all pairs that begin with the word, and counts are summed. Then
each word is grouped with all pairs that end with the word, which gives the PMI. Between the two groupings, rows are
stored in files of packed blocks.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from metadata import words
from metadata.config import MetadataConfig
from metadata.languages import LANGUAGES, language
from metadata.stages import choosing
from metadata.stages.choosing import (
    LANGUAGE,
    EntryChoice,
    all_rows,
    codes_of,
    combined,
    numbers_of,
    read_rows,
    tasks_for,
)
from metadata.wikipedia import articles
from metadata.wikipedia.dump_files import WikipediaFile
from metadata.wikipedia.pageviews import spaced_titles
from metadata.words import COUNTS, RATED, by_language, count_batches
from runtime.arrow import one_batch
from runtime.buckets import BLOCKS_ENDING, Block, read_blocks, write_blocks
from runtime.cogroup import Function, Grouping, Rows, Side, cogroup
from runtime.engine import Engine, spread
from runtime.errors import AGAIN
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import PartWriter, part_writer
from runtime.storage.paths import make_folder
from runtime.tallies import Tallies, TaskResult

TITLES = pa.schema([("title", pa.string())])  # the schema of titles of articles
# A row is a pair of words, or one word, whose other column is null.
NGRAMS = pa.schema([LANGUAGE, *COUNTS])
HALF_KNOWN = NGRAMS.append(pa.field("first_count", pa.int64()))
# A row has the entry, the count and the PMI (in `value`) of a pair.
MUTUAL = pa.schema(
    [("language", pa.string()), ("entry", pa.string()), ("count", pa.float64()), ("value", pa.float64())]
)

# RATED with the index of the language instead of its code.
SCORED = pa.schema([LANGUAGE, *[*RATED][1:]])

# The schema of rows by the column that they are grouped by: the entry of a pair, or the first or second word.
GROUPED = {"entry": SCORED, "first": NGRAMS, "second": HALF_KNOWN}
# The kinds of files and their endings. `words` files have rows of RATED, with the count as the score. `pairs` files
# have blocks of HALF_KNOWN, with all words and pairs. `mutual` files have rows of MUTUAL.
FILES = {"words": ".parquet", "pairs": BLOCKS_ENDING, "mutual": ".parquet"}

_TITLE_ROWS = 1 << 16  # rows of a row group of titles
_GROUP_ROWS = 1 << 18  # rows of a row group of words or pairs


@dataclass(frozen=True)
class _Dump:
    """A Wikipedia file of a language, and its index among the language's files."""

    language: str
    position: int
    file: WikipediaFile


@dataclass(frozen=True)
class NgramPlan:
    """The parameters and folders of the stage that counts n-grams.

    `folder` holds a folder of entries per language, `work` holds counts; `size` is the bytes of all dumps to read.
    """

    config: MetadataConfig
    folder: Path
    work: Path
    size: int

    def by(self, column: str, function: Function) -> Grouping:
        """Return the grouping of rows by language and by `column`, a key of GROUPED; `function` takes the groups."""
        return choosing.by_string(GROUPED[column], column, self.size, function)

    def files(self, name: str) -> list[OwnFile]:
        """Return the files called `name`, a key of FILES: one file for each task."""
        numbers = range(tasks_for(self.size))
        return [OwnFile(self.work / name / f"{number:05}{FILES[name]}", None, AGAIN) for number in numbers]

    def figures(self, files: list[OwnFile]) -> TaskResult:
        """Return the tallies of `words.figures` over files of words."""
        rules = {language.code: words.unigrams(language, self.config) for language in LANGUAGES}
        return words.figures(all_rows(files), rules, self.config.longest_entry)

    def read_dump(self, _: int, dump: _Dump, result: TaskResult) -> Rows:
        """Yield the words and pairs of a dump with their counts as rows of NGRAMS; write the titles of its articles."""
        read = TaskResult()
        path = self.folder / dump.language / f"titles-{dump.position:05}.parquet"
        with part_writer(path, TITLES, _TITLE_ROWS) as titles:
            texts = _texts(articles.articles(dump.file, read), titles)
            for counts in count_batches(texts, language(dump.language)):
                yield _ngrams(dump.language, counts)
        result.update(row | {"language": dump.language} for row in read.rows())
        result.note(dump.language, *read.noted(articles.DUMPS_FACT))
        result.files[f"{dump.language}/{path.name}"] = titles.checksum

    def write_counts(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> None:
        """Write the words of a task to its `words` file, and its words and pairs to its `pairs` file.

        The rows of the `pairs` file are packed by the second word; a single word counts as a second word.
        """
        with part_writer(self.files("words")[task].path, RATED, _GROUP_ROWS) as writer:
            packed = self.by("second", _unread).packed(_added_up(buckets, writer))
            write_blocks(self.files("pairs")[task].path, HALF_KNOWN, packed)


def ngram_entries(engine: Engine, files: Mapping[str, list[WikipediaFile]], plan: NgramPlan) -> dict[str, TaskResult]:
    """Write the unigram and bigram entries of each language, and the titles of its articles; return results by code.

    `files` has the Wikipedia files of each language by code.
    """
    read = count_dumps(engine, files, plan)
    figures = engine.run(spread(plan.files("words"), engine), plan.figures)
    unigrams = _write_unigrams(engine, figures, plan)
    inform(engine, figures.by_language("sum"), plan)
    pairs = choosing.percentiles(engine, plan.files("mutual"), plan.config.pmi_percentile, plan.work)
    bigrams = write_bigrams(engine, pairs, unigrams.by_language("unigrams"), plan)
    for code in files:
        read.add("words", figures.by_language("sum").get(code, 0), language=code)
        read.add("distinct_words", figures.by_language("rows").get(code, 0), language=code)
        read.add("distinct_pairs", pairs[code].number if code in pairs else 0, language=code)
    return {code: _result_of(code, read, unigrams + bigrams) for code in files}


def _write_unigrams(engine: Engine, figures: Tallies, plan: NgramPlan) -> TaskResult:
    candidates = figures.by_language("candidates")
    enough = figures.by_language("enough")
    rules = {code: words.unigrams(language(code), plan.config) for code in candidates}
    taken = {code: rule.taken(int(candidates[code]), int(enough[code])) for code, rule in rules.items()}
    file = "{language}/unigrams.parquet"
    chosen = EntryChoice("unigrams", taken, plan.config.longest_entry, plan.folder, file)
    return chosen.run(engine, [Side(spread(plan.files("words"), engine), read_rows)])


def write_bigrams(
    engine: Engine, pairs: Mapping[str, choosing.Percentile], unigrams: Mapping[str, float], plan: NgramPlan
) -> TaskResult:
    """Write the pairs with the highest scores of each language; return their numbers and the checksums of the files.

    By language, `pairs` has the percentile of the PMIs, and `unigrams` has the number of words that are entries.
    """
    taken = {code: words.bigrams(int(unigrams.get(code, 0)), plan.config).most for code in pairs}
    floors = {code: percentile.value for code, percentile in pairs.items()}
    scored = PairScores(floors, plan)
    # With spaces, different pairs give different entries. Without spaces, 中 + 国人 and 中国 + 人 give the same entry.
    sides = [Side(spread(plan.files("mutual"), engine), scored.read_spaced)]
    if not all(language(code).spaced for code in pairs):
        sides.append(Side([[file] for file in scored.alike(engine)], read_rows))
    file = "{language}/bigrams.parquet"
    return EntryChoice("bigrams", taken, plan.config.longest_entry, plan.folder, file).run(engine, sides)


@dataclass(frozen=True)
class PairScores:
    """Scores the pairs in the plan's `mutual` files; `floors` has the percentile of the PMIs of each language."""

    floors: Mapping[str, float]
    plan: NgramPlan

    def read_spaced(self, _: int, files: list[OwnFile], tallies: Tallies) -> Rows:
        """Yield the pairs of languages that write spaces between words, with their scores, as rows of RATED."""
        return self._scored(files, spaced=True)

    def read_others(self, _: int, files: list[OwnFile], tallies: Tallies) -> Rows:
        """Yield the pairs of all other languages, with their scores, as rows of SCORED."""
        for batch in self._scored(files, spaced=False):
            yield batch.set_column(0, LANGUAGE, numbers_of(batch["language"]))

    def alike(self, engine: Engine) -> list[OwnFile]:
        """Write each entry of languages without spaces once, with its highest score; return the files."""
        make_folder(self._folder)
        side = Side(spread(self.plan.files("mutual"), engine), self.read_others)
        cogroup(engine, [side], self.plan.by("entry", self.write))
        return [choosing.file_of(self._folder, task) for task in range(tasks_for(self.plan.size))]

    def write(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> None:
        """Write each entry of a task once, with the highest score of its pairs, as rows of RATED."""
        with part_writer(choosing.file_of(self._folder, task).path, RATED, _GROUP_ROWS) as writer:
            for batches in buckets:
                rows = combined(batches, {"score": "max"})
                writer.write(pa.RecordBatch.from_arrays([codes_of(rows), rows["entry"], rows["score"]], schema=RATED))

    @property
    def _folder(self) -> Path:
        return self.plan.work / "alike"

    def _scored(self, files: list[OwnFile], spaced: bool) -> Rows:
        """Yield pairs with their scores as rows of RATED; leave out pairs without a score.

        If `spaced`, only languages that write spaces are yielded; otherwise, only languages that do not.
        """
        for code, rows in by_language(all_rows(files)):
            if language(code).spaced is spaced:
                scores = words.scores(rows["count"], rows["value"], self.floors[code], self.plan.config)
                scored = pa.RecordBatch.from_arrays([rows["language"], rows["entry"], scores], schema=RATED)
                yield scored.filter(pc.is_valid(scores))


def _result_of(code: str, read: TaskResult, written: TaskResult) -> TaskResult:
    """Return the counts, the checksums of files by name, and the facts of the language `code`.

    Counts from `read` lose the language code; counts from `written` keep it.
    """
    counts = [row | {"language": None} for row in read.rows() if row["language"] == code]
    files = (path.rpartition("/") + (checksum,) for path, checksum in (read.files | written.files).items())
    checksums = {name: checksum for folder, _, name, checksum in files if folder == code}
    counts += [row for row in written.rows() if row["language"] == code]
    return TaskResult(counts, checksums, {articles.DUMPS_FACT: read.noted(code)})


def count_dumps(engine: Engine, files: Mapping[str, list[WikipediaFile]], plan: NgramPlan) -> TaskResult:
    """Write the plan's `words` and `pairs` files, and the titles of all articles; return counts and facts of the dumps.

    `files` has the Wikipedia files of each language by code.
    """
    for name in ("words", "pairs"):
        make_folder(plan.work / name)
    dumps = list[_Dump]()
    for code, parts in files.items():
        dumps += [_Dump(code, position, file) for position, file in enumerate(parts)]
    return cogroup(engine, [Side(dumps, plan.read_dump)], plan.by("first", plan.write_counts))


def inform(engine: Engine, totals: Mapping[str, float], plan: NgramPlan) -> None:
    """Write the plan's `mutual` files, the PMI of all pairs; `totals` has the count of all words by language."""
    make_folder(plan.work / "mutual")
    files = [file.path for file in plan.files("pairs")]
    cogroup(engine, [Side(files, _read_pairs)], plan.by("second", Information(totals, plan).write))


def _texts(batches: Iterable[pa.RecordBatch], titles: PartWriter) -> Iterator[pa.Array]:
    """Yield the texts of articles; write the articles' titles, in the spelling of page views, to `titles`."""
    for batch in batches:
        titles.write(pa.RecordBatch.from_arrays([spaced_titles(batch["title"])], schema=TITLES))
        yield batch["text"]


def _ngrams(code: str, counts: pa.Table) -> pa.RecordBatch:
    """Return the counts of one language (schema COUNTS) as a batch with the schema NGRAMS."""
    numbers = pa.repeat(numbers_of(pa.array([code]))[0], len(counts))
    return one_batch(counts.add_column(0, LANGUAGE, numbers))


def _added_up(buckets: Iterable[Iterator[pa.RecordBatch]], writer: PartWriter) -> Iterator[pa.RecordBatch]:
    """Sum the counts of each word and pair in a bucket. Write words as RATED rows; yield both as HALF_KNOWN rows.

    A yielded pair has the count of its first word.
    """
    for batches in buckets:
        single, pairs = _joined(combined(batches, {"count": "sum"}), "first", "second")
        strings, counts = single["first"], single["count"]
        writer.write(pa.RecordBatch.from_arrays([codes_of(single), strings, counts.cast(pa.float64())], schema=RATED))
        none = pa.nulls(len(strings), pa.string())
        unknown = pa.nulls(len(strings), pa.int64())
        yield pa.RecordBatch.from_arrays([single["language"], none, strings, counts, unknown], schema=HALF_KNOWN)
        yield one_batch(pairs.select(HALF_KNOWN.names))


def _unread(task: int, buckets: Iterator[Rows], tallies: Tallies) -> None:
    """Do nothing: a grouping that only packs rows never calls its function."""


def _read_pairs(_: int, file: Path, tallies: Tallies) -> Iterator[Block]:
    return read_blocks(file, HALF_KNOWN)


@dataclass(frozen=True)
class Information:
    """Computes the PMI of pairs; `totals` has the count of all words by language."""

    totals: Mapping[str, float]
    plan: NgramPlan

    def write(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> None:
        """Write the pairs of a task with their PMI to its `mutual` file, as rows of MUTUAL."""
        with part_writer(self.plan.files("mutual")[task].path, MUTUAL, _GROUP_ROWS) as writer:
            for batches in buckets:
                _, pairs = _joined(pa.concat_batches(batches), "second", "first")
                for rows in _informed(one_batch(pairs), self.totals):
                    writer.write(rows)


def _joined(rows: pa.RecordBatch, side: str, other: str) -> tuple[pa.RecordBatch, pa.Table]:
    """Return the rows of single words, and the rows of pairs with a new column: the count of the pair's word `side`.

    A row has a single word if its column `other` is null. `side` and `other` are "first" and "second", or the reverse.
    """
    is_pair = pc.is_valid(rows[other])
    single = rows.filter(pc.invert(is_pair))
    counts = pa.table([single["language"], single[side], single["count"]], ["language", side, f"{side}_count"])
    pairs = pa.Table.from_batches([rows.filter(is_pair)])
    return single, pairs.join(counts, ["language", side], join_type="inner", use_threads=False)


def _informed(pairs: pa.RecordBatch, totals: Mapping[str, float]) -> Iterator[pa.RecordBatch]:
    """Yield the entry, count and PMI of each pair as rows of MUTUAL, in one batch per language.

    `pairs` also has the counts of each pair's two words; `totals` has the count of all words of each language.
    """
    numbers = [pairs[name].cast(pa.float64()) for name in ("count", "first_count", "second_count")]
    columns = [codes_of(pairs), pairs["first"], pairs["second"], *numbers]
    rows = pa.RecordBatch.from_arrays(columns, ["language", "first", "second", "count", "first_count", "second_count"])
    for code, of_language in by_language([rows]):
        counts = of_language["count"]
        mutual = words.information(counts, of_language["first_count"], of_language["second_count"], totals[code])
        entries = words.pair_entries(of_language["first"], of_language["second"], language(code))
        yield pa.RecordBatch.from_arrays([of_language["language"], entries, counts, mutual], schema=MUTUAL)
