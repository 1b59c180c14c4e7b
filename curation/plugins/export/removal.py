"""Copy a finished manifest without the images that exclusion lists name, and list the removed rows.

Counts, rates and probabilities stay as the run computed them: nothing is sampled again. If a gate wrote a sample of
the images that it removed, the excluded rows are also left out of a copy of this sample.
"""

from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.commands.flags import add_exclude
from curation.exclusion import Exclusion
from curation.licences import tally_licenses
from curation.report.warnings import NAMED_ITEMS, UNMATCHED_LIST
from curation.run.finished_run import curated_files, facts_of_part
from curation.run.results import Results
from curation.schemas import CURATED, GATE_REMOVED, REMOVED_PART
from runtime.arguments import Parser, add_flags, helps
from runtime.arrow import require
from runtime.console import command
from runtime.engine import EngineLike, engine_for
from runtime.folders.descriptor import Kind
from runtime.folders.folder import AlreadyComplete, Folder, Made, Wanted, items_of, making
from runtime.messages import listed
from runtime.packages import versions
from runtime.progress import ConsoleProgress, Progress, advancing
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile, copied
from runtime.storage.parquet import batches, part_writer, row_group_rows
from runtime.storage.paths import absolute, as_path, names
from runtime.storage.scratch import scratch
from runtime.tallies import Tallies, TaskResult
from runtime.terminal import print_result
from runtime.wording import counted

REMOVED = pa.schema([CURATED.field("uid"), CURATED.field("url"), pa.field("why", pa.string())])
LEFT_AS_THEY_ARE = ("counts.parquet", "thresholds.json")
REMOVED_GROUP = 1 << 16  # rows per row group of the files of removed rows
PARTS = ("curated", "removed")
RUN = "run.json"
REMOVAL = Kind("a manifest without some images", "clip-remove", version=3, descriptor=RUN)
REMOVED_ROWS = "removed"  # the name of a tally of removed rows, by reason and language


def remove_from_manifest(
    engine: EngineLike,
    source: str | PathLike[str],
    exclusion: Exclusion,
    to: str | PathLike[str],
    progress: Progress | None = None,
) -> str:
    """Copy the manifest in `source` without excluded images to a new folder `to`; return a sentence about the result.

    Both may be URLs. `engine` is None for processes of this machine, a Spark session, or a function that starts a
    session. After an interruption, the same call resumes; if the folder is complete, nothing is written anew.
    """
    run = Results.open(absolute(source))
    removal = {"run": run.digest, "exclusion": exclusion.lists_digest, "versions": versions()}
    try:
        with making(engine, to, Wanted(REMOVAL, {"removal": removal}, [run.path]), progress) as folder:
            tallies = _write_rows(run, exclusion, folder)
            for name in sorted({*LEFT_AS_THEY_ARE} & names(run.path)):
                folder.checksums[name] = copied(run.file(name), folder.path / name)
            facts = _facts(run, exclusion, tallies)
            folder.complete(facts)
    except AlreadyComplete as done:
        return str(done)
    unmatched = [row["name"] for row in facts["removals"][-1]["lists"] if row["values"] and not row["found"]]
    if progress and unmatched:
        progress.note(f"These lists name no pair: {listed(unmatched, NAMED_ITEMS)}. {UNMATCHED_LIST}")
    return _summary(run.facts["rows"]["kept"], facts["removals"][-1], as_path(to))


def _write_rows(run: Results, exclusion: Exclusion, folder: Folder) -> TaskResult:
    """Write the kept rows to curated/ and the removed rows to removed/, in files of the same names; return the result.

    If a gate wrote a sample of the images that it removed, also copy this sample without excluded rows.
    """
    files = curated_files(run)
    sample = run.files(REMOVED_PART)
    with scratch() as local:
        shipped = folder.engine.ship(Path(exclusion.save(local / "exclusion")))
        write = partial(_write_file, exclusion=shipped, schema=run.schema)
        tallies = folder.make("remove images", items_of(files), write, *PARTS)
        if sample:
            write = partial(_write_sample, exclusion=shipped)
            tallies += folder.make("remove from the gate's sample", items_of(sample), write, REMOVED_PART)
        return tallies


