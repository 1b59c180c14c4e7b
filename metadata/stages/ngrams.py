"""Choose the entries among the words and word pairs of a group of languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from metadata.config import MetadataConfig
from metadata.languages import LANGUAGES, language
from metadata.stages.choosing import Percentile, file_of, percentiles, rows_of, write_best
from metadata.stages.combining import LANGUAGE, codes_of, combined, numbers_of
from metadata.stages.counts import NgramPlan, count, inform
from metadata.wikipedia.files import WikipediaFile
from metadata.words import ngrams, selection
from metadata.words.selection import RATED
from runtime.engine.interface import Engine, spread
from runtime.packed_rows import Block
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import part_writer
from runtime.storage.paths import make_folder
from runtime.tallies import Tallies

_ROWS = 1 << 18  # of a row group of scored pairs


def ngram_entries(engine: Engine, files: Mapping[str, list[WikipediaFile]], plan: NgramPlan) -> dict[str, Tallies]:
    """Write the unigram and bigram entries, and the titles of all articles, of each language; return its tallies."""
    read = count(engine, files, plan)
    found = engine.run(spread(plan.words(), engine), partial(_figures, config=plan.config))
    unigrams = _write_unigrams(engine, found, plan)
    inform(engine, found.by_language("sum"), plan)
    pairs = percentiles(engine, plan.mutual(), plan.config.pmi_percentile, plan.work)
    bigrams = write_bigrams(engine, pairs, unigrams.by_language("unigrams"), plan)
    for code in files:
        read.add("words", found.by_language("sum").get(code, 0), code)
        read.add("distinct_words", found.by_language("rows").get(code, 0), code)
        read.add("distinct_pairs", pairs[code].number if code in pairs else 0, code)
    return {code: _tallies_of(code, read, unigrams + bigrams) for code in files}


def _write_unigrams(engine: Engine, found: Tallies, plan: NgramPlan) -> Tallies:
    candidates, enough = found.by_language("candidates"), found.by_language("enough")
    rules = {code: selection.unigrams(language(code), plan.config) for code in candidates}
    taken = {code: rule.taken(int(candidates[code]), int(enough[code])) for code, rule in rules.items()}
    best = partial(selection.best, taken=taken, longest=plan.config.longest_entry)
    rows = [partial(_best_of, files, best) for files in spread(plan.words(), engine)]
    return write_best(engine, rows, "unigrams", taken, plan.folder / "{language}/unigrams.parquet")


def write_bigrams(
    engine: Engine, pairs: Mapping[str, Percentile], unigrams: Mapping[str, float], plan: NgramPlan
) -> Tallies:
    """Write the best pairs of each language, given PMI_30% and the number of its words that are entries."""
    taken = {code: selection.bigrams(int(unigrams.get(code, 0)), plan.config).most for code in pairs}
    floors = {code: found.value for code, found in pairs.items()}
    scored = partial(_scored, floors=floors, config=plan.config)
    best = partial(selection.best, taken=taken, longest=plan.config.longest_entry)
    files = spread(plan.mutual(), engine)
    # With a space between its words a pair is an entry of its own. Without one, 中 + 国人 is 中国 + 人.
    candidates = [partial(_best_scored, some, scored, best) for some in files]
    if not all(language(code).spaced for code in pairs):
        candidates += [partial(_best_of, [file], best) for file in _alike(engine, files, scored, plan)]
    return write_best(engine, candidates, "bigrams", taken, plan.folder / "{language}/bigrams.parquet")


def _alike(engine: Engine, files: list[list[OwnFile]], scored: partial, plan: NgramPlan) -> list[OwnFile]:
    """Write the pairs of languages without spaces, of those that make one entry the best; return their files."""
    folder = make_folder(plan.work / "alike")
    send, receive = partial(_send_scored, scored=scored, plan=plan), partial(_best_alike, plan=plan, folder=folder)
    engine.exchange(files, send, receive, plan.by_entry.partitions)
    return [file_of(folder, partition) for partition in range(plan.by_entry.partitions)]


def _send_scored(files: list[OwnFile], _: Tallies, scored: partial, plan: NgramPlan) -> Iterator[Block]:
    rows = scored(files, spaced=False)
    return plan.by_entry.dealt(batch.set_column(0, LANGUAGE, numbers_of(batch["language"])) for batch in rows)


def _best_alike(partition: int, blocks: Iterator[bytes], plan: NgramPlan, folder: Path) -> Tallies:
    with part_writer(file_of(folder, partition).path, RATED, _ROWS) as writer:
        for batches in plan.by_entry.met(blocks):
            rows = combined(batches, {"score": "max"})
            writer.write(pa.RecordBatch.from_arrays([codes_of(rows), rows["entry"], rows["score"]], schema=RATED))
    return Tallies()


def _tallies_of(code: str, read: Tallies, written: Tallies) -> Tallies:
    """Return what was read for a language, and what of it was written, which alone keeps its code."""
    own = [row | {"language": None} for row in read.rows() if row["language"] == code]
    return Tallies([*own, *(row for row in written.rows() if row["language"] == code)])


def _figures(files: list[OwnFile], config: MetadataConfig) -> Tallies:
    rules = {each.code: selection.unigrams(each, config) for each in LANGUAGES}
    return selection.figures(rows_of(files), rules, config.longest_entry)


def _best_of(files: list[OwnFile], best: partial) -> Iterator[pa.RecordBatch]:
    return best(rows_of(files))


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
