"""The steps of a run as lists of tasks, and the languages that the other texts of an input suggest for each text.

The engine starts the tasks, collects their tallies, and moves packed rows between tasks (`runtime.engine`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from sys import maxsize

import numpy as np
import pyarrow as pa

from curation.balancing import sampling
from curation.balancing.sampling import kept_probabilities, needed_by
from curation.balancing.thresholds import SEEN, EntryCounts
from curation.config import MAX_TEXT_LENGTH, RECORD, CurationConfig, ExtraColumn
from curation.exclusion import Exclusion
from curation.images.grouping import RUN_BYTES, ImageGrouping, pack_pairs, write_unique
from curation.inputs import limits
from curation.inputs.files import pairs_in, read
from curation.inputs.tables.columns import TableOptions
from curation.language.engines import Identifier
from curation.language.label_decisions import LanguageRules, with_pool_languages
from curation.matching.finders import open_automata, open_matchers
from curation.matching.matching import Matching
from curation.run import warm
from curation.schemas import MATCHED_ROW_GROUP, PAIRS, SAMPLED, with_extra
from metadata.entries import Entries, EntriesOnDisk
from runtime.arrow import gather_rows, parts
from runtime.buckets import (
    BLOCK_ROWS,
    BLOCKS_ENDING,
    MIN_TASKS_PER_CORE,
    MOST_BUCKETS,
    TASK_ROWS,
    Block,
    read_blocks,
    write_blocks,
)
from runtime.cogroup import Grouping, Rows, Side, cogroup
from runtime.engine import Engine, spread
from runtime.errors import AGAIN
from runtime.folders.stamps import TASK_BYTES, Input, Ledger, Stamps
from runtime.progress import advance, advancing
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile, own_files
from runtime.storage.parquet import add_file, batches, read_table, write_rows
from runtime.tallies import Tallies, Tally, TaskResult
from runtime.warming import compile_kernels

ROW_GROUP_ROWS = 100_000  # A row group of a curated file has this many rows, some 30 MB; this is our choice.
OF_MATCHED, OF_CURATED = "candidates.list.element.entries", "entries"  # These columns of image files have the entries.


@dataclass(frozen=True)
class Artefacts:
    """The shipped files that workers open for matching."""

    entries: Shipped  # matchers; for the matcher `ahocorasick`, the strings of entries
    model: Shipped
    exclusion: Shipped | None  # None without exclusion lists
    lettered: Shipped | None = None  # mask of the entries with letters; None if texts need no such entry
    on_disk: EntriesOnDisk | None = None  # entries from which workers build missing matchers; None: none is missing


@dataclass(frozen=True)
class MatchPlan:
    """The artefacts and the config that matching workers need."""

    artefacts: Artefacts
    config: CurationConfig

    @cached_property
    def matching(self) -> Matching:
        """The result of `open`, opened on first use in each process."""
        return self.open()

    def open(self) -> Matching:
        """Open the plan's artefacts in a worker; return a Matching."""
        compile_kernels(warm.CALLS)  # The driver has compiled them only on its own machine.
        entries = self.artefacts.entries.path()
        if self.config.matcher == "trie":
            finders = open_matchers(entries, self.config.rules, self.artefacts.on_disk)
        else:
            finders = open_automata(entries, self.config.rules)
        lettered = self.artefacts.lettered.array() if self.artefacts.lettered else None
        finders = finders.of_one_list(self.config.one_list)
        return Matching(Identifier.open(self.artefacts.model.path()), finders, LanguageRules.of(self.config), lettered)

    def candidates(self, batches: Iterator[pa.RecordBatch], tallies: Tallies) -> Iterator[pa.RecordBatch]:
        """Yield the batches (schema CANDIDATES) without excluded rows, and with texts cut to the maximum length.

        Excluded rows and cut texts are tallied.
        """
        if "page" not in self.config.witnesses:
            batches = (_without(batch, "page_language") for batch in batches)
        if self.artefacts.exclusion is not None:
            batches = self.artefacts.exclusion.opened(Exclusion.open).out_of(batches, tallies)
        return limits.cut(batches, MAX_TEXT_LENGTH, tallies)


@dataclass(frozen=True)
class Sampling:
    """Parameters of sampling tasks: the rate of each entry, whether it has letters, the seed, the files to write."""

    rates: Shipped
    lettered: Shipped
    seed: int
    files: int
    folder: Path
    row_group_rows: int = ROW_GROUP_ROWS
    extra: Sequence[ExtraColumn] = ()

    @property
    def grouping(self) -> Grouping:
        """The grouping of kept pairs by draw: a task for each curated file."""
        schema = with_extra(self.extra).append(sampling.DRAW_FIELD)
        return Grouping(schema, sampling.keys_of_draws, self.write, self.files * sampling.SECTIONS_PER_FILE, self.files)

    def read(self, _: int, file: OwnFile, tallies: Tallies) -> Rows:
        """Yield the kept pairs of a file of matched images."""
        rates = self.rates.array()
        images = _sampled(file, self.extra)
        kept = (sampling.sampled(batch, rates, self.seed, tallies, self.extra) for batch in images)
        return gather_rows(kept, maxsize, RUN_BYTES)

    def write(self, task: int, buckets: Iterator[Rows], result: TaskResult) -> None:
        """Write a curated file, sorted by draw."""
        path = self.folder / f"{task:05d}.parquet"
        schema = with_extra(self.extra)
        rows = sampling.rows_by_draw(buckets, self.lettered.array(), schema, result)
        result.add("written", add_file(result, path, schema, self.row_group_rows, rows))