def _write_file(file: OwnFile, made: Made, exclusion: Shipped, schema: pa.Schema) -> None:
    """Write the kept and the removed rows of a file to two files; tally the removed rows by reason and language."""
    lists = exclusion.opened(Exclusion.open)
    rows_of_group = row_group_rows([file])
    name = file.path.name
    kept_path, removed_path = (made.path(part, name) for part in PARTS)
    with (
        part_writer(kept_path, schema, rows_of_group) as kept,
        part_writer(removed_path, REMOVED, REMOVED_GROUP) as removed,
    ):
        for batch in advancing(batches(file)):
            rows = require(batch, schema)
            reasons = lists.excluded(rows)
            left = rows.filter(reasons.is_null())
            kept.write(left)
            tally_licenses(left, made.result)
            gone = rows.filter(reasons.is_valid())
            reasons = reasons.drop_null()
            lists.tally_lists(gone, made.result)
            removed.write(pa.RecordBatch.from_arrays([gone["uid"], gone["url"], reasons], schema=REMOVED))
            pairs = zip(reasons.to_pylist(), gone["language"].to_pylist(), strict=True)
            for (reason, language), number in Counter(pairs).items():
                made.result.add(REMOVED_ROWS, number, item=reason, language=language)
    for part, writer in zip(PARTS, (kept, removed), strict=True):
        made.wrote(part, name, writer.checksum)


def _write_sample(file: OwnFile, made: Made, exclusion: Shipped) -> None:
    """Write the rows of a file of the gate's sample that are not excluded."""
    lists = exclusion.opened(Exclusion.open)
    name = file.path.name
    with part_writer(made.path(REMOVED_PART, name), GATE_REMOVED, REMOVED_GROUP) as writer:
        for rows in advancing(batches(file)):
            writer.write(rows.filter(lists.excluded(rows).is_null()))
    made.wrote(REMOVED_PART, name, writer.checksum)


def _reasons(tallies: Tallies) -> dict[str, int]:
    """Return the number of removed rows for each reason."""
    return {reason: int(rows) for reason, rows in sorted(tallies.by_item(REMOVED_ROWS).items())}


def _facts(run: Results, exclusion: Exclusion, tallies: Tallies) -> dict:
    """Return the content of the new run.json: the run's own, with new numbers of kept pairs and a removal record."""
    reasons = _reasons(tallies)
    kept = Counter({code: row["kept"] for code, row in run.facts["languages"].items()})
    for reason in reasons:
        kept.subtract(tallies.by_language(REMOVED_ROWS, reason))
    removal = {
        "exclusion": exclusion.digest,
        "removed": sum(reasons.values()),
        "reasons": reasons,
        "lists": exclusion.rows_of_lists(tallies),
    }
    note = (
        f"Pairs that were removed after sampling: {removal['removed']:,}. The numbers of kept pairs are counted after "
        "the removal; all other figures and the probabilities are those from before it."
    )
    return facts_of_part(run, "removals", removal, note, kept, tallies)


def _summary(before: int, removal: Mapping[str, Any], to: Path) -> str:
    """Return sentences: how many of `before` pairs were removed, where the rows are, and how many each list names.

    `removal` is the record of the removal in run.json.
    """
    reasons = ", ".join(f"{rows:,} {reason}" for reason, rows in removal["reasons"].items())
    named = [f"{row['name']} names {counted(row['found'], 'pair')}." for row in removal["lists"]]
    return (
        f"removed {removal['removed']:,} of {counted(before, 'pair')}{f' ({reasons})' if reasons else ''}; "
        f"the kept pairs are in {to / 'curated'}, the removed ones in {to / 'removed'}"
        f"{'. ' * bool(named)}{' '.join(named)}"
    )


NAME = "clip-remove"


def main(argv: Sequence[str] | None = None) -> None:
    """Run clip-remove; bad input ends in one sentence and exit status 2."""
    args = parse(argv)
    with command(NAME):
        exclusion = Exclusion.without_hashes(args.exclude)
        print_result(
            remove_from_manifest(engine_for(args, "remove"), args.run, exclusion, args.output, ConsoleProgress())
        )


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line of clip-remove; return the values."""
    parser = Parser.of(NAME, __package__)
    add_flags(parser, helps(__package__, "run"))
    add_exclude(parser, required=True)
    add_flags(parser, helps(__package__, "output"), required=True)
    parser.add_engine()
    return parser.parse_args(argv)
