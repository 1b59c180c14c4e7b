"""Count the words and word pairs of a group of languages, and join each pair with the counts of its two words.

Rows are grouped twice. First each word is grouped with all pairs that begin with the word, and counts are summed. Then
each word is grouped with all pairs that end with the word, which gives the PMI. Between the two, rows are in files of
packed blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from metadata.config import MetadataConfig
from metadata.languages import language
from metadata.stages.choosing import LANGUAGE, CountMeeting, codes_of, combined, numbers_of
from metadata.wikipedia import articles
from metadata.wikipedia.files import WikipediaFile
from metadata.wikipedia.pageviews import spaced
from metadata.words import COUNTS, RATED, by_language, count_batches, information, joined
from runtime.arrow import one_batch
from runtime.buckets import ENDING, Block, read_blocks, write_blocks
from runtime.engine import Engine
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

_TITLE_ROWS = 1 << 16  # of a row group
_ROWS = 1 << 18  # of a row group of words or pairs


@dataclass(frozen=True)
class NgramPlan:
    """The parameters and folders of the n-grams' stage.

    `folder` holds a folder of entries per language, `work` holds counts; `size` is the bytes of all dumps to read.
    """

    config: MetadataConfig
    folder: Path
    work: Path
    size: int

    @property
    def by_entry(self) -> CountMeeting:
        """How scored pairs are grouped by the entry that their words make."""
        return CountMeeting(SCORED, "entry", self.size)

    @property
    def by_first(self) -> CountMeeting:
        """How words and pairs are grouped by the first word."""
        return CountMeeting(NGRAMS, "first", self.size)

    @property
    def by_second(self) -> CountMeeting:
        """How words and pairs are grouped by the second word."""
        return CountMeeting(HALF_KNOWN, "second", self.size)

    def words(self) -> list[OwnFile]:
        """Return the Parquet files of all words, rows of RATED with the count as the score."""
        return self._files("words", ".parquet", self.by_first)

    def pairs(self) -> list[OwnFile]:
        """Return the files of blocks with all words and pairs, rows of HALF_KNOWN, by their second words."""
        return self._files("pairs", ENDING, self.by_first)

    def mutual(self) -> list[OwnFile]:
        """Return the Parquet files of all pairs with their PMI, rows of MUTUAL."""
        return self._files("mutual", ".parquet", self.by_second)

    def _files(self, name: str, ending: str, meeting: CountMeeting) -> list[OwnFile]:
        folder = self.work / name
        return [OwnFile(folder / f"{number:05}{ending}", None, AGAIN) for number in range(meeting.partitions)]


@dataclass(frozen=True)
class _Dump:
    """A Wikipedia file of a language, and its index among the language's files."""

    language: str
    position: int
    file: WikipediaFile


def count(engine: Engine, files: Mapping[str, list[WikipediaFile]], plan: NgramPlan) -> Tallies:
    """Write the plan's files `words` and `pairs`, and the titles of articles; return tallies of what was read.

    `files` has the Wikipedia files of each language by code.
    """
    for name in ("words", "pairs"):
        make_folder(plan.work / name)
    dumps = [_Dump(code, position, file) for code, own in files.items() for position, file in enumerate(own)]
    send, receive = partial(_send_counts, plan=plan), partial(_add_up, plan=plan)
    return engine.exchange(dumps, send, receive, plan.by_first.partitions)


def inform(engine: Engine, totals: Mapping[str, float], plan: NgramPlan) -> None:
    """Write the plan's files `mutual`, the PMI of all pairs; `totals` is the count of all words of each language."""
    make_folder(plan.work / "mutual")
    files = [file.path for file in plan.pairs()]
    receive = partial(_inform, totals=totals, plan=plan)
    engine.exchange(files, _send_pairs, receive, plan.by_second.partitions)


def _send_counts(dump: _Dump, tallies: Tallies, plan: NgramPlan) -> Iterator[Block]:
    tally: Counter = Counter()
    path = plan.folder / dump.language / f"titles-{dump.position:05}.parquet"
    with part_writer(path, TITLES, _TITLE_ROWS) as titles:
        texts = _texts(articles.articles(dump.file, tally), titles)
        counted = count_batches(texts, language(dump.language))
        yield from plan.by_first.dealt(_ngrams(dump.language, counts) for counts in counted)
    for name, value in (*tally.items(), recorded(path.name, titles.checksum)):
        tallies.add(name, value, dump.language)