def match_inputs(engine: Engine, ledger: Ledger, columns: TableOptions, plan: MatchPlan, buckets: int) -> TaskResult:
    """Step 1: match all missing inputs; write their pairs with the entries of each text, grouped by image.

    `buckets` is the number of buckets of pairs, or 0 if each image is stated once: then images are written instead of
    pairs. The counts of the tasks are in the ledger's stamps, not in the result.
    """
    task = partial(_match, stamps=ledger.stamps, columns=columns, plan=plan, buckets=buckets)
    missing = ledger.missing
    pair_bytes = sum(source.size for source in missing) / max(1.0, sum(map(pairs_in, missing)))
    task_bytes = max(TASK_BYTES, BLOCK_ROWS * buckets * pair_bytes)
    return engine.run(ledger.tasks(engine.cores, task_bytes), task)


def group(engine: Engine, ledger: Ledger, max_texts: int, folder: Path) -> TaskResult:
    """Step 2: write the matched images, one row each, into `folder`; return the result."""
    rows = ledger.sums["rows"]
    files = ledger.files_of(int(max(min(TASK_ROWS, rows / (2 * engine.cores)), rows / MOST_BUCKETS)))
    return cogroup(engine, [Side(files, _read_pairs)], ImageGrouping(max_texts, folder).stage(rows))


def count_texts(
    engine: Engine, files: list[OwnFile], entries: Entries, folder: Path, column: str = OF_MATCHED
) -> EntryCounts:
    """Step 3: return, for each entry, the number of texts that contain it.

    The texts are read from files of matched images or, with the column OF_CURATED, from a manifest.
    """
    written = engine.run(spread(files, engine), partial(_count, entries=len(entries), folder=folder, column=column))
    counts = EntryCounts.zeros(len(entries), entries.digest)
    for file in own_files(folder, written.files, AGAIN):
        counts.add_seen(read_table(file))
    return counts


def tally_expected_sizes(engine: Engine, files: list[OwnFile], rates: Shipped) -> TaskResult:
    """Step 4, run several times: tally the number of images that each candidate threshold is expected to keep.

    `rates` is a saved array, [entry id, candidate]; the sizes are tallied by the number of the candidate.
    """
    return engine.run(files, partial(_expected_sizes, rates=rates), MIN_TASKS_PER_CORE)


def sample_pairs(engine: Engine, files: list[OwnFile], sampling: Sampling) -> TaskResult:
    """Steps 5 and 6: write the curated files with the pairs that sampling keeps, each file sorted by random draws."""
    return cogroup(engine, [Side(files, sampling.read)], sampling.grouping)


def _match(task: list[Input], stamps: Stamps, columns: TableOptions, plan: MatchPlan, buckets: int) -> TaskResult:
    compile_kernels(warm.needed(task))  # The driver has compiled them only on its own machine.
    name = stamps.name_of(task)
    result = TaskResult()
    batches_read = chain.from_iterable(_read(source, columns, plan, result) for source in task)
    candidates = plan.candidates(batches_read, result)
    if buckets:
        file = f"{name}{BLOCKS_ENDING}"
        blocks = pack_pairs(candidates, plan.open(), plan.config.max_texts, buckets, result)
        result.files[file] = write_blocks(stamps.folder / file, PAIRS, blocks)
    else:
        write_unique(candidates, plan.open(), stamps.folder / f"{name}.parquet", result)
    stamps.write(task, result)
    return TaskResult()


def _read(source: Input, columns: TableOptions, plan: MatchPlan, result: TaskResult) -> Iterator[pa.RecordBatch]:
    """Yield the pairs of one input in batches; tally rows that are read or dropped, and report the pairs as progress.

    Fill in `pool_language` if the config has the witness `pool` and no pool shares.
    """
    tally = Tally()
    batches_read = read(source, columns, tally)
    if RECORD not in plan.config.extra_columns:
        batches_read = (_without(batch, "record") for batch in batches_read)
    if "pool" in plan.config.witnesses and not plan.config.pool_shares:
        identifier = Identifier.open(plan.artefacts.model.path())
        batches_read = with_pool_languages(batches_read, identifier)
    for batch in batches_read:
        advance(rows=batch.num_rows)
        yield batch
    limits.count_input(source.path, tally, result)


def _read_pairs(_: int, files: list[Path], tallies: Tallies) -> Iterator[Block]:
    return chain.from_iterable(read_blocks(file, PAIRS) for file in files)


def _count(files: list[OwnFile], entries: int, folder: Path, column: str) -> TaskResult:
    counts = EntryCounts.zeros(entries, "")
    for file in files:
        for batch in advancing(batches(file, MATCHED_ROW_GROUP, [column])):
            if column == OF_MATCHED:
                counts.count(parts(batch["candidates"])[0].field("entries"))
            else:
                counts.count(batch["entries"])
    return write_rows(folder / files[0].path.name, SEEN, 1 << 20, [counts.seen()])


def _expected_sizes(file: OwnFile, rates: Shipped) -> TaskResult:
    total: np.ndarray | float = 0.0
    for batch in advancing(_sampled(file)):
        total = total + kept_probabilities(batch, rates.array()).sum(axis=0)
    result = TaskResult()
    for column, size in enumerate(np.atleast_1d(total)):
        result.add("size", size, item=column)
    return result


def _sampled(file: OwnFile, extra: Sequence[ExtraColumn] = ()) -> Iterator[pa.RecordBatch]:
    return batches(file, MATCHED_ROW_GROUP, [*SAMPLED.names, *needed_by(extra)])


def _without(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    index = batch.schema.get_field_index(name)
    field = batch.schema.field(index)
    return batch.set_column(index, field, pa.nulls(batch.num_rows, field.type))
