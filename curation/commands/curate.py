"""The command `clip-curate`: curate pairs into a manifest."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from curation.commands.curate_flags import NAME, parse_curate
from curation.config import CurationConfig
from curation.gate.options import GateOptions
from curation.inputs.tables.columns import TableOptions
from curation.report import warnings
from curation.report.console import summary
from curation.run.order import curate
from curation.run.preview import preview
from curation.run.preview_lines import lines
from curation.run.request import Options
from curation.run.results import Results
from metadata.config import MetadataConfig
from metadata.entries import Entries
from metadata.entry_lists import read_lists
from metadata.starter import starter_metadata
from runtime.arguments import made
from runtime.console import command
from runtime.engine.choice import engine_for
from runtime.progress import ConsoleProgress, Progress
from runtime.terminal import say


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; bad input ends in one sentence and status 2."""
    args = parse_curate(argv)
    with command(NAME):
        if args.dry_run:
            foreseen = preview(**called(args), engine=engine_for(args, "curate"))
            say(lines(foreseen), numbers=foreseen.numbers())
            return
        results = run(args)
        paths = f"manifest: {results.path / 'curated'}\nreport:   {results.path / 'report.html'}"
        say(f"{summary(results.facts)}\n\n{paths}", numbers=results.facts["rows"])


def run(args: Namespace) -> Results:
    """Curate as the values of a command line say."""
    return curate(engine_for(args, "curate"), **called(args))


def called(args: Namespace) -> dict[str, Any]:
    """Return what a run, or a look ahead at it, is called with."""
    config, options = made(CurationConfig, args), options_of(args)
    progress = ConsoleProgress()
    return {
        "config": config,
        "inputs": args.input,
        "metadata": metadata_of(args, config, progress),
        "output": args.output,
        "options": options,
        "progress": progress,
    }


def metadata_of(args: Namespace, config: CurationConfig, progress: Progress) -> str | Entries:
    """Return the metadata or the entries that a command line gives; without any, starter metadata, and say so."""
    if args.metadata or args.entries:
        return args.metadata or Entries.build(read_lists(args.entries))
    entries = starter_metadata(MetadataConfig(rules=config.rules), progress)
    progress.note(f"Neither --metadata nor --entries is given. {warnings.starter(entries.about)}")
    return entries


def options_of(args: Namespace) -> Options:
    """Return the options of a command line."""
    parts = {"columns": made(TableOptions, args), "gate": made(GateOptions, args)}
    return made(Options, Namespace(**vars(args) | parts))