def _texts(batches: Iterable[pa.RecordBatch], titles: PartWriter) -> Iterator[pa.Array]:
    """Yield the texts of articles; write the articles' titles, in the spelling of page views, to `titles`."""
    for batch in batches:
        titles.write(pa.RecordBatch.from_arrays([spaced(batch["title"])], schema=TITLES))
        yield batch["text"]


def _ngrams(code: str, counts: pa.Table) -> pa.RecordBatch:
    """Return rows of COUNTS of one language as rows of NGRAMS."""
    numbers = pa.repeat(numbers_of(pa.array([code]))[0], len(counts))
    return one_batch(counts.add_column(0, LANGUAGE, numbers))


def _add_up(partition: int, blocks: Iterator[bytes], plan: NgramPlan) -> Tallies:
    with part_writer(plan.words()[partition].path, RATED, _ROWS) as words:
        found = _added_up(plan.by_first.met(blocks), words)
        write_blocks(plan.pairs()[partition].path, HALF_KNOWN, plan.by_second.dealt(found))
    return Tallies()


def _added_up(buckets: Iterable[Iterator[pa.RecordBatch]], writer: PartWriter) -> Iterator[pa.RecordBatch]:
    """Write each bucket's words with their counts, and yield the bucket's words and pairs as rows of HALF_KNOWN."""
    for batches in buckets:
        words, pairs = _joined(combined(batches, {"count": "sum"}), "first", "second")
        strings, counts = words["first"], words["count"]
        writer.write(pa.RecordBatch.from_arrays([codes_of(words), strings, counts.cast(pa.float64())], schema=RATED))
        none, unknown = pa.nulls(len(strings), pa.string()), pa.nulls(len(strings), pa.int64())
        yield pa.RecordBatch.from_arrays([words["language"], none, strings, counts, unknown], schema=HALF_KNOWN)
        yield one_batch(pairs.select(HALF_KNOWN.names))


def _send_pairs(file: Path, _: Tallies) -> Iterator[Block]:
    return read_blocks(file, HALF_KNOWN)


def _inform(partition: int, blocks: Iterator[bytes], totals: Mapping[str, float], plan: NgramPlan) -> Tallies:
    with part_writer(plan.mutual()[partition].path, MUTUAL, _ROWS) as writer:
        for batches in plan.by_second.met(blocks):
            _, pairs = _joined(pa.concat_batches(batches), "second", "first")
            for rows in _informed(one_batch(pairs), totals):
                writer.write(rows)
    return Tallies()


def _joined(rows: pa.RecordBatch, side: str, other: str) -> tuple[pa.RecordBatch, pa.Table]:
    """Return the words in `rows` (`other` is null), and the pairs, each joined with the count of its word `side`.

    `side` and `other` are "first" and "second", or the reverse.
    """
    is_pair = pc.is_valid(rows[other])
    words = rows.filter(pc.invert(is_pair))
    counts = pa.table([words["language"], words[side], words["count"]], ["language", side, f"{side}_count"])
    pairs = pa.Table.from_batches([rows.filter(is_pair)])
    return words, pairs.join(counts, ["language", side], join_type="inner", use_threads=False)


def _informed(pairs: pa.RecordBatch, totals: Mapping[str, float]) -> Iterator[pa.RecordBatch]:
    """Yield pairs that have the counts of both words as rows of MUTUAL, one language at a time."""
    numbers = [pairs[name].cast(pa.float64()) for name in ("count", "first_count", "second_count")]
    columns = [codes_of(pairs), pairs["first"], pairs["second"], *numbers]
    rows = pa.RecordBatch.from_arrays(columns, ["language", "first", "second", "count", "first_count", "second_count"])
    for code, own in by_language([rows]):
        counts = own["count"]
        mutual = information(counts, own["first_count"], own["second_count"], totals[code])
        entries = joined(own["first"], own["second"], language(code))
        yield pa.RecordBatch.from_arrays([own["language"], entries, counts, mutual], schema=MUTUAL)
