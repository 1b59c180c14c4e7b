"""Count the words and word pairs of a group of languages, and choose the entries among them.

Rows are grouped twice. First each word is grouped with all pairs that begin with the word, and counts are summed. Then
each word is grouped with all pairs that end with the word, which gives the PMI. Between the two groupings, rows are
stored in files of packed blocks.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from metadata import words
from metadata.config import MetadataConfig
from metadata.languages import LANGUAGES, language
from metadata.stages import choosing
from metadata.stages.choosing import LANGUAGE, CountMeeting, codes_of, combined, numbers_of, rows_of
from metadata.wikipedia import articles
from metadata.wikipedia.files import WikipediaFile
from metadata.wikipedia.pageviews import spaced
from metadata.words import COUNTS, RATED, by_language, count_batches
from runtime.arrow import one_batch
from runtime.buckets import ENDING, Block, read_blocks, write_blocks
from runtime.engine import Engine, spread
from runtime.errors import AGAIN
from runtime.storage.own_files import OwnFile, recorded
from runtime.storage.parquet import PartWriter, part_writer
from runtime.storage.paths import make_folder
from runtime.tallies import Tallies

TITLES = pa.schema([("title", pa.string())])  # of articles
# A row is a pair of words, or one word, whose other column is null.
NGRAMS = pa.schema([LANGUAGE, *COUNTS])
HALF_KNOWN = NGRAMS.append(pa.field("first_count", pa.int64()))
# Entry, count and PMI of a pair.
MUTUAL = pa.schema(
    [("language", pa.string()), ("entry", pa.string()), ("count", pa.float64()), ("value", pa.float64())]
)

# RATED with the index of the language instead of its code.
SCORED = pa.schema([LANGUAGE, *[*RATED][1:]])

# Pairs are grouped by the entry that their words make, words and pairs by the first or second word.
GROUPED = {"entry": SCORED, "first": NGRAMS, "second": HALF_KNOWN}
# The endings of files, and the column by which rows are grouped in the tasks that write the files: words are rows of
# RATED with the count as the score, pairs are blocks of HALF_KNOWN with all words and pairs, mutual are rows of MUTUAL.
FILES = {"words": (".parquet", "first"), "pairs": (ENDING, "first"), "mutual": (".parquet", "second")}

_TITLE_ROWS = 1 << 16  # of a row group
_ROWS = 1 << 18  # of a row group of words or pairs


@dataclass(frozen=True)
class NgramPlan:
    """The parameters and folders of the stage that counts n-grams.

    `folder` holds a folder of entries per language, `work` holds counts; `size` is the bytes of all dumps to read.
    """

    config: MetadataConfig
    folder: Path
    work: Path
    size: int

    def by(self, column: str) -> CountMeeting:
        """Return the grouping of rows by `column`, a key of GROUPED."""
        return CountMeeting(GROUPED[column], column, self.size)

    def files(self, name: str) -> list[OwnFile]:
        """Return the files called `name`, a key of FILES: one file for each partition."""
        ending, column = FILES[name]
        numbers = range(self.by(column).partitions)
        return [OwnFile(self.work / name / f"{number:05}{ending}", None, AGAIN) for number in numbers]


@dataclass(frozen=True)
class _Dump:
    """A Wikipedia file of a language, and its index among the language's files."""

    language: str
    position: int
    file: WikipediaFile


def ngram_entries(engine: Engine, files: Mapping[str, list[WikipediaFile]], plan: NgramPlan) -> dict[str, Tallies]:
    """Write the unigram and bigram entries of each language, and the titles of its articles; return tallies by code.

    `files` has the Wikipedia files of each language by code.
    """
    read = count(engine, files, plan)
    found = engine.run(spread(plan.files("words"), engine), partial(_figures, config=plan.config))
    unigrams = _write_unigrams(engine, found, plan)
    inform(engine, found.by_language("sum"), plan)
    pairs = choosing.percentiles(engine, plan.files("mutual"), plan.config.pmi_percentile, plan.work)
    bigrams = write_bigrams(engine, pairs, unigrams.by_language("unigrams"), plan)
    for code in files:
        read.add("words", found.by_language("sum").get(code, 0), code)
        read.add("distinct_words", found.by_language("rows").get(code, 0), code)
        read.add("distinct_pairs", pairs[code].number if code in pairs else 0, code)
    return {code: _tallies_of(code, read, unigrams + bigrams) for code in files}


def _write_unigrams(engine: Engine, found: Tallies, plan: NgramPlan) -> Tallies:
    candidates, enough = found.by_language("candidates"), found.by_language("enough")
    rules = {code: words.unigrams(language(code), plan.config) for code in candidates}
    taken = {code: rule.taken(int(candidates[code]), int(enough[code])) for code, rule in rules.items()}
    best = partial(words.best, taken=taken, longest=plan.config.longest_entry)
    rows = [partial(_best_of, files, best) for files in spread(plan.files("words"), engine)]
    return choosing.write_best(engine, rows, "unigrams", taken, plan.folder / "{language}/unigrams.parquet")


def write_bigrams(
    engine: Engine, pairs: Mapping[str, choosing.Percentile], unigrams: Mapping[str, float], plan: NgramPlan
) -> Tallies:
    """Write the pairs with the highest scores of each language; return the numbers of pairs and checksums as tallies.

    `pairs` has the percentile of the PMIs of each language, `unigrams` how many words of each language are entries.
    """
    taken = {code: words.bigrams(int(unigrams.get(code, 0)), plan.config).most for code in pairs}
    floors = {code: found.value for code, found in pairs.items()}
    scored = partial(_scored, floors=floors, config=plan.config)
    best = partial(words.best, taken=taken, longest=plan.config.longest_entry)
    files = spread(plan.files("mutual"), engine)
    # With a space between the words, each pair makes another entry. Without one, 中 + 国人 makes the same as 中国 + 人.
    candidates = [partial(_best_scored, some, scored, best) for some in files]
    if not all(language(code).spaced for code in pairs):
        candidates += [partial(_best_of, [file], best) for file in _alike(engine, files, scored, plan)]
    return choosing.write_best(engine, candidates, "bigrams", taken, plan.folder / "{language}/bigrams.parquet")


def _alike(engine: Engine, files: list[list[OwnFile]], scored: partial, plan: NgramPlan) -> list[OwnFile]:
    """Score the pairs, in `files`, of languages without spaces; write each entry once; return the new files.

    If several pairs make the same entry, the highest score is kept.
    """
    folder = make_folder(plan.work / "alike")
    send, receive = partial(_send_scored, scored=scored, plan=plan), partial(_best_alike, plan=plan, folder=folder)
    engine.exchange(files, send, receive, plan.by("entry").partitions)
    return [choosing.file_of(folder, partition) for partition in range(plan.by("entry").partitions)]


def _send_scored(files: list[OwnFile], _: Tallies, scored: partial, plan: NgramPlan) -> Iterator[Block]:
    rows = scored(files, spaced=False)
    return plan.by("entry").dealt(batch.set_column(0, LANGUAGE, numbers_of(batch["language"])) for batch in rows)


def _best_alike(partition: int, blocks: Iterator[bytes], plan: NgramPlan, folder: Path) -> Tallies:
    with part_writer(choosing.file_of(folder, partition).path, RATED, _ROWS) as writer:
        for batches in plan.by("entry").met(blocks):
            rows = combined(batches, {"score": "max"})
            writer.write(pa.RecordBatch.from_arrays([codes_of(rows), rows["entry"], rows["score"]], schema=RATED))
    return Tallies()


def _tallies_of(code: str, read: Tallies, written: Tallies) -> Tallies:
    """Return one language's tallies: those in `read`, now without the language's code, and those in `written`."""
    own = [row | {"language": None} for row in read.rows() if row["language"] == code]
    return Tallies([*own, *(row for row in written.rows() if row["language"] == code)])


def _figures(files: list[OwnFile], config: MetadataConfig) -> Tallies:
    rules = {each.code: words.unigrams(each, config) for each in LANGUAGES}
    return words.figures(rows_of(files), rules, config.longest_entry)


def _best_of(files: list[OwnFile], best: partial) -> Iterator[pa.RecordBatch]:
    return best(rows_of(files))


def _best_scored(files: list[OwnFile], scored: partial, best: partial) -> Iterator[pa.RecordBatch]:
    return best(scored(files, spaced=True))


def _scored(
    files: list[OwnFile], floors: Mapping[str, float], config: MetadataConfig, spaced: bool
) -> Iterator[pa.RecordBatch]:
    """Yield pairs with their scores, in batches with the schema RATED; leave out pairs without a score.

    `files` have rows of MUTUAL. If `spaced`, only languages that write spaces between words are read, else only the
    others. `floors` has the percentile of the PMIs of each language.
    """
    for code, rows in by_language(rows_of(files)):
        if language(code).spaced is spaced:
            found = words.scores(rows["count"], rows["value"], floors[code], config)
            scored = pa.RecordBatch.from_arrays([rows["language"], rows["entry"], found], schema=RATED)
            yield scored.filter(pc.is_valid(found))


def count(engine: Engine, files: Mapping[str, list[WikipediaFile]], plan: NgramPlan) -> Tallies:
    """Write the plan's files `words` and `pairs`, and the titles of all articles; return tallies of what was read.

    `files` has the Wikipedia files of each language by code.
    """
    for name in ("words", "pairs"):
        make_folder(plan.work / name)
    dumps = [_Dump(code, position, file) for code, own in files.items() for position, file in enumerate(own)]
    send, receive = partial(_send_counts, plan=plan), partial(_add_up, plan=plan)
    return engine.exchange(dumps, send, receive, plan.by("first").partitions)


def inform(engine: Engine, totals: Mapping[str, float], plan: NgramPlan) -> None:
    """Write the plan's files `mutual`, the PMI of all pairs; `totals` has the count of all words of each language."""
    make_folder(plan.work / "mutual")
    files = [file.path for file in plan.files("pairs")]
    receive = partial(_inform, totals=totals, plan=plan)
    engine.exchange(files, _send_pairs, receive, plan.by("second").partitions)


def _send_counts(dump: _Dump, tallies: Tallies, plan: NgramPlan) -> Iterator[Block]:
    tally: Counter = Counter()
    path = plan.folder / dump.language / f"titles-{dump.position:05}.parquet"
    with part_writer(path, TITLES, _TITLE_ROWS) as titles:
        texts = _texts(articles.articles(dump.file, tally), titles)
        counted = count_batches(texts, language(dump.language))
        yield from plan.by("first").dealt(_ngrams(dump.language, counts) for counts in counted)
    for name, value in (*tally.items(), recorded(path.name, titles.checksum)):
        tallies.add(name, value, dump.language)


def _texts(batches: Iterable[pa.RecordBatch], titles: PartWriter) -> Iterator[pa.Array]:
    """Yield the texts of articles; write the articles' titles, in the spelling of page views, to `titles`."""
    for batch in batches:
        titles.write(pa.RecordBatch.from_arrays([spaced(batch["title"])], schema=TITLES))
        yield batch["text"]


def _ngrams(code: str, counts: pa.Table) -> pa.RecordBatch:
    """Return the counts of one language (schema COUNTS) as a batch with the schema NGRAMS."""
    numbers = pa.repeat(numbers_of(pa.array([code]))[0], len(counts))
    return one_batch(counts.add_column(0, LANGUAGE, numbers))


def _add_up(partition: int, blocks: Iterator[bytes], plan: NgramPlan) -> Tallies:
    with part_writer(plan.files("words")[partition].path, RATED, _ROWS) as writer:
        found = _added_up(plan.by("first").met(blocks), writer)
        write_blocks(plan.files("pairs")[partition].path, HALF_KNOWN, plan.by("second").dealt(found))
    return Tallies()


def _added_up(buckets: Iterable[Iterator[pa.RecordBatch]], writer: PartWriter) -> Iterator[pa.RecordBatch]:
    """Sum the counts of words and pairs in each bucket; write words as RATED rows, yield both as HALF_KNOWN rows.

    Each pair is yielded with the count of its first word.
    """
    for batches in buckets:
        single, pairs = _joined(combined(batches, {"count": "sum"}), "first", "second")
        strings, counts = single["first"], single["count"]
        writer.write(pa.RecordBatch.from_arrays([codes_of(single), strings, counts.cast(pa.float64())], schema=RATED))
        none, unknown = pa.nulls(len(strings), pa.string()), pa.nulls(len(strings), pa.int64())
        yield pa.RecordBatch.from_arrays([single["language"], none, strings, counts, unknown], schema=HALF_KNOWN)
        yield one_batch(pairs.select(HALF_KNOWN.names))


def _send_pairs(file: Path, _: Tallies) -> Iterator[Block]:
    return read_blocks(file, HALF_KNOWN)


def _inform(partition: int, blocks: Iterator[bytes], totals: Mapping[str, float], plan: NgramPlan) -> Tallies:
    with part_writer(plan.files("mutual")[partition].path, MUTUAL, _ROWS) as writer:
        for batches in plan.by("second").met(blocks):
            _, pairs = _joined(pa.concat_batches(batches), "second", "first")
            for rows in _informed(one_batch(pairs), totals):
                writer.write(rows)
    return Tallies()


def _joined(rows: pa.RecordBatch, side: str, other: str) -> tuple[pa.RecordBatch, pa.Table]:
    """Return the rows of single words, and the rows of pairs with a new column: the count of the pair's word `side`.

    A row is of a single word if its column `other` is null. `side` and `other` are "first" and "second", or the
    reverse.
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
    for code, own in by_language([rows]):
        counts = own["count"]
        mutual = words.information(counts, own["first_count"], own["second_count"], totals[code])
        entries = words.joined(own["first"], own["second"], language(code))
        yield pa.RecordBatch.from_arrays([own["language"], entries, counts, mutual], schema=MUTUAL)
